package measure

import (
	"strings"
	"testing"

	"softprompt/export"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt/tune"
)

// TestPrecision: integers cost something in each layer, and little.
func TestPrecision(t *testing.T) {
	for _, loss := range []string{"sum", "labels"} {
		s := smallRun(t)
		s.Dropout, s.Loss, s.MicroBatch = 0.5, loss, 1 // which play no part
		c, err := Precision(t.Context(), orttest.Runtime(t), s, export.INT8, options())
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Layers) != 22 {
			t.Errorf("%d layers", len(c.Layers))
		}
		for _, l := range c.Layers {
			exact := l.Block == "encoder" || l.Block == "decoder" // embeddings
			if exact != (l.Activation.Relative == 0) || l.Activation.Relative > 0.1 || l.Activation.Cosine < 0.995 {
				t.Errorf("%s, %s: activation %+v", loss, l.Block, l.Activation)
			}
			if g := l.Gradient; g != nil && (g.Relative == 0 || g.Relative > 0.3 || g.Cosine < 0.97) {
				t.Errorf("%s, %s: gradient %+v", loss, l.Block, *g)
			}
		}
		p, ok := c.Gradients["grad.prompts"]
		if !ok || p.Relative == 0 || p.Relative > 0.3 || p.Cosine < 0.97 {
			t.Errorf("%s: gradients %v", loss, c.Gradients)
		}
		if c.Loss == c.Exact || c.Exact <= 0 || c.ExampleLoss.Relative > 0.05 {
			t.Errorf("%s: losses %v and %v, %+v", loss, c.Loss, c.Exact, c.ExampleLoss)
		}
	}
}

// TestPrecisionOfFloat32 is the zero of the scale.
func TestPrecisionOfFloat32(t *testing.T) {
	c, err := Precision(t.Context(), orttest.Runtime(t), smallRun(t), export.FP32, options())
	if err != nil {
		t.Fatal(err)
	}
	none := Error{Cosine: 1}
	for _, l := range c.Layers {
		if l.Activation != none || l.Gradient != nil && *l.Gradient != none {
			t.Errorf("%s: %+v", l.Block, l)
		}
	}
	if c.Gradients["grad.prompts"] != none || c.Loss != c.Exact {
		t.Errorf("%+v", c)
	}
}

func TestPrecisionRefuses(t *testing.T) {
	rt := orttest.Runtime(t)
	for name, c := range map[string]struct {
		change  func(*tune.Settings)
		reduced export.Precision
		want    string
	}{
		"unknown precision": {func(*tune.Settings) {}, "fp4", "fp4"},
		"unknown task":      {func(s *tune.Settings) { s.Task = "sst3" }, export.INT8, "sst3"},
		"unknown model":     {func(s *tune.Settings) { s.Model = "nowhere" }, export.INT8, "nowhere"},
		"no rows":           {func(s *tune.Settings) { s.Batch = 0 }, export.INT8, "--batch is 0"},
	} {
		s := smallRun(t)
		c.change(&s)
		if _, err := Precision(t.Context(), rt, s, c.reduced, options()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, c.want)
		}
	}
}
