package hub_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"softprompt/models/hub"
	"softprompt/models/hub/hubtest"
)

// A model is downloaded once; then its files are in the cache.
func ExampleClient_Snapshot() {
	served := hubtest.New() // in the place of huggingface.co
	defer served.Close()
	served.Add("google/t5-test", map[string]string{"config.json": `{"model_type": "t5"}`, "README.md": "A model."})

	cache, err := os.MkdirTemp("", "hub-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(cache)
	client := &hub.Client{Endpoint: served.URL, CacheDir: cache} // or hub.FromEnv()
	ref, err := hub.ParseRef("google/t5-test@main")
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		snap, err := client.Snapshot(context.Background(), ref, func(names []string) ([]string, error) {
			return []string{"config.json"}, nil // of names
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		config, err := os.ReadFile(filepath.Join(snap.Dir, "config.json"))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s, %d downloads\n", config, served.Counts()["get"])
	}
	// Output:
	// {"model_type": "t5"}, 1 downloads
	// {"model_type": "t5"}, 0 downloads
}
