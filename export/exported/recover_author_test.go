package exported

import (
	"fmt"
	"hash/fnv"
	"math"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
)

// author writes the two graphs of a T5 as an exporter might, in forms that can
// be exchanged, and with what a test lays a hand on.
type author struct {
	*onnx.Builder
	config models.Config
	forms
	stored map[string]*onnx.Tensor // by the weight's name
}

// forms are the ways to write the parts of a T5.
type forms struct {
	linear     func(a *author, x, name string) string
	norm       func(a *author, x, scale string) string
	activation func(a *author, x string) string
	// touch may change a value at a place, such as
	// "encoder.block.0.layer.0.SelfAttention.q" or "logits".
	touch func(a *author, place, value string) string
}

// smallConfig is a T5 in which all sizes differ.
func smallConfig() models.Config {
	return models.Config{
		ModelType: "t5", VocabSize: 11, DModel: 8, DKV: 3, DFF: 10, NumHeads: 2, NumLayers: 2, NumDecoderLayers: 1,
		NumBuckets: 8, MaxDistance: 20, LayerNormEpsilon: 1e-6, Gated: true, Activation: "gelu_new",
	}
}

// plainForms are those of the exporter of TorchScript's days.
func plainForms() forms {
	return forms{linear: matMul, norm: arithmeticNorm, activation: (*author).tanhGelu, touch: func(_ *author, _, v string) string { return v }}
}

// pseudo returns numbers that depend on a name alone.
func pseudo(name string, n int64) []float32 {
	h := fnv.New64a()
	h.Write([]byte(name))
	x := h.Sum64()
	out := make([]float32, n)
	for i := range out {
		x = x*6364136223846793005 + 1442695040888963407
		out[i] = float32(int32(x>>32)) / (1 << 31)
	}
	return out
}

func (a *author) shape(name string) []int64 {
	for _, w := range models.WeightShapes(a.config) {
		if w.Name == name {
			return w.Shape
		}
	}
	panic("no weight " + name) // the test's own mistake
}

// weight adds a weight as it is, [out,in].
func (a *author) weight(name string) string {
	shape := a.shape(name)
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return a.keep(name, onnx.Floats("", shape, pseudo(name, n)))
}

// keep adds a tensor under a name that says nothing.
func (a *author) keep(name string, t *onnx.Tensor) string {
	if t := a.stored[name]; t != nil {
		return t.Name
	}
	t.Name = fmt.Sprintf("t%d", len(a.Model.Graph.Initializers))
	a.stored[name] = t
	return a.Weight(t)
}

// turnedData returns a weight as [in,out].
func (a *author) turnedData(name string) (values []float32, in, out int64) {
	shape := a.shape(name)
	out, in = shape[0], shape[1]
	w := pseudo(name, in*out)
	values = make([]float32, in*out)
	for o := range out {
		for i := range in {
			values[i*out+o] = w[o*in+i]
		}
	}
	return values, in, out
}

func matMul(a *author, x, name string) string {
	values, in, out := a.turnedData(name)
	return a.MatMul(x, a.keep(name, onnx.Floats("", []int64{in, out}, values)))
}

func arithmeticNorm(a *author, x, scale string) string {
	mean := a.ReduceMean(a.Pow(x, a.Float(2, x)), true, -1)
	root := a.Sqrt(a.Add(mean, a.FloatOf(a.config.LayerNormEpsilon, onnx.Float32)))
	return a.Mul(a.weight(scale), a.Mul(x, a.Div(a.FloatOf(1, onnx.Float32), root)))
}

func (a *author) tanhGelu(x string) string {
	c := func(v float64) string { return a.FloatOf(v, onnx.Float32) }
	inner := a.Mul(a.Add(x, a.Mul(a.Pow(x, c(3)), c(0.044715))), c(math.Sqrt(2/math.Pi)))
	return a.Mul(a.Mul(x, c(0.5)), a.Add(a.Tanh(inner), c(1)))
}

// attend writes a sub-layer of attention from the stream x over keys of other.
func (a *author) attend(x, normed, other, name, bias string) string {
	c := a.config
	heads := func(role, from string) string {
		y := a.touch(a, name+"."+role, a.linear(a, from, name+"."+role+".weight"))
		return a.Transpose(a.ReshapeTo(y, 0, 0, int64(c.NumHeads), int64(c.DKV)), 0, 2, 1, 3)
	}
	q, k, v := heads("q", normed), heads("k", other), heads("v", other)
	scores := a.touch(a, name+".scores", a.MatMul(q, a.Transpose(k, 0, 1, 3, 2)))
	y := a.Transpose(a.MatMul(a.Softmax(a.Add(scores, bias), -1), v), 0, 2, 1, 3)
	o := a.linear(a, a.ReshapeTo(y, 0, 0, int64(c.InnerDim())), name+".o.weight")
	return a.Add(x, a.touch(a, name+".o", o))
}

func (a *author) feedForward(x, layer string) string {
	n := a.norm(a, x, layer+".layer_norm.weight")
	name := layer + ".DenseReluDense"
	var h string
	if a.config.Gated {
		h = a.Mul(a.activation(a, a.linear(a, n, name+".wi_0.weight")), a.linear(a, n, name+".wi_1.weight"))
	} else {
		h = a.activation(a, a.linear(a, n, name+".wi.weight"))
	}
	h = a.touch(a, name+".hidden", h)
	return a.touch(a, layer, a.Add(x, a.linear(a, h, name+".wo.weight")))
}

// positions writes the bias by relative position as transformers computes it.
func (a *author) positions(x, table string, bidirectional bool) string {
	c := a.config
	i := a.Op("Range", []string{a.Int(0), a.Squeeze(a.SizesOf(x, 1, 2), 0), a.Int(1)})
	d := a.Sub(a.Unsqueeze(i, 0), a.Unsqueeze(i, 1))
	buckets := c.NumBuckets
	base := a.Int(0)
	if bidirectional {
		buckets /= 2
		base = a.Mul(a.Cast(a.Greater(d, a.Int(0)), onnx.Int64), a.Int(int64(buckets)))
		d = a.Abs(d)
	} else {
		d = a.Neg(a.Min(d, a.Int(0)))
	}
	exact := buckets / 2
	f := func(v float64) string { return a.FloatOf(v, onnx.Float32) }
	far := a.Div(a.Log(a.Div(a.Cast(d, onnx.Float32), f(float64(exact)))), f(math.Log(float64(c.MaxDistance)/float64(exact))))
	large := a.Add(a.Cast(a.Mul(far, f(float64(buckets-exact))), onnx.Int64), a.Int(int64(exact)))
	bucket := a.Where(a.Less(d, a.Int(int64(exact))), d, a.Min(large, a.Int(int64(buckets-1))))
	bucket = a.touch(a, "buckets", a.Add(base, bucket))
	return a.Unsqueeze(a.touch(a, "position bias", a.Transpose(a.Gather(a.weight(table), bucket, 0), 2, 0, 1)), 0)
}

func (a *author) hidden(mask string) string {
	m := a.Cast(a.Unsqueeze(mask, 1, 2), onnx.Float32)
	return a.Mul(a.Sub(a.FloatOf(1, onnx.Float32), m), a.FloatOf(-math.MaxFloat32, onnx.Float32))
}

// biases returns the self-attention bias of each layer.
func (a *author) biases(x, stack, mask string, layers int) []string {
	out := make([]string, layers)
	for i := range out {
		if i > 0 && !a.config.PerLayerBias {
			out[i] = out[0]
			continue
		}
		table := fmt.Sprintf("%s.block.%d.layer.0.SelfAttention.relative_attention_bias.weight", stack, i)
		out[i] = a.Add(a.positions(x, table, stack == "encoder"), mask)
	}
	return out
}

func newAuthor(name string, c models.Config, f forms) *author {
	return &author{Builder: onnx.NewBuilder(onnx.NewModel(name)), config: c, forms: f, stored: map[string]*onnx.Tensor{}}
}

func (a *author) encoder() *onnx.Model {
	b, s := onnx.Sym("B"), onnx.Sym("S")
	ids, mask := a.Input("input_ids", onnx.Int64, b, s), a.Input("attention_mask", onnx.Int64, b, s)
	x := a.touch(a, "embedding", a.Gather(a.weight(sharedWeight), ids, 0))
	bias := a.biases(x, "encoder", a.hidden(mask), a.config.NumLayers)
	for i := range a.config.NumLayers {
		layer := fmt.Sprintf("encoder.block.%d.layer.", i)
		n := a.norm(a, x, layer+"0.layer_norm.weight")
		x = a.feedForward(a.attend(x, n, n, layer+"0.SelfAttention", bias[i]), layer+"1")
	}
	a.Output("last_hidden_state", a.norm(a, x, "encoder.final_layer_norm.weight"))
	return a.Model
}

func (a *author) decoder() *onnx.Model {
	b, s, c := onnx.Sym("B"), onnx.Sym("S"), a.config
	mask := a.Input("encoder_attention_mask", onnx.Int64, b, s)
	ids := a.Input("input_ids", onnx.Int64, b, onnx.Sym("T"))
	states := a.Input("encoder_hidden_states", onnx.Float32, b, s, onnx.Size(int64(c.DModel)))
	x := a.Gather(a.weight(sharedWeight), ids, 0)
	causal := a.Unsqueeze(a.Mul(a.Op("Trilu", []string{a.Fill(a.Concat(0, a.SizesOf(x, 1, 2), a.SizesOf(x, 1, 2)), 1, onnx.Float32), a.Int(1)}),
		a.FloatOf(-1e9, onnx.Float32)), 0, 1)
	bias := a.biases(x, "decoder", causal, c.NumDecoderLayers)
	for i := range c.NumDecoderLayers {
		layer := fmt.Sprintf("decoder.block.%d.layer.", i)
		n := a.norm(a, x, layer+"0.layer_norm.weight")
		x = a.attend(x, n, n, layer+"0.SelfAttention", bias[i])
		x = a.attend(x, a.norm(a, x, layer+"1.layer_norm.weight"), states, layer+"1.EncDecAttention", a.hidden(mask))
		x = a.feedForward(x, layer+"2")
	}
	x = a.norm(a, x, "decoder.final_layer_norm.weight")
	if c.ScaleDecoderOutputs {
		x = a.Scale(x, 1/math.Sqrt(float64(c.DModel)))
	}
	if c.TieWordEmbeddings {
		a.Output("logits", a.touch(a, "logits", a.MatMul(x, a.Transpose(a.weight(sharedWeight), 1, 0))))
	} else {
		a.Output("logits", a.touch(a, "logits", a.linear(a, x, headWeight)))
	}
	return a.Model
}

// write returns both graphs.
func (f forms) write(t testing.TB, c models.Config) (encoder, decoder *onnx.Model) {
	t.Helper()
	e, d := newAuthor("encoder", c, f), newAuthor("decoder", c, f)
	encoder, decoder = e.encoder(), d.decoder()
	for _, a := range []*author{e, d} {
		if err := a.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return encoder, decoder
}
