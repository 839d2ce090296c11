package prompt

import (
	"fmt"
	"maps"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"softprompt/models"
	"softprompt/onnx"
)

// MethodPTuning is the name of [PTuning].
const MethodPTuning = "p-tuning"

// TensorEmbedding is what the network of [PTuning] makes a prompt of.
const TensorEmbedding = "embedding"

// PTuning returns the method of Liu et al. 2021 with the MLP in place of the
// LSTM, as PEFT has it (peft/tuners/p_tuning/model.py, PromptEncoder): the
// vectors before the input are not tuned themselves but come from tuned vectors
// E [P,d] through a network
//
//	P = W3·ReLU(W2·ReLU(W1·E + b1) + b2) + b3
//
// with W1 [h,d], W2 [h,h], W3 [d,h]. It is only there to make training easier:
// [Method.Fold] computes P once, and what is kept is the prompt of
// [PromptTuning]. A hidden width of 0 is d. E starts from a normal
// distribution, weights and biases uniform in ±1/√inputs as PyTorch's layers.
//
// Graph inputs: p_tuning.embedding [K,P,d], prompt_mask [K,P], and p_tuning.w1,
// p_tuning.b1 and so on with K before their sizes.
func PTuning(c models.Config, s Sizes) (*Method, error) {
	if s.Hidden == 0 {
		s.Hidden = c.DModel
	}
	d, h := onnx.Size(int64(c.DModel)), onnx.Size(int64(s.Hidden))
	plain := PromptTuning(c.DModel)
	m := &Method{Name: MethodPTuning, Sizes: Sizes{Length: s.Length, Hidden: s.Hidden}, Inputs: plain.Inputs, Fold: foldPTuning}
	m.Trainables = []Trainable{{
		Name: TensorEmbedding, Input: "p_tuning." + TensorEmbedding, Shape: plain.Trainables[0].Shape, Init: normal,
	}}
	for _, layer := range []struct {
		weight, bias string
		out, in      onnx.Dim
	}{{TensorW1, TensorB1, h, d}, {TensorW2, TensorB2, h, h}, {TensorW3, TensorB3, d, h}} {
		init := within(1 / math.Sqrt(float64(layer.in.Size)))
		m.Trainables = append(m.Trainables,
			Trainable{Name: layer.weight, Input: "p_tuning." + layer.weight, Shape: onnx.Shape{layer.out, layer.in}, Init: init, MethodRate: true},
			Trainable{Name: layer.bias, Input: "p_tuning." + layer.bias, Shape: onnx.Shape{layer.out}, Init: init, MethodRate: true},
		)
	}
	m.Embeddings = func(site *Site, emb, mask string) (string, string) {
		b := site.B
		linear := func(x, weight, bias string) string { // [K,P,in] becomes [K,P,out]
			return b.Add(b.FusedMatMul(x, "p_tuning."+weight, false, true, 1), b.Unsqueeze("p_tuning."+bias, 1))
		}
		x := b.Relu(linear("p_tuning."+TensorEmbedding, TensorW1, TensorB1))
		x = linear(b.Relu(linear(x, TensorW2, TensorB2)), TensorW3, TensorB3)
		return b.Concat(1, site.PerRow(x), emb), b.Concat(1, site.PerRow(PromptMask), mask)
	}
	return m, nil
}

// normal draws from a normal distribution of variance 1.
func normal(rng *Rand, values []float32) {
	for i := range values {
		values[i] = rng.Normal()
	}
}

// foldPTuning computes the vectors that the network makes and returns them as
// a prompt of [PromptTuning].
func foldPTuning(p *Prompt) (*Prompt, error) {
	m, err := PTuning(p.Meta.config(), p.Sizes())
	if err == nil {
		err = p.fits(m)
	}
	if err != nil {
		return nil, fmt.Errorf("folding a prompt of method %s: %w", p.Method, err)
	}
	x := matrix(p.Tensor(TensorEmbedding))
	for i, layer := range [][2]string{{TensorW1, TensorB1}, {TensorW2, TensorB2}, {TensorW3, TensorB3}} {
		if i > 0 {
			relu(x.Data)
		}
		x = affine(x, matrix(p.Tensor(layer[0])), p.Tensor(layer[1]).Data)
	}
	out := New(x.Data, x.Rows, x.Cols)
	out.Meta = p.Meta.folded(p.Method)
	return out, nil
}

// folded returns the metadata of what was folded from a prompt of a method: a
// prompt of one that has a length alone.
func (m Meta) folded(from string) Meta {
	m.Sizes = nil
	if m.Extra = maps.Clone(m.Extra); m.Extra == nil {
		m.Extra = map[string]string{}
	}
	m.Extra["folded_from"] = from
	return m
}

func matrix(t *Tensor) blas32.General {
	rows, cols := int(t.Shape[0]), int(t.Shape[1])
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: t.Data}
}

// affine returns x·Wᵀ + b: [n,in] becomes [n,out].
func affine(x, w blas32.General, bias []float32) blas32.General {
	y := blas32.General{Rows: x.Rows, Cols: w.Rows, Stride: w.Rows, Data: make([]float32, x.Rows*w.Rows)}
	for i := range y.Data {
		y.Data[i] = bias[i%w.Rows]
	}
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, x, w, 1, y)
	return y
}

func relu(values []float32) {
	for i, v := range values {
		values[i] = max(0, v)
	}
}
