package export

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// recomputed returns a training step without and with recomputation.
func recomputed(t *testing.T, spec Spec) (plain, again *onnx.Model) {
	t.Helper()
	var m [2]*onnx.Model
	for i, recompute := range []bool{false, true} {
		spec.Recompute = recompute
		var err error
		if m[i], err = Train(spec); err != nil {
			t.Fatal(err)
		}
		if err := onnx.Validate(m[i]); err != nil {
			t.Fatal(err)
		}
	}
	return m[0], m[1]
}

// runOnce runs a model once on one thread.
func runOnce(t *testing.T, m *onnx.Model, inputs map[string]*onnx.Tensor, level ort.Level) map[string]*ort.Tensor {
	t.Helper()
	s := orttest.Session(t, m, ort.Config{Optimize: level, Threads: 1})
	in, out := map[string]*ort.Tensor{}, map[string]*ort.Tensor{}
	for name, c := range inputs {
		x, err := ort.FromONNX(c)
		if err != nil {
			t.Fatal(err)
		}
		in[name] = x
	}
	for _, v := range s.Outputs() {
		out[v.Name] = nil
	}
	if err := s.Run(t.Context(), in, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRecompute: every golden case gives what it gives without, to the bit,
// dropout and all, and every layer of both stacks is computed again.
func TestRecompute(t *testing.T) {
	every(t, func(t *testing.T, g *golden, _ string) {
		plain, again := recomputed(t, g.spec)
		in := g.inputs(plain)
		sameOutputs(t, t.Name(), runOnce(t, again, in, ort.LevelBasic), runOnce(t, plain, in, ort.LevelBasic))
		layers := map[string]int{}
		for _, n := range again.Graph.Nodes {
			if strings.HasSuffix(n.Name, "/again") {
				layers[grad.Layer(n.Block)]++
			}
		}
		if want := g.spec.Config.NumLayers + g.spec.Config.NumDecoderLayers; len(layers) != want {
			t.Errorf("computed again: %v, want %d layers", layers, want)
		}
	})
}

// TestRecomputeRank: the same where candidates share an encoder, and with
// standard operators alone.
func TestRecomputeRank(t *testing.T) {
	for _, standard := range []bool{false, true} {
		g := openGolden(t, "v1_1-3x1", "io")
		g.spec.Rank, g.spec.Standard = true, standard
		plain, again := recomputed(t, g.spec)
		in, _ := rankBatch(t, g, plain)
		sameOutputs(t, fmt.Sprint("standard ", standard), runOnce(t, again, in, ort.LevelBasic), runOnce(t, plain, in, ort.LevelBasic))
	}
}

// TestRecomputeMemory looks at what the runtime holds in a step of 8+8 layers:
// less than two fifths of what it holds without, and no copy is merged with its
// original, sizes of tensors excepted. A part is held to the end whatever is
// computed again: what the decoder's layers leave for the one product that is
// their gradient in the encoder's states.
func TestRecomputeMemory(t *testing.T) {
	for _, name := range []string{"v1_0-8x8", "v1_1-8x8"} {
		g := openGolden(t, name, "io")
		plain, again := recomputed(t, g.spec)
		in := g.inputs(plain)
		for _, level := range []ort.Level{ort.LevelNone, ort.LevelBasic} {
			before := orttest.Peak(plain, orttest.Trace(t, plain, in, level))
			ran := orttest.Trace(t, again, in, level)
			after := orttest.Peak(again, ran)
			t.Logf("%s, level %v: a peak of %d bytes, %d without recomputation", name, level, after, before)
			if after*5 > before*2 {
				t.Errorf("%s, level %v: a peak of %d bytes, %d without recomputation", name, level, after, before)
			}
			names := map[string]bool{}
			for _, r := range ran {
				names[r.Node] = true
			}
			types := onnx.NewBuilder(again)
			for _, n := range again.Graph.Nodes {
				if types.Type(n.Output(0)) != onnx.Int64 && strings.HasSuffix(n.Name, "/again") && (!names[n.Name] || !names[n.From]) {
					t.Errorf("%s, level %v: the runtime made one of %s and %s", name, level, n.From, n.Name)
				}
			}
		}
	}
}

// TestRecomputeExported: graphs that are used as they stand have layers too, if
// the names of their nodes tell. Those of a dynamo export do not, and it is
// left as it is.
func TestRecomputeExported(t *testing.T) {
	nodes := map[string]int{"t5-opset18": 60, "umt5": 60, "t5-v1_1-optimized-all": 60, "t5-v1_1-dynamo": 0}
	for _, f := range exportedFixtures(t) {
		least, ok := nodes[f.Name]
		if !ok {
			continue
		}
		delete(nodes, f.Name)
		g := f.open(t, OpenGraphs)
		plain, again := recomputed(t, g.spec)
		in := g.inputs(plain)
		sameOutputs(t, f.Name, runOnce(t, again, in, ort.LevelNone), runOnce(t, plain, in, ort.LevelNone))
		// Rewriting depends on how often a value is read, and rounds otherwise.
		got := runOnce(t, again, in, ort.LevelBasic)
		for name, want := range runOnce(t, plain, in, ort.LevelBasic) {
			values, err := want.ONNX(name).Float32s()
			if err != nil {
				t.Fatal(err)
			}
			close(t, f.Name+" "+name, got[name].ONNX(name), values)
		}
		if extra := len(again.Graph.Nodes) - len(plain.Graph.Nodes); extra < least || least == 0 && extra > 0 {
			t.Errorf("%s: %d nodes more, want %d or more", f.Name, extra, least)
		}
	}
	if len(nodes) > 0 {
		t.Errorf("models that are not there: %v", nodes)
	}
}

// sameOutputs compares all outputs to the bit.
func sameOutputs(t *testing.T, what string, got, want map[string]*ort.Tensor) {
	t.Helper()
	for name := range want {
		if !bytes.Equal(got[name].ONNX(name).Data, want[name].ONNX(name).Data) {
			t.Errorf("%s: %s is not what it is without recomputation", what, name)
		}
	}
}
