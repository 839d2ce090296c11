package prompt_test

import (
	"fmt"
	"os"
	"path/filepath"

	"softprompt/prompt"
)

func ExampleLoadFile() {
	p, err := prompt.LoadFile("testdata/prompt_5x256.npy")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, length, width, err := p.Matrix()
	fmt.Println(p.Method, length, width, err)
	// Output: prompt-tuning 5 256 <nil>
}

func ExampleSave() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	p := prompt.New([]float32{0.1, 0.2, 0.3, 0.4}, 2, 2)
	p.Meta.Task, p.Meta.Step, p.Meta.Score, p.Meta.ScoreName = "sst2", 2000, 0.95, "accuracy"
	path := filepath.Join(dir, prompt.FileName)
	if err := prompt.Save(path, p); err != nil {
		fmt.Println(err)
		return
	}
	back, err := prompt.LoadFile(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(back.Meta.Task, back.Meta.Score, back.Tensors[0].Data)
	// Output: sst2 0.95 [0.1 0.2 0.3 0.4]
}

func ExampleParseInit() {
	words := []float32{0, 0, 1, 1, 2, 2, 3, 3} // a table of four words, two wide
	source := prompt.Source{
		Embeddings: prompt.Embeddings{Rows: 4, Row: func(id int) []float32 { return words[2*id : 2*id+2] }},
		Encode:     func(text string) ([]int64, error) { return []int64{int64(len(text))}, nil },
		Labels:     []string{"no", "yes"},
	}
	init, err := prompt.ParseInit("class-labels")
	if err != nil {
		fmt.Println(err)
		return
	}
	rows, err := init.From(source)(prompt.NewRand(42, prompt.StreamInit), 2, 2)
	fmt.Println(rows, err)
	// Output: [2 2 3 3] <nil>
}

// A mask depends on where it is drawn for, not on what was drawn before.
func ExampleRand() {
	const seed, step, example, site = 7, 100, 31, 2
	mask := make([]float32, 5)
	r := prompt.NewRand(seed, prompt.StreamDropout, example, step)
	at := r.Sub(site)
	at.Dropout(mask, 0.5)
	fmt.Println(mask)
	// Output: [2 0 0 2 0]
}

func ExampleNeighbours() {
	words := []float32{1, 0, 0, 1, -1, 0}
	table := prompt.Embeddings{Rows: 3, Row: func(id int) []float32 { return words[2*id : 2*id+2] }}
	near, err := prompt.Neighbours([]float32{0, 8}, 2, table, 1)
	fmt.Println(near, err)
	// Output: [[{1 1}]] <nil>
}
