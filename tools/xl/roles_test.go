package main

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx/ort"
	"softprompt/prompt"
)

// A role that cannot open its model says which, and reports nothing.
func TestRolesOfBrokenModels(t *testing.T) {
	config := []byte(`{"model_type": "t5", "d_model": 8, "d_ff": 12, "d_kv": 4, "num_layers": 1, "num_heads": 2, "vocab_size": 50}`)
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"an empty folder":         {nil, "no model.safetensors, pytorch_model.bin or encoder_model.onnx"},
		"no weights":              {map[string][]byte{"config.json": config}, "safetensors"},
		"weights that are none":   {map[string][]byte{"config.json": config, "model.safetensors": []byte("weights")}, "model.safetensors"},
		"an index to other files": {map[string][]byte{"config.json": config, "model.safetensors.index.json": []byte(`{"weight_map": {"shared.weight": "gone.safetensors"}}`)}, "gone.safetensors"},
		"a broken configuration":  {map[string][]byte{"config.json": []byte("{"), "model.safetensors": []byte("weights")}, "config.json"},
	} {
		dir := t.TempDir()
		for file, data := range c.files {
			if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for role := range roles {
			var out strings.Builder
			err := dispatch(t.Context(), []string{role, "-model", dir, "-work", t.TempDir()}, &out)
			if err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
				t.Errorf("%s of %s: %v, want %q; printed %q", role, name, err, c.want, out.String())
			}
		}
	}
}

// A check whose role fails says so by the role's name, and one whose own
// process cannot answer has no outcome.
func TestPlayFails(t *testing.T) {
	c := check{name: "x", role: "export"}
	o, err := c.play(t.Context(), filepath.Join(t.TempDir(), "none"), t.TempDir())
	if err == nil || err.Error() != "export: exit status 1" || len(o.Phases) > 0 {
		t.Errorf("%+v, %v", o, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.play(ctx, "none", t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped before it began: %v", err)
	}
}

// A check that cannot be made names itself and the size, and leaves nothing.
func TestChecksFail(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	var out strings.Builder
	err := dispatch(ctx, []string{"-size", "toy", "-check", "step", "-dir", dir}, &out)
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "check step of T5 toy: ") {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// A gradient counts if it is finite and not 0, beside a finite loss.
func TestGradient(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		loss, norm float64
		ok         bool
	}{
		{10, 0.25, true},
		{0, 1e-30, true},
		{-1, 1, true},
		{10, 0, false},
		{10, -1, false},
		{10, nan, false},
		{10, inf, false},
		{nan, 1, false},
		{inf, 1, false},
		{-inf, 1, false},
	} {
		err := outcome{Loss: c.loss, GradientNorm: c.norm}.gradient()
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "wanted finite ones and not 0") {
			t.Errorf("loss %v, norm %v: %v", c.loss, c.norm, err)
		}
	}
}

// What one process reports is what the other reads, under names that say what
// it is.
func TestOutcomeTravels(t *testing.T) {
	o := outcome{Phases: []phase{{"load and first step", 1.5, 3, 4}, {"second step", 0.25, 1, 2}}, Loss: 10.5, GradientNorm: 0.25, GradientSize: 7}
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"phases":[{"name":"load and first step","seconds":1.5,"anonymous":3,"resident":4},{"name":"second step","seconds":0.25,"anonymous":1,"resident":2}],"loss":10.5,"gradient_norm":0.25,"gradient_size":7}`
	if string(data) != want {
		t.Errorf("reported\n%s, want\n%s", data, want)
	}
	var back outcome
	if err := json.Unmarshal(data, &back); err != nil || !slices.Equal(back.Phases, o.Phases) || back.GradientSize != 7 || back.Loss != 10.5 || back.GradientNorm != 0.25 {
		t.Errorf("read as %+v, %v", back, err)
	}
}

// An export has no loss, and none is printed.
func TestPrintWithoutGradient(t *testing.T) {
	var out strings.Builder
	outcome{Phases: []phase{{"open", 1, megabyte, megabyte}}}.print(&out)
	if strings.Count(out.String(), "\n") != 2 || strings.Contains(out.String(), "loss") {
		t.Errorf("printed\n%s", out.String())
	}
}

// The example is text that the model knows: ids of its vocabulary that are no
// padding, each sequence ended once, and the same every time.
func TestExample(t *testing.T) {
	if _, err := ort.Open(ort.Options{}); err != nil {
		t.Fatal(err)
	}
	m := &export.Model{Model: &models.Model{Config: models.Config{DModel: 8, VocabSize: 20, EOSID: 1}}}
	var drawn [2][]int64
	for i := range drawn {
		bank, row, err := example(prompt.PromptTuning(8), m)
		if err != nil {
			t.Fatal(err)
		}
		values, _ := bank.Tensors()
		if len(values) != 1 || len(values[0]) != 100*8 {
			t.Errorf("%d tensors of a prompt", len(values))
		}
		bank.Close()
		if len(row.IDs) != 128 || len(row.Target) != 8 {
			t.Errorf("%d ids, %d of the target", len(row.IDs), len(row.Target))
		}
		for _, ids := range [][]int64{row.IDs, row.Target} {
			if at := slices.Index(ids, 1); at != len(ids)-1 || slices.Min(ids) < 1 || slices.Max(ids) >= 20 {
				t.Errorf("ids %v", ids)
			}
		}
		drawn[i] = slices.Concat(row.IDs, row.Target)
	}
	if !slices.Equal(drawn[0], drawn[1]) {
		t.Error("another time the example is another")
	}
}
