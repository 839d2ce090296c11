package exported_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/export/exported"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// batch has what the mini model takes: b rows of e tokens, the last ones of
// odd rows masked, and t decoder tokens.
func batch(b, e, t int) (ids, mask, decoderIDs *onnx.Tensor) {
	var x, m, y []int64
	for r := range b {
		for i := range e {
			x = append(x, int64(r*5+i*3)%6)
			m = append(m, int64(1-r%2*bit(i > 0 && i == e-1)))
		}
		for i := range t {
			y = append(y, int64(r+i*2)%6)
		}
	}
	return onnx.Longs("", []int64{int64(b), int64(e)}, x), onnx.Longs("", []int64{int64(b), int64(e)}, m), onnx.Longs("", []int64{int64(b), int64(t)}, y)
}

func bit(v bool) int {
	if v {
		return 1
	}
	return 0
}

// answers runs a model before surgery, and returns states and logits.
func answers(t testing.TB, enc, dec *onnx.Model, ids, mask, decoderIDs *onnx.Tensor) (states, logits *onnx.Tensor) {
	t.Helper()
	states = orttest.Run(t, enc, map[string]*onnx.Tensor{"input_ids": ids, "attention_mask": mask})["last_hidden_state"]
	in := map[string]*onnx.Tensor{"input_ids": decoderIDs, "encoder_attention_mask": mask, "encoder_hidden_states": states}
	for _, v := range dec.Graph.Inputs {
		switch v.Name {
		case "past_key_values.0.decoder.key":
			in[v.Name] = onnx.Floats("", []int64{ids.Dims[0], 0, 4}, nil)
		case "use_cache_branch":
			in[v.Name] = &onnx.Tensor{Type: onnx.Bool, Dims: []int64{1}, Data: []byte{0}}
		}
	}
	return states, orttest.Run(t, dec, in)["logits"]
}

// same holds a model after surgery against what it answered before.
func same(t testing.TB, x *exported.T5, enc, dec *onnx.Model, b, e, length int, tolerance float64) {
	t.Helper()
	ids, mask, decoderIDs := batch(b, e, length)
	states, logits := answers(t, enc, dec, ids, mask, decoderIDs)
	got := orttest.Run(t, x.Encoder, feed(t, x.Encoder, map[string]*onnx.Tensor{"inputs_embeds": embed(t, x, ids), "attention_mask": mask}))
	near(t, "last_hidden_state", got["last_hidden_state"], states, tolerance)
	got = orttest.Run(t, x.Decoder, feed(t, x.Decoder, map[string]*onnx.Tensor{
		"input_ids": decoderIDs, "encoder_hidden_states": states, "encoder_attention_mask": mask,
	}))
	near(t, "logits", got["logits"], logits, tolerance)
}

// TestForms: the same model in the forms that exporters give it.
func TestForms(t *testing.T) {
	for name, change := range map[string]func(enc, dec *onnx.Model){
		"plain":                     func(_, _ *onnx.Model) {},
		"constants in nodes":        constantsInNodes,
		"a branch known beforehand": branchKnown,
		"names used twice":          namesUsedTwice,
		"constants among inputs": func(enc, _ *onnx.Model) {
			for _, w := range enc.Graph.Initializers {
				enc.Graph.Inputs = append(enc.Graph.Inputs, onnx.Value{Name: w.Name, Type: w.Type, Shape: w.Shape()})
			}
		},
		"masks of another type": func(enc, _ *onnx.Model) {
			for _, n := range enc.Graph.Nodes {
				if n.Op == "Cast" && strings.HasPrefix(n.Input(0), "Unsqueeze") {
					n.Inputs[0] = "wide"
				}
			}
			i := slices.IndexFunc(enc.Graph.Nodes, func(n *onnx.Node) bool { return n.Op == "Unsqueeze" && n.Input(0) == "attention_mask" })
			enc.Graph.Nodes = slices.Insert(enc.Graph.Nodes, i+1, &onnx.Node{
				Op: "Cast", Inputs: enc.Graph.Nodes[i].Outputs[:1], Outputs: []string{"wide"}, Attrs: []onnx.Attr{onnx.IntAttr("to", int64(onnx.Int32))},
			})
		},
		"opset 23": func(enc, dec *onnx.Model) {
			enc.Opset[""], dec.Opset[""], enc.IRVersion, dec.IRVersion = 23, 23, 11, 11
		},
	} {
		for _, merged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, merged %v", name, merged), func(t *testing.T) {
				enc, dec := miniEncoder(), miniDecoder(merged)
				change(enc, dec)
				x, err := operate(t, enc, dec)
				fatal(t, err)
				same(t, x, miniEncoder(), miniDecoder(merged), 3, 5, 2, 1e-6)
				for _, m := range []*onnx.Model{x.Encoder, x.Decoder} {
					for _, n := range m.Graph.Nodes {
						if op := n.Op; op == "If" || op == "Constant" || op == "Identity" && n.Output(0) != "last_hidden_state" && n.Output(0) != "logits" {
							t.Errorf("%s: %v is left", m.Graph.Name, n)
						}
					}
				}
			})
		}
	}
}

// constantsInNodes moves the initializers into Constant nodes.
func constantsInNodes(enc, dec *onnx.Model) {
	for _, m := range []*onnx.Model{enc, dec} {
		var nodes []*onnx.Node
		for _, w := range m.Graph.Initializers {
			nodes = append(nodes, &onnx.Node{Op: "Constant", Outputs: []string{w.Name}, Attrs: []onnx.Attr{onnx.TensorAttr("value", w)}})
		}
		m.Graph.Initializers = nil
		before(m, nodes...)
	}
}

// branchKnown puts an If into the encoder whose condition is a matter of the
// rank of a value.
func branchKnown(enc, _ *onnx.Model) {
	at := slices.Index(enc.Graph.Nodes, find(enc, "Relu"))
	out := enc.Graph.Nodes[at].Output(0)
	swap(enc, out, "chosen")
	choice := ifNode("is three", out, "chosen")
	choice.Attrs[0].G.Nodes[0].Op = "Identity"
	enc.Graph.Initializers = append(enc.Graph.Initializers, onnx.Longs("three", nil, []int64{3}))
	enc.Graph.Nodes = slices.Insert(enc.Graph.Nodes, at+1,
		&onnx.Node{Op: "Shape", Inputs: []string{out}, Outputs: []string{"its shape"}},
		&onnx.Node{Op: "Size", Inputs: []string{"its shape"}, Outputs: []string{"its rank"}},
		&onnx.Node{Op: "Equal", Inputs: []string{"its rank", "three"}, Outputs: []string{"is three"}},
		choice)
}

// namesUsedTwice gives values inside the merged decoder's branch the names of
// values outside it.
func namesUsedTwice(_, dec *onnx.Model) {
	n := dec.Graph.Nodes[0]
	if n.Op != "If" {
		return
	}
	g := n.Attrs[1].G
	for _, inner := range g.Nodes {
		if inner.Op == "Softmax" {
			old := inner.Outputs[0]
			inner.Outputs[0] = "use_cache_branch"
			for _, reader := range g.Nodes {
				for i, x := range reader.Inputs {
					if x == old {
						reader.Inputs[i] = "use_cache_branch"
					}
				}
			}
		}
	}
}

// TestSizes: rows and lengths are free, that of a single row or position too.
func TestSizes(t *testing.T) {
	enc, dec := miniEncoder(), miniDecoder(true)
	x, err := operate(t, enc, dec)
	fatal(t, err)
	encode, decode := orttest.Session(t, x.Encoder, ort.Config{}), orttest.Session(t, x.Decoder, ort.Config{})
	rapid.Check(t, func(r *rapid.T) {
		b, e, length := int64(rapid.IntRange(1, 5).Draw(r, "B")), int64(rapid.IntRange(1, 9).Draw(r, "E")), int64(rapid.IntRange(1, 6).Draw(r, "T"))
		_, mask, ids := batch(int(b), int(e), int(length))
		states := run(t, encode, map[string]*onnx.Tensor{"inputs_embeds": numbers("", b, e, 4), "attention_mask": mask}, "last_hidden_state")
		if !slices.Equal(states.Dims, []int64{b, e, 4}) {
			r.Fatalf("states of %d rows and %d positions have shape %v", b, e, states.Dims)
		}
		logits := run(t, decode, map[string]*onnx.Tensor{"input_ids": ids, "encoder_hidden_states": states, "encoder_attention_mask": mask}, "logits")
		if !slices.Equal(logits.Dims, []int64{b, length, 6}) {
			r.Fatalf("logits of %d rows and %d positions have shape %v", b, length, logits.Dims)
		}
	})
}

// run runs a session for one output.
func run(t testing.TB, s *ort.Session, in map[string]*onnx.Tensor, output string) *onnx.Tensor {
	t.Helper()
	feeds := map[string]*ort.Tensor{}
	for name, x := range in {
		v, err := ort.FromONNX(x)
		fatal(t, err)
		feeds[name] = v
	}
	out := map[string]*ort.Tensor{output: nil}
	fatal(t, s.Run(t.Context(), feeds, out))
	return out[output].ONNX(output)
}

// TestFloat16: a model in float16, with casts at its borders, computes in
// float32 after surgery, and no cast of floats is left.
func TestFloat16(t *testing.T) {
	enc, dec := miniEncoder(), miniDecoder(true)
	wideEnc, wideDec := miniEncoder(), miniDecoder(true)
	for _, m := range []*onnx.Model{enc, dec} {
		for i, w := range m.Graph.Initializers {
			m.Graph.Initializers[i] = half(t, w)
		}
		halveNodes(t, m.Graph.Nodes)
	}
	for _, c := range []struct {
		m       *onnx.Model
		in, out string
	}{{enc, "", "last_hidden_state"}, {dec, "encoder_hidden_states", "logits"}} {
		if c.in != "" {
			swapDeep(c.m.Graph, c.in, "narrow")
			before(c.m, &onnx.Node{Op: "Cast", Inputs: []string{c.in}, Outputs: []string{"narrow"}, Attrs: []onnx.Attr{onnx.IntAttr("to", int64(onnx.Float16))}})
		}
		for _, n := range c.m.Graph.Nodes {
			for i, y := range n.Outputs {
				if y == c.out {
					n.Outputs[i] = "narrow.y"
				}
			}
		}
		c.m.Graph.Nodes = append(c.m.Graph.Nodes, &onnx.Node{Op: "Cast", Inputs: []string{"narrow.y"}, Outputs: []string{c.out}, Attrs: []onnx.Attr{onnx.IntAttr("to", int64(onnx.Float32))}})
		if i := slices.IndexFunc(c.m.Graph.Outputs, func(v onnx.Value) bool { return v.Name == "present.0.decoder.key" }); i >= 0 {
			c.m.Graph.Outputs[i].Type = onnx.Float16
		}
	}
	x, err := operate(t, enc, dec)
	fatal(t, err)
	same(t, x, wideEnc, wideDec, 2, 4, 3, 1e-6) // the weights are exact in float16
	for _, m := range []*onnx.Model{x.Encoder, x.Decoder} {
		for _, n := range m.Graph.Nodes {
			if n.Op == "Cast" && !strings.HasPrefix(n.Input(0), "Unsqueeze") && !strings.HasPrefix(n.Input(0), "Range") {
				t.Errorf("%v is left", n)
			}
		}
	}
	if !slices.ContainsFunc(x.Notes, func(s string) bool { return strings.Contains(s, "of float16 to float32") }) {
		t.Errorf("the notes do not say that weights were widened: %q", x.Notes)
	}
}

// half returns a tensor in float16, unless it is of integers.
func half(t testing.TB, w *onnx.Tensor) *onnx.Tensor {
	t.Helper()
	if w.Type != onnx.Float32 {
		return w
	}
	values, err := w.Float32s()
	fatal(t, err)
	c := *w
	c.Type, c.Data = onnx.Float16, nil
	for _, v := range values {
		c.Data = binary.LittleEndian.AppendUint16(c.Data, models.Float32ToFloat16(max(v, -65504)))
	}
	return &c
}

// halveNodes makes float16 of the float32 that nodes name.
func halveNodes(t testing.TB, nodes []*onnx.Node) {
	for _, n := range nodes {
		for i, a := range n.Attrs {
			switch {
			case a.Kind == onnx.AttrInt && a.Name == "to" && a.I == int64(onnx.Float32):
				n.Attrs[i].I = int64(onnx.Float16)
			case a.T != nil:
				n.Attrs[i].T = half(t, a.T)
			case a.G != nil:
				halveNodes(t, a.G.Nodes)
			}
		}
	}
}

// swapDeep is swap for the graphs in nodes, too.
func swapDeep(g *onnx.Graph, x, y string) {
	for _, n := range g.Nodes {
		for i, in := range n.Inputs {
			if in == x {
				n.Inputs[i] = y
			}
		}
		for _, a := range n.Attrs {
			if a.G != nil {
				swapDeep(a.G, x, y)
			}
		}
	}
}

// TestQuantisedTable: bytes are looked up, and made numbers after or before.
func TestQuantisedTable(t *testing.T) {
	table := &onnx.Tensor{Name: "bytes", Type: onnx.Uint8, Dims: []int64{6, 4}, Data: []byte("abcdefghijklmnopqrstuvwx")}
	zero := &onnx.Tensor{Name: "zero", Type: onnx.Uint8, Data: []byte{'l'}}
	scale := onnx.Floats("scale", nil, []float32{0.125})
	for _, first := range []bool{true, false} {
		enc := miniEncoder()
		enc.Graph.Initializers = append(enc.Graph.Initializers, table, zero, scale)
		n := find(enc, "Gather")
		i := slices.Index(enc.Graph.Nodes, n)
		if first {
			n.Inputs[0] = "floats"
			enc.Graph.Nodes = slices.Insert(enc.Graph.Nodes, i, &onnx.Node{Op: "DequantizeLinear", Inputs: []string{"bytes", "scale", "zero"}, Outputs: []string{"floats"}})
		} else {
			x := n.Outputs[0]
			n.Inputs[0], n.Outputs[0] = "bytes", "picked"
			enc.Graph.Nodes = slices.Insert(enc.Graph.Nodes, i+1, &onnx.Node{Op: "DequantizeLinear", Inputs: []string{"picked", "scale", "zero"}, Outputs: []string{x}})
		}
		x, err := operate(t, enc, miniDecoder(false))
		fatal(t, err)
		same(t, x, enc, miniDecoder(false), 2, 3, 1, 1e-6)
		if e := x.Embedding; e.Table.Name != "bytes" || e.Scale == nil || e.ZeroPoint == nil || e.Scale.Name != "scale" {
			t.Errorf("the embedding is %+v", e)
		}
		fatal(t, x.Differentiable()) // the bytes are outside what is trained
	}
}
