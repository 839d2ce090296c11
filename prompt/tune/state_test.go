package tune

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/grad"
	"softprompt/models"
	"softprompt/prompt"
)

// TestStateRoundTrip saves and loads states of every shape.
func TestStateRoundTrip(t *testing.T) {
	dir := t.TempDir()
	if err := makeStateFolder(dir); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		values := func(n int64) []float32 {
			return rapid.SliceOfN(rapid.Float32(), int(n), int(n)).Draw(rt, "values")
		}
		p, d := rapid.Int64Range(1, 4).Draw(rt, "P"), rapid.Int64Range(1, 5).Draw(rt, "d")
		want := &state{
			progress: progress{
				Version: stateVersion, Step: rapid.IntRange(0, 1<<40).Draw(rt, "step"), Evaluated: rapid.IntRange(-1, 9).Draw(rt, "evaluated"),
				Score: rapid.Float64().Draw(rt, "score"), Best: bestStep{rapid.IntRange(-1, 9).Draw(rt, "best"), 1.5, 0.25},
				Stale: rapid.IntRange(0, 9).Draw(rt, "stale"), Stopped: rapid.Bool().Draw(rt, "stopped"),
				Since: sums{Loss: rapid.Float64().Draw(rt, "loss"), Tokens: 7, Hits: 3, Rows: 2, Norm: 0.5, Steps: 1},
				Logs:  logSizes{1, 2, 3}, Seconds: 1.25, Rule: "adamw", Steps: []int64{rapid.Int64Range(0, 1<<40).Draw(rt, "steps")},
				Settings: Settings{Model: "tiny", Verbalizer: rapid.String().Draw(rt, "words"), Seed: rapid.Uint64().Draw(rt, "seed")},
			},
			current:   []prompt.Tensor{{Name: "prompt", Shape: []int64{p, d}, Data: values(p * d)}},
			optimizer: []grad.StateTensor{{Name: "prompt.m", Shape: []int64{1, p, d}, Data: values(p * d)}},
		}
		if rapid.Bool().Draw(rt, "has a best") {
			want.best = []prompt.Tensor{{Name: "prompt", Shape: []int64{p, d}, Data: values(p * d)}}
		}
		other := *want
		other.Step, other.best = want.Step+1, nil
		for _, all := range [][]*state{{want}, {&other, want}} {
			if err := saveStates(dir, all); err != nil {
				rt.Fatal(err)
			}
			got, err := loadStates(dir)
			if err != nil {
				rt.Fatal(err)
			}
			if !reflect.DeepEqual(got, all) {
				rt.Fatalf("saved %+v, loaded %+v", all, got)
			}
		}
	})
}

// TestLoadStateRefuses says which run cannot be resumed, and why.
func TestLoadStateRefuses(t *testing.T) {
	tensor := models.NamedTensor{Name: "0.current.prompt", DType: models.F32, Shape: []int64{1}, Data: make([]byte, 4)}
	strange, other, whole := tensor, tensor, tensor
	strange.Name, other.Name = "0.momentum.prompt", "1.current.prompt"
	whole.DType = "I32"
	for _, c := range []struct {
		name, meta string
		tensor     models.NamedTensor
		want       string
	}{
		{"no metadata", "", tensor, "unexpected end of JSON input"},
		{"no JSON", "step 5", tensor, "reading " + stateFile},
		{"no run", "[]", tensor, "it tells of no run"},
		{"an old version", `[{"version": 1}]`, tensor, "its state has version 1, want 2"},
		{"a number that is none", `[{"version": 2, "step": "5"}]`, tensor, "reading " + stateFile},
		{"a strange tensor", `[{"version": 2}]`, strange, "unknown tensor 0.momentum.prompt"},
		{"a tensor of no run", `[{"version": 2}]`, other, "tensor 1.current.prompt in state/last.safetensors is of no run"},
		{"a tensor of integers", `[{"version": 2}]`, whole, "current.prompt"},
	} {
		dir := t.TempDir()
		if err := makeStateFolder(dir); err != nil {
			t.Fatal(err)
		}
		err := models.WriteSafetensors(filepath.Join(dir, stateFile), []models.NamedTensor{c.tensor}, map[string]string{stateKey: c.meta})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := loadStates(dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "resuming run "+dir) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := loadStates(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no state: %v", err)
	}
}

// TestSaveStateFails keeps the state that was there.
func TestSaveStateFails(t *testing.T) {
	dir := t.TempDir()
	if err := saveStates(dir, []*state{{}}); err == nil || !strings.Contains(err.Error(), "saving the run's state") {
		t.Errorf("no folder for it: %v", err)
	}
	if err := makeStateFolder(dir); err != nil {
		t.Fatal(err)
	}
	good := &state{progress: progress{Version: stateVersion, Step: 5}, current: []prompt.Tensor{{Name: "prompt", Shape: []int64{1}, Data: []float32{2}}}}
	if err := saveStates(dir, []*state{good}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	bad := *good
	bad.current = []prompt.Tensor{{Name: "prompt", Shape: []int64{3}, Data: []float32{2}}} // not of that shape
	if err := saveStates(dir, []*state{&bad}); err == nil {
		t.Error("a tensor that is not of its shape was saved")
	}
	if after, err := os.ReadFile(filepath.Join(dir, stateFile)); err != nil || string(after) != string(before) {
		t.Errorf("the state changed: %v", err)
	}
}

func TestBetter(t *testing.T) {
	best := bestStep{Step: 10, Score: 80, Loss: 0.5}
	for _, c := range []struct {
		best        bestStep
		score, loss float64
		want        bool
	}{
		{bestStep{Step: -1}, 0, 9, true}, // the first look is the best so far
		{best, 81, 9, true},
		{best, 79, 0, false},
		{best, 80, 0.4, true},
		{best, 80, 0.5, false}, // of equals the earlier
		{best, 80, 0.6, false},
	} {
		if got := c.best.better(c.score, c.loss); got != c.want {
			t.Errorf("%v at loss %v after %+v: %v", c.score, c.loss, c.best, got)
		}
	}
}
