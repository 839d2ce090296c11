package prompt

import (
	"context"
	"math"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// hooked is a model whose sizes all differ.
var hooked = models.Config{
	DModel: 6, DKV: 2, NumHeads: 4, DFF: 5, NumLayers: 2, NumDecoderLayers: 1, VocabSize: 7, NumBuckets: 3, TieWordEmbeddings: true,
}

// runner runs a graph.
type runner func(t fataler, in map[string]*onnx.Tensor) map[string]*ort.Tensor

// hookGraph makes a graph of the inputs of a method, which are its tensors for
// K prompts, what it is fed besides and the prompt of each row, and of what
// build does with them.
func hookGraph(t *testing.T, m *Method, build func(s *Site)) runner {
	t.Helper()
	model := onnx.NewModel("hook")
	s := &Site{B: onnx.NewBuilder(model), Layer: -1, Made: map[string]string{}}
	s.B.Input(PromptIndex, onnx.Int64, onnx.Sym("B"))
	for _, v := range m.Inputs {
		s.B.Input(v.Name, v.Type, v.Shape...)
	}
	for _, x := range m.Trainables {
		s.B.Input(x.Input, onnx.Float32, append(onnx.Shape{onnx.Sym("K")}, x.Shape...)...)
	}
	build(s)
	if err := s.B.Err(); err != nil {
		t.Fatal(err)
	}
	session := orttest.Session(t, model, ort.Config{Optimize: ort.LevelNone, Threads: 1})
	return func(t fataler, in map[string]*onnx.Tensor) map[string]*ort.Tensor {
		t.Helper()
		given, out := map[string]*ort.Tensor{}, map[string]*ort.Tensor{}
		for name, x := range in {
			var err error
			if given[name], err = ort.FromONNX(x); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range session.Outputs() {
			out[v.Name] = nil
		}
		if err := session.Run(context.Background(), given, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// methodOf makes a method for the model above.
func methodOf(t fataler, name string, s Sizes) *Method {
	t.Helper()
	m, err := NewMethod(name, hooked, s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// randomPromptOf has all tensors of a method, uniform in ±1.
func randomPromptOf(m *Method, seed uint64) *Prompt {
	p := &Prompt{Method: m.Name, Meta: Meta{Length: m.Sizes.Length, DModel: hooked.DModel, Sizes: m.Sizes.Map()}}
	for i, x := range m.Trainables {
		rng := NewRand(seed, uint64(i))
		shape := make([]int64, len(x.Shape))
		for j, d := range x.Shape {
			if shape[j] = d.Size; !d.Known() {
				shape[j] = int64(m.Sizes.Length)
			}
		}
		data := make([]float32, x.elements(m.Sizes.Length))
		within(1)(&rng, data)
		p.Tensors = append(p.Tensors, Tensor{x.Name, shape, data})
	}
	return p
}

// feed lays the tensors of prompts of one length side by side, and says which
// of them each row uses.
func feed(m *Method, rows []int64, prompts ...*Prompt) map[string]*onnx.Tensor {
	k := int64(len(prompts))
	in := map[string]*onnx.Tensor{PromptIndex: onnx.Longs("", []int64{int64(len(rows))}, rows)}
	for _, x := range m.Trainables {
		var data []float32
		for _, p := range prompts {
			data = append(data, p.Tensor(x.Name).Data...)
		}
		in[x.Input] = onnx.Floats("", append([]int64{k}, prompts[0].Tensor(x.Name).Shape...), data)
	}
	if len(m.Inputs) > 0 { // the one there is
		mask := make([]float32, int(k)*m.Sizes.Length)
		ones(nil, mask)
		in[PromptMask] = onnx.Floats("", []int64{k, int64(m.Sizes.Length)}, mask)
	}
	return in
}

// drawn is a tensor of numbers in ±1.
func drawn(seed uint64, dims ...int64) *onnx.Tensor {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	rng, data := NewRand(seed, 99), make([]float32, n)
	within(1)(&rng, data)
	return onnx.Floats("", dims, data)
}

// rowsOf cuts values into rows, in float64.
func rowsOf(values []float32, width int) [][]float64 {
	out := make([][]float64, 0, len(values)/width)
	for i := 0; i < len(values); i += width {
		row := make([]float64, width)
		for j := range row {
			row[j] = float64(values[i+j])
		}
		out = append(out, row)
	}
	return out
}

// tensorRows are the rows of a prompt's tensor.
func tensorRows(p *Prompt, name string) [][]float64 {
	x := p.Tensor(name)
	return rowsOf(x.Data, int(x.Shape[len(x.Shape)-1]))
}

// product multiplies two matrices, term by term.
func product(x, y [][]float64) [][]float64 {
	out := make([][]float64, len(x))
	for i := range x {
		out[i] = make([]float64, len(y[0]))
		for j := range out[i] {
			for k := range y {
				out[i][j] += x[i][k] * y[k][j]
			}
		}
	}
	return out
}

// turned swaps rows and columns.
func turned(x [][]float64) [][]float64 {
	out := make([][]float64, len(x[0]))
	for j := range out {
		for i := range x {
			out[j] = append(out[j], x[i][j])
		}
	}
	return out
}

// each changes every number of a matrix.
func each(x [][]float64, f func(i, j int, v float64) float64) [][]float64 {
	for i := range x {
		for j, v := range x[i] {
			x[i][j] = f(i, j, v)
		}
	}
	return x
}

// wantRows reports the first number that is not near the one wanted.
func wantRows(t fataler, what string, got []float32, want [][]float64) {
	t.Helper()
	i := 0
	for r, row := range want {
		for c, w := range row {
			if i >= len(got) {
				t.Fatalf("%s has %d values and ends in row %d, column %d", what, len(got), r, c)
			}
			if d := math.Abs(float64(got[i]) - w); !(d <= 1e-5*max(1, math.Abs(w))) {
				t.Fatalf("%s: row %d, column %d is %v, want %v", what, r, c, got[i], w)
			}
			i++
		}
	}
	if i != len(got) {
		t.Fatalf("%s has %d values, want %d", what, len(got), i)
	}
}
