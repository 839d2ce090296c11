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

func ExampleOpenPyTorch() {
	weights, err := models.OpenPyTorch("testdata/pytorch/views.bin")
	if err != nil {
		log.Fatal(err)
	}
	defer weights.Close()
	for _, name := range []string{"row", "transposed"} {
		info, _ := weights.Lookup(name)
		values, err := weights.Float32(name)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, info.DType, info.Shape, values[:3])
	}
	_, err = models.OpenPyTorch("testdata/hostile/os-system.bin")
	fmt.Println(err)
	// Output:
	// row F32 [4] [-1.5 -0.5 0.5]
	// transposed F32 [4 3] [-5.5 -1.5 2.5]
	// reading weights from testdata/hostile/os-system.bin: the pickle, byte 2: it names "posix.system", and nothing was run: wanted a state dict, which is tensors and dictionaries alone
}
