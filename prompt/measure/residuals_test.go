package measure

import (
	"fmt"
	"testing"

	"softprompt/export"
	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt/tune"
)

// TestResidualsOfTiny: every sub-layer hands the stream on once, and its
// gradient flows wherever the prompt reaches.
func TestResidualsOfTiny(t *testing.T) {
	for _, rank := range []bool{false, true} {
		spec := tinySpec(t)
		spec.Rank = rank
		m, err := export.Train(spec)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"encoder"}
		for i := range spec.Config.NumLayers {
			want = append(want, fmt.Sprintf("encoder.%d.self-attention", i), fmt.Sprintf("encoder.%d.feed-forward", i))
		}
		want = append(want, "decoder")
		for i := range spec.Config.NumDecoderLayers {
			want = append(want, fmt.Sprintf("decoder.%d.self-attention", i), fmt.Sprintf("decoder.%d.cross-attention", i), fmt.Sprintf("decoder.%d.feed-forward", i))
		}
		got := Residuals(m)
		if len(got) != len(want) {
			t.Fatalf("%d sites, want %d: %+v", len(got), len(want), got)
		}
		for i, s := range got {
			if s.Block != want[i] {
				t.Errorf("site %d is %s, want %s", i, s.Block, want[i])
			}
			// What the decoder makes before it looks at the encoder is not the
			// prompt's doing.
			if flows := s.Block != "decoder" && s.Block != "decoder.0.self-attention"; (s.Gradient != "") != flows {
				t.Errorf("site %s has the gradient %q", s.Block, s.Gradient)
			}
		}
	}
}

// TestResidualGradients holds the gradients that are found against those that
// grad.Reverse gives when asked for them.
func TestResidualGradients(t *testing.T) {
	ctx, rt := t.Context(), orttest.Runtime(t)
	steps, err := tune.NewStepperOf(ctx, rt, madeUp(), 5, 3, options())
	if err != nil {
		t.Fatal(err)
	}
	defer steps.Close()
	m, err := steps.Graph(ctx, export.FP32)
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := steps.Inputs()
	if err != nil {
		t.Fatal(err)
	}
	forward, g := *m, *m.Graph
	forward.Graph = &g
	g.Nodes, g.Outputs = nil, nil
	for _, n := range m.Graph.Nodes {
		if n.From == "" {
			g.Nodes = append(g.Nodes, n)
		}
	}
	for _, v := range m.Graph.Outputs {
		if v.Name == "loss" {
			g.Outputs = append(g.Outputs, v)
		}
	}
	var wrt, found, asked []string
	for _, s := range Residuals(m) {
		if s.Gradient != "" {
			wrt = append(wrt, s.Value)
			found = append(found, s.Gradient)
			asked = append(asked, grad.Prefix+s.Value)
		}
	}
	reversed, err := grad.Reverse(&forward, "loss", wrt)
	if err != nil {
		t.Fatal(err)
	}
	want, err := values(ctx, rt, reversed, inputs, asked)
	if err != nil {
		t.Fatal(err)
	}
	got, err := values(ctx, rt, m, inputs, found)
	if err != nil {
		t.Fatal(err)
	}
	for i := range wrt {
		e, err := ErrorOf(got[found[i]], want[asked[i]])
		if err != nil || e.Largest > 1e-5 {
			t.Errorf("gradient in %s: %+v, %v", wrt[i], e, err)
		}
	}
	if len(wrt) != 20 {
		t.Errorf("%d gradients were compared", len(wrt))
	}
}

func TestResidualsOfOthers(t *testing.T) {
	// A norm of an input, with nothing before it.
	b := onnx.NewBuilder(onnx.NewModel("norm"))
	x := b.Input("x", onnx.Float32, onnx.Size(2))
	y, _ := b.RMSNorm(x, b.Const(onnx.Floats("", []int64{2}, []float32{1, 1})), 1e-6)
	b.Output("y", y)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	if got := Residuals(b.Model); len(got) != 0 {
		t.Errorf("an input is no residual stream: %+v", got)
	}
	// A graph that does not hold together.
	bad := onnx.NewModel("bad")
	bad.Graph.Nodes = []*onnx.Node{{Op: "MatMul", Outputs: []string{"y"}}}
	if got := Residuals(bad); got != nil {
		t.Errorf("a broken graph has %+v", got)
	}
}
