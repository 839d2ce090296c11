package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"softprompt/models"
	"softprompt/onnx/atomicfile"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// text is a data set whose examples have the lengths that they have.
type text struct {
	name     string
	maxInput int // tokens, EOS included: longer inputs are cut on both sides, and max_length pads to it
	examples []tasks.Example
}

const maxTarget = 8 // tokens of a target, EOS included

// texts reads the data sets that are there.
func (b *bench) texts(ctx context.Context) ([]text, error) {
	sst2, err := tasks.Lookup("sst2")
	if err != nil {
		return nil, err
	}
	examples, err := sst2.Load(ctx, tasks.Train, tasks.LoadOptions{})
	if err != nil {
		return nil, err
	}
	all := []text{{"SST-2", sst2.MaxInput, examples}}
	if b.boolq == "" {
		b.say("text: BoolQ is left out, -boolq FILE says where its val.jsonl lies")
		return all, nil
	}
	examples, err = readBoolQ(b.boolq)
	return append(all, text{"BoolQ", 512, examples}), err
}

// readBoolQ reads BoolQ as SuperGLUE publishes it, one JSON object a line, cast
// as T5's own is.
func readBoolQ(path string) ([]tasks.Example, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []tasks.Example
	words := map[bool]string{true: "True", false: "False"}
	for d := json.NewDecoder(bufio.NewReader(f)); ; {
		var row struct {
			Question, Passage string
			Label             *bool
		}
		err := d.Decode(&row)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading row %d of %s: %w", len(out)+1, path, err)
		}
		if row.Question == "" || row.Passage == "" || row.Label == nil {
			return nil, fmt.Errorf("reading row %d of %s: it lacks question, passage or label", len(out)+1, path)
		}
		out = append(out, tasks.Example{
			Index: len(out), Label: map[bool]int{true: 1}[*row.Label], Target: words[*row.Label],
			Input: "question: " + row.Question + " passage: " + row.Passage,
		})
	}
}

// lendTokenizer copies the tokenizer to read text with into the folder of a
// random model, which has none of its own, and opens it there.
func lendTokenizer(ctx context.Context, dir, from string) (*models.Model, *models.Tokenizer, error) {
	if from == "tiny" {
		tiny, err := models.Open(ctx, from, models.Options{})
		if err != nil {
			return nil, nil, err
		}
		defer tiny.Close()
		from = tiny.Dir
	}
	found := false
	for _, name := range []string{"tokenizer.json", "spiece.model"} { // the first suffices
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil || found {
			os.Remove(filepath.Join(dir, name))
			continue
		}
		if err := atomicfile.Write(filepath.Join(dir, name), data); err != nil {
			return nil, nil, err
		}
		found = true
	}
	if !found {
		return nil, nil, fmt.Errorf("no tokenizer.json or spiece.model in %s", from)
	}
	m, err := models.Open(ctx, dir, models.Options{})
	if err != nil {
		return nil, nil, err
	}
	tok, err := m.Tokenizer()
	if err != nil {
		m.Close()
	}
	return m, tok, err
}

// encode turns the first n examples of a random order into rows.
func (t text) encode(tok *models.Tokenizer, n int) ([]tune.Row, error) {
	if n > len(t.examples) {
		return nil, fmt.Errorf("%s has %d examples, %d are asked for", t.name, len(t.examples), n)
	}
	var rows []tune.Row
	for _, i := range tasks.Permutation(len(t.examples), 1, 0)[:n] {
		e := t.examples[i]
		ids, cut, err := tok.EncodeEOS(e.Input, t.maxInput)
		if err != nil {
			return nil, fmt.Errorf("%s, example %d: %w", t.name, i, err)
		}
		target, _, err := tok.EncodeEOS(e.Target, maxTarget)
		if err != nil {
			return nil, fmt.Errorf("%s, target %q: %w", t.name, e.Target, err)
		}
		rows = append(rows, tune.Row{IDs: ids, Target: target, Label: e.Label, Key: uint64(i), Cut: cut})
	}
	return rows, nil
}

// orders returns the same rows twice in batches: as softprompt's trainer takes
// them, and in the random order in which they come, as PEFT's user does.
func orders(rows []tune.Row, batch int) (own, random [][]tune.Row) {
	random = slices.Collect(slices.Chunk(rows, batch))
	return tune.Batches(rows, batch, window(), len(random), 1), random
}
