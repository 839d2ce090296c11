package main

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/prompt/tune"
)

// TestEvaluate runs softprompt's peer as the driver does: scores are
// log-probabilities, the same for a row whatever stands beside it, and greedy
// answers are the likeliest words.
func TestEvaluate(t *testing.T) {
	dir := testModel(t)
	t.Setenv("SOFTPROMPT_CACHE", t.TempDir())
	m, tok, err := lendTokenizer(t.Context(), dir, "tiny")
	if err != nil {
		t.Fatal(err)
	}
	words := tok.VocabSize()
	m.Close()
	b, err := readBatches(filepath.Join(dir, batchesFile))
	if err != nil {
		t.Fatal(err)
	}
	row := b.rows[0][0]
	b.rows = [][]tune.Row{{row, b.rows[1][0]}, {b.rows[0][1], row}}
	b.candidates = [][]int64{{20, 1}, {21, 22, 1}}
	file := filepath.Join(t.TempDir(), "rows.safetensors")
	if err := b.save(file); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	args := []string{"-model", dir, "-batches", file, "-threads", "1", "-max-tokens", "3"}
	if err := evaluateMain(t.Context(), args, strings.NewReader("rank\ngreedy\n"), &out); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(&out)
	var hello ready
	var rank, greedy evaluated
	var end memory
	for _, v := range []any{&hello, &rank, &greedy, &end} {
		if err := decodeLine(lines, v); err != nil {
			t.Fatal(err)
		}
	}
	if hello.Batch[0] != 2 || hello.Prompt[0] != 3 || end.Peak < 10<<20 {
		t.Errorf("ready %+v, memory %+v", hello, end)
	}
	if len(rank.Scores) != 4 || len(rank.Scores[0]) != 2 || !(rank.Seconds > 0) || rank.Scores[0][0] >= 0 {
		t.Fatalf("rank %+v", rank)
	}
	for j, s := range rank.Scores[0] {
		if math.Abs(s-rank.Scores[3][j]) > 1e-4*math.Abs(s) {
			t.Errorf("one row scores %v and %v", rank.Scores[0], rank.Scores[3])
		}
	}
	if len(greedy.IDs) != 4 || !(greedy.Seconds > 0) {
		t.Fatalf("greedy %+v", greedy)
	}
	for _, ids := range greedy.IDs {
		if len(ids) > 3 || len(ids) > 0 && ids[0] >= int64(words) {
			t.Errorf("written %v", ids)
		}
	}
	for want, args := range map[string][]string{
		batchesFile:      {"-model", dir, "-batches", filepath.Join(t.TempDir(), batchesFile)},
		"tokenizer.json": {"-model", withoutTokenizer(t), "-batches", file},
	} {
		if err := evaluateMain(t.Context(), args, strings.NewReader(""), &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

func withoutTokenizer(t *testing.T) string {
	dir := testModel(t)
	if err := os.RemoveAll(filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCompare holds answers against each other.
func TestCompare(t *testing.T) {
	answers := func(name, command string, e evaluated) *evalRun {
		return &evalRun{Name: name, Command: command, found: e}
	}
	own := evaluated{Scores: [][]float64{{-5, -6}, {-8, -7}}}
	text := evaluated{IDs: [][]int64{{3, 4}, {5}}}
	for _, c := range []struct {
		name, want   string
		rank, shared evaluated
		greedy       evaluated
	}{
		{"alike", "", evaluated{Scores: [][]float64{{-5.001, -6}, {-8, -7}}}, own, text},
		{"scores apart", "scores of rank are 0.025 apart", evaluated{Scores: [][]float64{{-5.2, -6}, {-8, -7}}}, own, text},
		{"shared scores apart", "scores of rank-shared", own, evaluated{Scores: [][]float64{{-5, -6}, {-7, -8}}}, text},
		{"fewer scores", "row 1: 2 scores and 1", evaluated{Scores: [][]float64{{-5, -6}, {-8}}}, own, text},
		{"other words", "50 % of the greedy answers", own, own, evaluated{IDs: [][]int64{{3, 4}, {5, 6}}}},
	} {
		r := &evalReport{Rows: 2, Runs: []*evalRun{
			answers("softprompt", "rank", own), answers("softprompt", "greedy", text),
			answers("transformers", "rank", c.rank), answers("transformers", "rank-shared", c.shared), answers("transformers", "greedy", c.greedy),
		}}
		err := r.compare()
		if c.want == "" && (err != nil || r.SameChoice != 1 || r.SameText != 1 || r.Length != 1.5 || r.Difference < 1e-4) {
			t.Errorf("%s: %v, %+v", c.name, err, r)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		alone := &evalReport{Rows: 2, Runs: r.Runs[:2]}
		if err := alone.compare(); err != nil || alone.SameText != 0 {
			t.Errorf("softprompt alone: %v, %+v", err, alone)
		}
	}
}
