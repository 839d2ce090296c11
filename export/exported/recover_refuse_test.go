package exported

import (
	"log/slog"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
)

// at returns forms that change one value of a model.
func at(place string, change func(a *author, v string) string) forms {
	f := plainForms()
	f.touch = func(a *author, p, v string) string {
		if p == place {
			return change(a, v)
		}
		return v
	}
	return f
}

// constant adds a constant of its own, not a weight of the T5.
func (a *author) constant(dims ...int64) string {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	return a.Weight(onnx.Floats(strings.Repeat("x", 1+len(a.Model.Graph.Initializers)), dims, pseudo("extra", n)))
}

// TestRecoverRefuses: what is nearly a T5 is refused, and the reason names
// what it is that does not fit.
func TestRecoverRefuses(t *testing.T) {
	const q = "encoder.block.1.layer.0.SelfAttention.q"
	config := func(change func(c *models.Config)) models.Config {
		c := smallConfig()
		change(&c)
		return c
	}
	same := config(func(*models.Config) {})
	for name, c := range map[string]struct {
		forms
		written, said models.Config
		want          string
	}{
		"an adapter beside q": {forms: at(q, func(a *author, v string) string {
			return a.Add(v, a.MatMul(a.MatMul(v, a.constant(6, 2)), a.constant(2, 6)))
		}), want: "encoder.block.1.layer.0: q: found Add node"},
		"an adapter beside o": {forms: at("encoder.block.0.layer.0.SelfAttention.o", func(a *author, v string) string {
			return a.Add(v, a.MatMul(v, a.constant(8, 8)))
		}), want: "adds no product with a weight"},
		"an adapter behind the stream": {forms: at("encoder.block.0.layer.1", func(a *author, v string) string {
			return a.Add(a.MatMul(v, a.constant(8, 8)), a.MatMul(v, a.constant(8, 8)))
		}), want: "adds two products"},
		"a bias on q": {forms: at(q, func(a *author, v string) string { return a.Add(v, a.constant(6)) }), want: "q: found Add node"},
		"a bias on the hidden layer": {forms: at("decoder.block.0.layer.2.DenseReluDense.hidden", func(a *author, v string) string {
			return a.Add(v, a.constant(10))
		}), want: "[10] is no single number"},
		"a bias on the logits": {forms: at("logits", func(a *author, v string) string { return a.Add(v, a.constant(11)) }), want: "where the head's product was wanted"},
		"scaled logits":        {forms: at("logits", func(a *author, v string) string { return a.Scale(v, 0.5) }), want: "scaled by 0.5, wanted 1 or d_model^-0.5"},
		"scaled scores":        {forms: at("encoder.block.0.layer.0.SelfAttention.scores", func(a *author, v string) string { return a.Scale(v, 0.577) }), want: "scores are scaled by 0.577"},
		"scaled values":        {forms: at("encoder.block.0.layer.0.SelfAttention.v", func(a *author, v string) string { return a.Scale(v, 2) }), want: "values are scaled by 2"},
		"scaled embeddings":    {forms: at("embedding", func(a *author, v string) string { return a.Scale(v, 2) }), want: "found Mul node"},
		"positions added":      {forms: at("embedding", func(a *author, v string) string { return a.Add(v, a.constant(1, 1, 8)) }), want: "below the 2 layers"},
		"scaled position bias": {forms: at("position bias", func(a *author, v string) string { return a.Scale(v, 2) }), want: "no bias by relative position"},
		"a second bias":        {forms: at("position bias", func(a *author, v string) string { return a.Add(v, a.constant(2, 1, 1)) }), want: "float32[2 1 1], which is no weight of a T5"},
		"a bias of hidden states": {forms: at("encoder.block.1.layer.0.SelfAttention.scores", func(a *author, v string) string {
			return a.Add(v, a.Relu(v))
		}), want: "depends on hidden states"},
		"a sum that doubles": {forms: at("encoder.block.1.layer.0.SelfAttention.scores", func(a *author, v string) string {
			x := a.float(1)
			for range 60 {
				x = a.Add(x, x)
			}
			return a.Add(v, x)
		}), want: "more than 100 terms"},
		"other buckets": {forms: at("buckets", func(a *author, v string) string { return a.Max(v, a.Int(3)) }), want: "falls in bucket 3"},
		"buckets of nothing": {forms: at("buckets", func(a *author, v string) string {
			return a.Cast(a.Input("buckets", onnx.Float32, onnx.Sym("Q"), onnx.Sym("K")), onnx.Int64)
		}), want: "reading its buckets"},
		"a mean subtracted": {forms: withNorm(func(a *author, x, w string) string { return arithmeticNorm(a, a.Sub(x, a.ReduceMean(x, true, -1)), w) }), want: "the final norm"},
		"a norm over positions": {forms: withNorm(func(a *author, x, w string) string {
			return a.Mul(a.Div(x, a.Sqrt(a.Add(a.ReduceMean(a.Mul(x, x), true, 1), a.float(1e-6)))), a.weight(w))
		}), want: "not over the last axis"},
		"a mean of cubes": {forms: withNorm(func(a *author, x, w string) string {
			return a.Mul(a.Div(x, a.Sqrt(a.Add(a.ReduceMean(a.Pow(x, a.float(4)), true, -1), a.float(1e-6)))), a.weight(w))
		}), want: "no norm of"},
		"a weight in 4 bits by bitsandbytes": {forms: withLinear(func(a *author, x, name string) string {
			return a.Op("com.microsoft.MatMulBnb4", []string{x, a.keep(name, &onnx.Tensor{Type: onnx.Uint8, Dims: []int64{4}, Data: make([]byte, 4)}), a.constant(2)},
				onnx.IntAttr("K", a.shape(name)[1]), onnx.IntAttr("N", a.shape(name)[0]), onnx.IntAttr("block_size", 16), onnx.IntAttr("quant_type", 1))
		}), want: "MatMulBnb4"},
		"a weight that is computed": {forms: withLinear(func(a *author, x, name string) string {
			w, _, _ := a.turnedData(name)
			s := a.shape(name)
			return a.MatMul(x, a.Tanh(a.keep(name, onnx.Floats("", []int64{s[1], s[0]}, w))))
		}), want: "adds no product with a weight to the stream, but found Add"},

		"another epsilon":         {said: config(func(c *models.Config) { c.LayerNormEpsilon = 1e-5 }), want: "epsilon 1e-06, wanted 1e-05 by config.json"},
		"more layers":             {written: config(func(c *models.Config) { c.NumLayers = 3 }), want: "below the 2 layers that config.json has: found Add"},
		"fewer layers":            {written: config(func(c *models.Config) { c.NumLayers = 1 }), want: "encoder.block.0.layer.1: found Gather"},
		"more decoder layers":     {written: config(func(c *models.Config) { c.NumDecoderLayers = 2 }), want: "below the 1 layers"},
		"another width":           {written: config(func(c *models.Config) { c.DModel = 6 }), want: "no scale of size 8"},
		"another hidden width":    {written: config(func(c *models.Config) { c.DFF = 12 }), want: "is [8 12] in the graph"},
		"another vocabulary":      {written: config(func(c *models.Config) { c.VocabSize = 12 }), want: "wanted [11 8] by config.json"},
		"heads the other way":     {written: config(func(c *models.Config) { c.NumHeads, c.DKV = 3, 2 }), want: "wanted to be 2"},
		"a layer without a gate":  {written: config(func(c *models.Config) { c.Gated = false }), want: "has 1 products before wo, wanted 2"},
		"a gate that is not told": {said: config(func(c *models.Config) { c.Gated = false }), want: "has 2 products before wo, wanted 1"},
		"more buckets":            {written: config(func(c *models.Config) { c.NumBuckets = 10 }), want: "bucket"},
		"a farther distance":      {written: config(func(c *models.Config) { c.MaxDistance = 200 }), want: "of 8 up to distance 20 by config.json"},
		"a table in each layer":   {written: config(func(c *models.Config) { c.PerLayerBias = true }), want: "a table in every layer"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.touch == nil {
				c.forms = plainForms()
			}
			if c.written.DModel == 0 {
				c.written = same
			}
			if c.said.DModel == 0 {
				c.said = same
			}
			e, d := c.write(t, c.written)
			_, err := Recover(c.said, e, d)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "recovering the ") {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func withNorm(norm func(a *author, x, scale string) string) forms {
	f := plainForms()
	f.norm = norm
	return f
}

func withLinear(linear func(a *author, x, name string) string) forms {
	f := plainForms()
	f.linear = linear
	return f
}

// TestRecoverRefusesMixedGraphs: the two graphs must be an encoder and a
// decoder, and of one model.
func TestRecoverRefusesMixedGraphs(t *testing.T) {
	c := smallConfig()
	e, d := plainForms().write(t, c)
	if _, err := Recover(c, d, e); err == nil || !strings.Contains(err.Error(), "no output last_hidden_state") {
		t.Errorf("swapped: %v", err)
	}
	if _, err := Recover(c, &onnx.Model{}, d); err == nil {
		t.Error("an empty graph was accepted")
	}
	table := d.Graph.Initializers[0]
	changed := *table
	v, err := table.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	v[len(v)-1]++
	*table = *onnx.Floats(table.Name, table.Dims, v)
	r, err := Recover(c, e, d)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := r.Checkpoint(t.Context(), dir, "m", nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "different embeddings") {
		t.Errorf("embeddings %s and %s: %v", changed.Name, table.Name, err)
	}
}
