package models_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"softprompt/models"
)

func ExampleTokenizer_Files() {
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
	files, err := tok.Files()
	if err != nil {
		log.Fatal(err)
	}
	for name := range files {
		fmt.Println(name)
	}
	// Output: tokenizer.json
}
