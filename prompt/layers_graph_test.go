package prompt

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
)

// threeSites are one attention of each kind.
var threeSites = []Site{
	{Stack: "encoder", Layer: 1, Part: SelfAttention}, {Stack: "decoder", Layer: 0, Part: SelfAttention}, {Stack: "decoder", Layer: 0, Part: CrossAttention},
}

// attend builds a method's keys and values at each of the sites, with the
// outputs key.0, value.0, bias.0 of the first and so on. The bias has the sizes
// of the scores that it can have, the keys [B,h,L,d_kv].
func attend(t *testing.T, m *Method, bias ...onnx.Dim) runner {
	t.Helper()
	return hookGraph(t, m, func(s *Site) {
		heads := []onnx.Dim{onnx.Sym("B"), onnx.Size(int64(hooked.NumHeads)), onnx.Sym("L"), onnx.Size(int64(hooked.DKV))}
		keys, values := s.B.Input("keys", onnx.Float32, heads...), s.B.Input("values", onnx.Float32, heads...)
		scores := s.B.Input("bias", onnx.Float32, bias...)
		for i, at := range threeSites {
			at.B, at.Made = s.B, s.Made
			k, v, b := m.KeysValues(&at, keys, values, scores)
			s.B.Output(fmt.Sprint("key.", i), k)
			s.B.Output(fmt.Sprint("value.", i), v)
			s.B.Output(fmt.Sprint("bias.", i), s.B.Identity(b))
		}
	})
}

// prefixByHand are the rows [P,h·d_kv] that a method lays before the keys or
// values of a site.
func prefixByHand(p *Prompt, site, which string) [][]float64 {
	if p.Method == MethodPrefix {
		return tensorRows(p, site+which)
	}
	stack, rest, _ := strings.Cut(site, ".")
	_, part, _ := strings.Cut(rest, ".")
	kind := stack + "." + part
	hidden := linearByHand(p, tensorRows(p, kind+".embedding"), kind+".hidden.weight", kind+".hidden.bias")
	each(hidden, func(_, _ int, v float64) float64 { return math.Tanh(v) })
	return linearByHand(p, hidden, site+which+".weight", site+which+".bias")
}

// TestPrefixRows: prefix tuning lays each head's part of its rows before the
// keys and values of each attention, and a bias of 0 before the scores', or the
// lowest where a prompt is padding.
func TestPrefixRows(t *testing.T) {
	for _, method := range []string{MethodPrefix, MethodPrefixMLP} {
		for form, dims := range map[string][]onnx.Dim{
			"padding":   {onnx.Sym("B"), onnx.Size(1), onnx.Size(1), onnx.Sym("L")},
			"positions": {onnx.Size(1), onnx.Size(int64(hooked.NumHeads)), onnx.Sym("Q"), onnx.Sym("L")},
		} {
			t.Run(method+"/"+form, func(t *testing.T) { testPrefixRows(t, methodOf(t, method, Sizes{Length: 3}), dims) })
		}
	}
}

func testPrefixRows(t *testing.T, m *Method, dims []onnx.Dim) {
	const length, tokens, queries = 3, 4, 2
	rows := []int64{0, 1, 1}
	sizes := map[string]int64{"B": 3, "L": tokens, "Q": queries}
	var shape []int64
	for _, d := range dims {
		shape = append(shape, max(d.Size, sizes[d.Sym]))
	}
	prompts := []*Prompt{randomPromptOf(m, 1), randomPromptOf(m, 2)}
	in := feed(m, rows, prompts...)
	in[PromptMask] = onnx.Floats("", []int64{2, length}, []float32{1, 1, 1, 0, 1, 1})
	heads, width := hooked.NumHeads, hooked.DKV
	in["keys"], in["values"] = drawn(5, 3, int64(heads), tokens, int64(width)), drawn(6, 3, int64(heads), tokens, int64(width))
	in["bias"] = drawn(7, shape...)
	run := attend(t, m, dims...)
	out := run(t, in)
	for i, s := range threeSites {
		for which, given := range map[string]string{"key": "keys", "value": "values"} {
			own, err := in[given].Float32s()
			if err != nil {
				t.Fatal(err)
			}
			after := rowsOf(own, tokens*width)
			var want [][]float64
			for b, k := range rows {
				laid := prefixByHand(prompts[k], s.name(), "."+which)
				for h := range heads {
					var row []float64
					for p := range length {
						row = append(row, laid[p][h*width:(h+1)*width]...)
					}
					want = append(want, append(row, after[b*heads+h]...))
				}
			}
			wantRows(t, s.name()+"."+which, out[fmt.Sprint(which, ".", i)].Float32s(), want)
		}
		given, err := in["bias"].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		after := rowsOf(given, tokens)
		var want [][]float64
		inner := int(shape[1] * shape[2])
		for b := range rows {
			before := []float64{0, 0, 0}
			if rows[b] == 1 {
				before[0] = -math.MaxFloat32
			}
			for j := range inner {
				want = append(want, append(slices.Clone(before), after[b%int(shape[0])*inner+j]...))
			}
		}
		wantRows(t, s.name()+" bias", out[fmt.Sprint("bias.", i)].Float32s(), want)
	}
}

// TestFoldedPrefix: what is kept of an MLP's prefix is a prompt of prefix tuning
// with the rows that the MLP makes, for every attention of the model.
func TestFoldedPrefix(t *testing.T) {
	m := methodOf(t, MethodPrefixMLP, Sizes{Length: 2, Hidden: 5})
	p := randomPromptOf(m, 4)
	folded, err := m.Fold(p)
	if err != nil {
		t.Fatal(err)
	}
	if folded.Method != MethodPrefix || folded.Meta.Extra["folded_from"] != MethodPrefixMLP {
		t.Errorf("a prompt of %s, %+v", folded.Method, folded.Meta)
	}
	if err := folded.fits(methodOf(t, MethodPrefix, Sizes{Length: 2})); err != nil {
		t.Error(err)
	}
	for _, x := range folded.Tensors {
		at := strings.LastIndex(x.Name, ".")
		wantRows(t, x.Name, x.Data, prefixByHand(p, x.Name[:at], x.Name[at:]))
	}
	p.Tensors[2].Shape[0]++
	if _, err := m.Fold(p); err == nil || !strings.HasPrefix(err.Error(), `folding a prompt of method prefix-mlp: tensor "encoder.self-attention.hidden.bias": shape [6], want`) {
		t.Errorf("a bias of another size: %v", err)
	}
}

// TestIA3Scales: keys, values and hidden activations are multiplied by the
// vectors of their own place and of the row's own prompt, and nothing else is
// changed.
func TestIA3Scales(t *testing.T) {
	m := methodOf(t, MethodIA3, Sizes{})
	run := attend(t, m, onnx.Sym("B"), onnx.Size(1), onnx.Size(1), onnx.Sym("L"))
	const tokens = 3
	rows := []int64{1, 0}
	prompts := []*Prompt{randomPromptOf(m, 1), randomPromptOf(m, 2)}
	in := feed(m, rows, prompts...)
	heads, width := hooked.NumHeads, hooked.DKV
	in["keys"], in["values"] = drawn(5, 2, int64(heads), tokens, int64(width)), drawn(6, 2, int64(heads), tokens, int64(width))
	in["bias"] = drawn(7, 2, 1, 1, tokens)
	out := run(t, in)
	for i, s := range threeSites {
		for which, given := range map[string]string{"key": "keys", "value": "values"} {
			own, err := in[given].Float32s()
			if err != nil {
				t.Fatal(err)
			}
			want := each(rowsOf(own, width), func(at, j int, v float64) float64 {
				b, h := at/tokens/heads, at/tokens%heads
				return v * float64(prompts[rows[b]].Tensor(s.name() + "." + which).Data[h*width+j])
			})
			wantRows(t, s.name()+"."+which, out[fmt.Sprint(which, ".", i)].Float32s(), want)
		}
		bias, err := in["bias"].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		wantRows(t, "the bias", out[fmt.Sprint("bias.", i)].Float32s(), rowsOf(bias, tokens))
	}

	site := Site{Stack: "decoder", Layer: 0, Part: FeedForward}
	run = hookGraph(t, m, func(s *Site) {
		site.B = s.B
		s.B.Output("y", m.Hidden(&site, s.B.Input("h", onnx.Float32, onnx.Sym("B"), onnx.Sym("L"), onnx.Size(int64(hooked.DFF)))))
	})
	in = feed(m, rows, prompts...)
	in["h"] = drawn(8, 2, tokens, int64(hooked.DFF))
	h, err := in["h"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, "hidden", run(t, in)["y"].Float32s(), each(rowsOf(h, hooked.DFF), func(at, j int, v float64) float64 {
		return v * float64(prompts[rows[at/tokens]].Tensor("decoder.0.feed-forward.hidden").Data[j])
	}))
}

// TestLayerRows: before an encoder layer the positions of the prompt are
// overwritten, or added to, by the layer's vectors; those of the text, and the
// decoder, are left alone.
func TestLayerRows(t *testing.T) {
	const length, tokens = 2, 3
	for _, method := range []string{MethodPerLayer, MethodPerLayerAdd} {
		m := methodOf(t, method, Sizes{Length: length})
		places := []Site{{Stack: "encoder", Layer: 0}, {Stack: "encoder", Layer: 1}, {Stack: "decoder", Layer: 0}}
		run := hookGraph(t, m, func(s *Site) {
			h := s.B.Input("h", onnx.Float32, onnx.Sym("B"), onnx.Sym("E"), onnx.Size(int64(hooked.DModel)))
			for i, at := range places {
				at.B = s.B
				s.B.Output(fmt.Sprint(i), s.B.Identity(m.LayerInput(&at, h)))
			}
		})
		rows := []int64{1, 0}
		prompts := []*Prompt{randomPromptOf(m, 1), randomPromptOf(m, 2)}
		in := feed(m, rows, prompts...)
		in["h"] = drawn(5, 2, length+tokens, int64(hooked.DModel))
		stream, err := in["h"].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		out := run(t, in)
		for i, at := range places {
			name := fmt.Sprintf("encoder.%d.prompt", at.Layer)
			if method == MethodPerLayer && at.Layer == 0 {
				name = TensorPrompt
			}
			want := each(rowsOf(stream, hooked.DModel), func(r, j int, v float64) float64 {
				b, p := r/(length+tokens), r%(length+tokens)
				if at.Stack == "decoder" || p >= length {
					return v
				}
				own := float64(prompts[rows[b]].Tensor(name).Data[p*hooked.DModel+j])
				if method == MethodPerLayerAdd {
					own += v
				}
				return own
			})
			wantRows(t, fmt.Sprint(method, " before ", at.name()), out[fmt.Sprint(i)].Float32s(), want)
		}
	}
}

// TestTunedWeights: model tuning puts its own tensor in the place of each weight
// of the model, and leaves what is no weight.
func TestTunedWeights(t *testing.T) {
	m := methodOf(t, MethodModel, Sizes{})
	run := hookGraph(t, m, func(s *Site) {
		norm := s.B.Input("norm", onnx.Float32, onnx.Size(int64(hooked.DModel)))
		s.B.Output("tuned", m.Weight(s, "encoder.final_layer_norm.weight", norm))
		s.B.Output("other", s.B.Identity(m.Weight(s, "lm_head.weight", norm))) // tied: the model has none
	})
	p := randomPromptOf(m, 3)
	in := feed(m, []int64{0}, p)
	in["norm"] = drawn(4, int64(hooked.DModel))
	norm, err := in["norm"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	out := run(t, in)
	if got := out["tuned"]; !slices.Equal(got.Float32s(), p.Tensor("encoder.final_layer_norm.weight").Data) || len(got.Shape()) != 1 {
		t.Errorf("tuned: %v", got)
	}
	if !slices.Equal(out["other"].Float32s(), norm) {
		t.Error("what is no weight was replaced")
	}
}

// TestOnce: a value that several places share is made once for each key, outside
// any layer, and by each place where the graph remembers nothing.
func TestOnce(t *testing.T) {
	s := &Site{B: onnx.NewBuilder(onnx.NewModel("g")), Made: map[string]string{}}
	s.B.Block = "encoder.1"
	made := 0
	build := func() string {
		made++
		if s.B.Block != "prompt" {
			t.Errorf("made in block %q", s.B.Block)
		}
		return fmt.Sprint("value ", made)
	}
	if a, b, c := s.Once("x", build), s.Once("x", build), s.Once("y", build); a != "value 1" || b != "value 1" || c != "value 2" {
		t.Errorf("%s, %s, %s", a, b, c)
	}
	s.Made = nil
	if a, b := s.Once("x", build), s.Once("x", build); a == b || s.B.Block != "encoder.1" {
		t.Errorf("%s, %s, block %q", a, b, s.B.Block)
	}
}
