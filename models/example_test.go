package models_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"softprompt/models"
)

func ExampleOpen() {
	cache, err := os.MkdirTemp("", "softprompt")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(cache)

	m, err := models.Open(context.Background(), "tiny", models.Options{CacheDir: cache})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		log.Fatal(err)
	}
	ids, cut, err := tok.EncodeEOS("a great film", 8)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Config.DModel, ids, cut, tok.Decode(ids))
	// Output: 256 [10 133 68 1] false a great film
}

func ExampleMarshalSafetensors() {
	data, err := models.MarshalSafetensors([]models.NamedTensor{
		{Name: "prompt", DType: models.F32, Shape: []int64{1, 2}, Data: make([]byte, 8)},
	}, map[string]string{"format": "pt"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", data[8:len(data)-8])
	// Output: {"__metadata__":{"format":"pt"},"prompt":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}
}
