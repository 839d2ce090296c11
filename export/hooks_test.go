package export

import (
	"math"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// everyHook is a method made for the test: it touches the graph in every place
// that a method can, with a trainable of its own at each. At the values that
// neutral gives it changes nothing.
func everyHook(d, inner, ff int) *prompt.Method {
	size := func(n int) onnx.Dim { return onnx.Size(int64(n)) }
	row := func(name string, n int) prompt.Trainable {
		return prompt.Trainable{Name: name, Input: name, Shape: onnx.Shape{size(n)}}
	}
	return &prompt.Method{
		Name: "every-hook",
		Trainables: []prompt.Trainable{
			row("emb_delta", d), row("layer_delta", d), row("key_scale", inner), row("hidden_scale", ff),
			{Name: "wo_delta", Input: "wo_delta", Shape: onnx.Shape{size(d), size(ff)}},
			row("loss_scale", 1),
		},
		Embeddings: func(s *prompt.Site, emb, mask string) (string, string) {
			return s.B.Add(emb, s.B.Unsqueeze(s.PerRow("emb_delta"), 1)), mask
		},
		LayerInput: func(s *prompt.Site, h string) string {
			if s.Stack != "decoder" || s.Layer != 1 {
				return h
			}
			return s.B.Add(h, s.B.Unsqueeze(s.PerRow("layer_delta"), 1))
		},
		KeysValues: func(s *prompt.Site, k, v, bias string) (string, string, string) {
			if s.Part != prompt.CrossAttention {
				return k, v, bias
			}
			shape := s.B.Shape(k) // [B,h,E,d_kv]
			scale := s.B.ReshapeTo(s.PerRow("key_scale"), -1, shape[1].Size, 1, shape[3].Size)
			return s.B.Mul(k, scale), v, bias
		},
		Hidden: func(s *prompt.Site, h string) string {
			if s.Stack != "encoder" || s.Layer != 0 {
				return h
			}
			return s.B.Mul(h, s.B.Unsqueeze(s.PerRow("hidden_scale"), 1))
		},
		Weight: func(s *prompt.Site, name, w string) string {
			if name != "decoder.block.1.layer.2.DenseReluDense.wo.weight" {
				return w
			}
			return s.B.Add(w, s.B.ReduceSum(s.B.Gather("wo_delta", s.B.Ints(0), 0), false, 0))
		},
		Loss: func(s *prompt.Site, loss string) string {
			return s.B.Mul(loss, s.B.ReduceSum(s.B.Gather("loss_scale", s.B.Ints(0), 0), false, 0))
		},
	}
}

// neutral returns values at which everyHook leaves the model as it is.
func neutral(m *prompt.Method) map[string][]float32 {
	out := map[string][]float32{}
	for _, tr := range m.Trainables {
		n := 1
		for _, d := range tr.Shape {
			n *= int(d.Size)
		}
		values := make([]float32, n)
		if tr.Name == "key_scale" || tr.Name == "hidden_scale" || tr.Name == "loss_scale" {
			for i := range values {
				values[i] = 1
			}
		}
		out[tr.Input] = values
	}
	return out
}

// TestHooks: each hook reaches the model, all of them together have the
// gradient that finite differences find, and at neutral values the loss is
// that of the bare model.
func TestHooks(t *testing.T) {
	g := openGolden(t, "v1_1-2x2", "io")
	c := g.spec.Config
	g.spec.Method = nil
	bare, err := Train(g.spec)
	if err != nil {
		t.Fatal(err)
	}
	method := everyHook(c.DModel, c.InnerDim(), c.DFF)
	g.spec.Method = method
	m, err := Train(g.spec)
	if err != nil {
		t.Fatal(err)
	}
	values := neutral(method)
	in := map[string]*onnx.Tensor{}
	for _, name := range []string{"input_ids", "attention_mask", "labels"} {
		in[name] = g.tensor(name, onnx.Int64)
	}
	g.weigh(in, "mean")
	want, err := orttest.Run(t, bare, in)["loss"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	in[prompt.PromptIndex] = onnx.Longs("", []int64{in["labels"].Dims[0]}, make([]int64, in["labels"].Dims[0]))
	loss := func() (float64, map[string]*onnx.Tensor) {
		for _, tr := range method.Trainables {
			dims := []int64{1}
			for _, d := range tr.Shape {
				dims = append(dims, d.Size)
			}
			in[tr.Input] = onnx.Floats("", dims, values[tr.Input])
		}
		out := orttest.Run(t, m, in)
		v, err := out["loss"].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return float64(v[0]), out
	}
	start, out := loss()
	if math.Abs(start-float64(want[0])) > 1e-5 {
		t.Errorf("at neutral values the loss is %.6f, that of the bare model %.6f", start, want[0])
	}
	for _, tr := range method.Trainables {
		grad, err := out["grad."+tr.Input].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		checkDirection(t, tr.Input, values[tr.Input], grad, func() float64 { l, _ := loss(); return l })
	}
}

// checkDirection moves values a little along their gradient and holds the
// change of the loss against what the gradient says.
func checkDirection(t *testing.T, name string, values, grad []float32, loss func() float64) {
	t.Helper()
	var square float64
	for _, g := range grad {
		square += float64(g) * float64(g)
	}
	if square == 0 {
		t.Errorf("%s: the gradient is 0, the hook does not reach the loss", name)
		return
	}
	keep := append([]float32(nil), values...)
	// A step that changes the loss by about 0.02: well above float32's noise,
	// small enough for the second order to cancel between the two sides.
	h := 0.01 / square
	at := func(sign float64) float64 {
		for i := range values {
			values[i] = keep[i] + float32(sign*h*float64(grad[i]))
		}
		return loss()
	}
	got := (at(1) - at(-1)) / (2 * h)
	copy(values, keep)
	if math.Abs(got-square) > 0.02*square {
		t.Errorf("%s: along the gradient the loss changes by %.5g, the gradient says %.5g", name, got, square)
	}
}
