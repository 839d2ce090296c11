package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"softprompt/export"
	"softprompt/prompt/measure"
	"softprompt/prompt/tune"
)

func TestShowBudget(t *testing.T) {
	var out bytes.Buffer
	newTUI(nil, &out, io.Discard).showBudget(&measure.Budget{
		Steps: 2, Passes: 1, Millis: 20,
		Kinds: []measure.Line{
			{Name: "float32 products", Calls: 3, Millis: 12, Share: 0.6, GFLOPS: 151.7},
			{Name: "between kernels", Millis: 3, Share: 0.15},
			{Name: "Go", Millis: 5, Share: 0.25},
		},
		Ops: []measure.Line{
			{Name: "MatMul", Calls: 3, Millis: 11.99, Share: 0.5995, GFLOPS: 151.7},
			{Name: "Abs", Calls: 2, Millis: 0.006, Share: 0.0003},
			{Name: "Neg", Calls: 1, Millis: 0.004, Share: 0.0002},
		},
		Blocks: []measure.Block{{Name: "encoder.0.feed-forward", Forward: 4, Backward: 8, Share: 0.6}},
	})
	want := `
kind of work      calls  ms a step   share  GFLOP/s
float32 products      3      12.00  60.0 %      152
between kernels               3.00  15.0 %
Go                            5.00  25.0 %

operator  calls  ms a step   share  GFLOP/s
MatMul        3      11.99  60.0 %      152
2 others      3       0.01   0.1 %

block                   forward ms  backward ms   share
encoder.0.feed-forward        4.00         8.00  60.0 %
`
	if got := out.String(); got != want {
		t.Errorf("printed%swant%s", got, want)
	}
}

func TestLumped(t *testing.T) {
	if got := lumped(nil); len(got) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
	large := []measure.Line{{Name: "a", Share: 0.5}, {Name: "b", Share: 0.001}}
	if got := lumped(large); len(got) != 2 || got[1].Name != "b" {
		t.Errorf("of large ones: %+v", got)
	}
	got := lumped(append(large, measure.Line{Name: "c", Calls: 2, Millis: 1, Share: 0.0009}))
	if len(got) != 3 || got[2] != (measure.Line{Name: "1 others", Calls: 2, Millis: 1, Share: 0.0009}) {
		t.Errorf("of one small: %+v", got)
	}
}

func TestShowComparison(t *testing.T) {
	var out bytes.Buffer
	newTUI(nil, &out, io.Discard).showComparison(&measure.Comparison{
		Layers: []measure.Layer{
			{Block: "encoder", Activation: measure.Error{Cosine: 1}, Gradient: &measure.Error{Relative: 0.0635, Largest: 0.0783, Cosine: 0.998}},
			{Block: "decoder.0.self-attention", Activation: measure.Error{Relative: 0.01, Largest: 0.2, Cosine: 0.99}},
		},
		Loss: 3.5, Exact: 3.25, ExampleLoss: measure.Error{Relative: 0.5, Largest: 0.25, Cosine: 0.75},
		Gradients: map[string]measure.Error{"grad.prompts": {Relative: 0.052, Largest: 0.047, Cosine: 0.998778}, "grad.keys": {Cosine: 1}},
	}, export.INT8)
	want := `block                     activation   largest  gradient  largest
encoder                      0.000 %   0.000 %   6.350 %  7.830 %
decoder.0.self-attention     1.000 %  20.000 %

              relative   largest    cosine
example_loss  50.000 %  25.000 %  0.750000
grad.keys      0.000 %   0.000 %  1.000000
grad.prompts   5.200 %   4.700 %  0.998778

loss  int8 3.500000, fp32 3.250000
`
	if got := out.String(); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
}

func TestShowTuned(t *testing.T) {
	var out bytes.Buffer
	newTUI(nil, &out, io.Discard).showTuned(&measure.Tuned{
		Precision: export.INT8, Examples: 1872, Difference: -0.125, Low: -0.75, High: 0.5,
		Seeds: []measure.SeedScore{{Seed: 1, Exact: 90, Reduced: 89.5}, {Seed: 2, Exact: 88, Reduced: 88.25}},
	})
	want := `tuned from seed   fp32   int8  difference
1                90.00  89.50       -0.50
2                88.00  88.25       +0.25

difference  -0.12 points, 95 % interval -0.75 to +0.50, over 2 seeds and 1,872 validation rows scored in fp32
`
	if got := out.String(); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
}

// TestProfileSettings are those of a run that makes the steps measured.
func TestProfileSettings(t *testing.T) {
	c := benchProfileCmd{Model: "m", Input: 1, Targets: 9, Length: 2, Batch: 3, Dropout: 0.2, Precision: "int8", machineFlags: machineFlags{Device: "cpu", Threads: 1}}
	s, err := c.settings()
	if err != nil {
		t.Fatal(err)
	}
	if s.Task != "" || s.MicroBatch != 3 || s.MaxInput != 2 || s.MaxTarget != 9 || s.Precision != "int8" || s.Dropout != 0.2 || s.Threads != 1 {
		t.Errorf("%+v", s)
	}
	c.Task, c.MicroBatch = "sst2", 1
	if s, err = c.settings(); err != nil || s.Task != "sst2" || s.MicroBatch != 1 || s.MaxInput != 128 || s.HeldOut != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	c.Task = "sst3"
	if _, err := c.settings(); err == nil || !strings.Contains(err.Error(), "sst3") {
		t.Errorf("another task: %v", err)
	}
}

// TestPrecisionSettings: the run is in float32, and what is compared with it is
// int8 unless the flag says otherwise.
func TestPrecisionSettings(t *testing.T) {
	task, int8, fp32, half := "sst2", export.INT8, export.FP32, export.BF16
	for name, c := range map[string]struct {
		flag *export.Precision
		want export.Precision
	}{"no flag": {nil, export.INT8}, "int8": {&int8, export.INT8}, "another": {&half, export.BF16}, "fp32": {&fp32, ""}} {
		cmd := benchPrecisionCmd{Rows: 1, settingFlags: settingFlags{Task: &task, Precision: c.flag}}
		s, reduced, err := cmd.both()
		if (err != nil) != (c.want == "") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (reduced != c.want || s.Precision != "fp32") {
			t.Errorf("%s: %s against %s", name, reduced, s.Precision)
		}
	}

	// A run folder brings its settings, and its own precision is no choice.
	dir := t.TempDir()
	s, _, err := (&benchPrecisionCmd{Rows: 1, settingFlags: settingFlags{Task: &task}}).both()
	if err != nil {
		t.Fatal(err)
	}
	s.Length, s.Precision = 7, "int8"
	if err := tune.WriteSettings(dir+"/"+tune.ConfigFile, s); err != nil {
		t.Fatal(err)
	}
	got, reduced, err := (&benchPrecisionCmd{Rows: 1, Prompt: dir}).both()
	if err != nil || got.Length != 7 || got.Precision != "fp32" || reduced != export.INT8 {
		t.Errorf("%+v, %s, %v", got, reduced, err)
	}
}
