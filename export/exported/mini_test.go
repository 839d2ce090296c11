package exported_test

import (
	"path/filepath"
	"testing"

	"softprompt/export/exported"
	"softprompt/models"
	"softprompt/onnx"
)

// A model of one attention layer with d_model 4 and 6 tokens, written as
// exporters write T5: sizes computed at run time, an Identity and a Cast too
// many, and in the merged decoder an If that holds both ways to run.

var (
	miniConfig = models.Config{DModel: 4, VocabSize: 6}
	miniFiles  = []string{"encoder_model.onnx", "decoder_model_merged.onnx"}
)

// numbers returns a tensor of small numbers.
func numbers(name string, dims ...int64) *onnx.Tensor {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	v := make([]float32, n)
	for i := range v {
		v[i] = float32((i*7+len(name))%11-5) / 8
	}
	return onnx.Floats(name, dims, v)
}

// attend adds attention over keys [B,K,4] from queries [B,Q,4] under a mask
// [B,K], with the sizes of heads asked for at run time.
func attend(b *onnx.Builder, queries, keys, mask string) string {
	heads := func(x string) string {
		size := func(axis int64) string { return b.Unsqueeze(b.Gather(b.ShapeOf(x), b.Int(axis), 0), 0) }
		return b.Transpose(b.Reshape(x, b.Concat(0, size(0), size(1), b.Ints(2), b.Ints(2))), 0, 2, 1, 3)
	}
	hidden := b.Mul(b.Sub(b.Float(1, queries), b.Cast(b.Unsqueeze(mask, 1, 2), onnx.Float32)), b.Float(-1e9, queries))
	scores := b.Add(b.MatMul(heads(queries), b.Transpose(heads(keys), 0, 1, 3, 2)), hidden)
	y := b.Transpose(b.MatMul(b.Softmax(scores, -1), heads(keys)), 0, 2, 1, 3)
	return b.Op("Identity", []string{b.Reshape(y, b.Concat(0, b.SizesOf(queries, 0, 1), b.Ints(-1), b.Ints(4)))})
}

func miniEncoder() *onnx.Model {
	b := onnx.NewBuilder(onnx.NewModel("encoder"))
	ids := b.Input("input_ids", onnx.Int64, onnx.Sym("batch_size"), onnx.Sym("sequence"))
	mask := b.Input("attention_mask", onnx.Int64, onnx.Sym("batch_size"), onnx.Sym("sequence"))
	flat := b.Reshape(ids, b.Concat(0, b.Ints(-1), b.SizesOf(ids, 1, 2)))
	x := b.Gather(b.Weight(numbers("embed_tokens.weight", 6, 4)), flat, 0)
	place := b.Op("Range", []string{b.Int(0), b.Gather(b.ShapeOf(ids), b.Int(1), 0), b.Int(1)})
	bias := b.Unsqueeze(b.Cast(place, onnx.Float32), 0, 2)
	x = b.Add(x, b.Relu(b.Mul(bias, b.Weight(numbers("bias", 4)))))
	b.Output("last_hidden_state", b.Add(x, attend(b, x, x, mask)))
	return finished(b)
}

// miniDecoder returns a decoder and, if merged, the same in a branch beside one
// that goes on from a cache.
func miniDecoder(merged bool) *onnx.Model {
	b := onnx.NewBuilder(onnx.NewModel("decoder"))
	rows, length := onnx.Sym("batch_size"), onnx.Sym("encoder_sequence_length")
	mask := b.Input("encoder_attention_mask", onnx.Int64, rows, length)
	ids := b.Input("input_ids", onnx.Int64, rows, onnx.Sym("decoder_sequence_length"))
	states := b.Input("encoder_hidden_states", onnx.Float32, rows, length, onnx.Size(4))
	table := b.Weight(numbers("shared.weight", 6, 4))
	x := b.Gather(table, ids, 0)
	x = b.Add(x, attend(b, x, states, mask))
	b.Output("logits", b.MatMul(x, b.Transpose(table, 1, 0)))
	b.Output("present.0.decoder.key", x)
	m := finished(b)
	if !merged {
		return m
	}
	inner, g := *m.Graph, m.Graph
	inner.Inputs, inner.Initializers, inner.Outputs = nil, nil, []onnx.Value{{Name: "logits.inner"}, {Name: "present.inner"}}
	for i, v := range g.Outputs {
		inner.Nodes = append(inner.Nodes, &onnx.Node{Op: "Identity", Inputs: []string{v.Name + ".0"}, Outputs: []string{inner.Outputs[i].Name}})
		for j, n := range inner.Nodes {
			for k, y := range n.Outputs {
				if y == v.Name {
					inner.Nodes[j].Outputs[k] = v.Name + ".0"
				}
			}
		}
	}
	past := &onnx.Graph{
		Name:    "then",
		Nodes:   []*onnx.Node{{Op: "Identity", Inputs: []string{"past_key_values.0.decoder.key"}, Outputs: []string{"a"}}, {Op: "Identity", Inputs: []string{"a"}, Outputs: []string{"b"}}},
		Outputs: []onnx.Value{{Name: "a"}, {Name: "b"}},
	}
	g.Inputs = append(g.Inputs,
		onnx.Value{Name: "past_key_values.0.decoder.key", Type: onnx.Float32, Shape: onnx.Shape{rows, onnx.Sym("past"), onnx.Size(4)}},
		onnx.Value{Name: "use_cache_branch", Type: onnx.Bool, Shape: onnx.Fixed(1)})
	g.Nodes = []*onnx.Node{{
		Name: "optimum::if", Op: "If", Inputs: []string{"use_cache_branch"}, Outputs: []string{"logits", "present.0.decoder.key"},
		Attrs: []onnx.Attr{{Name: "then_branch", Kind: onnx.AttrGraph, G: past}, {Name: "else_branch", Kind: onnx.AttrGraph, G: &inner}},
	}}
	return m
}

func finished(b *onnx.Builder) *onnx.Model {
	if err := b.Err(); err != nil {
		panic(err) // the test's own mistake
	}
	return b.Model
}

// write saves a model of two graphs to a folder, as it is.
func write(t testing.TB, encoder, decoder *onnx.Model) *models.Model {
	t.Helper()
	dir := t.TempDir()
	for i, m := range []*onnx.Model{encoder, decoder} {
		fatal(t, m.Save(filepath.Join(dir, miniFiles[i])))
	}
	return &models.Model{Dir: dir, Config: miniConfig, Files: models.Files{Format: models.ONNX, Weights: miniFiles}}
}

// operate writes a model and does the surgery.
func operate(t testing.TB, encoder, decoder *onnx.Model) (*exported.T5, error) {
	t.Helper()
	x, err := exported.Load(t.Context(), write(t, encoder, decoder))
	if err == nil {
		t.Cleanup(func() { x.Close() })
	}
	return x, err
}
