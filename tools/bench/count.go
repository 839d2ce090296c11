package main

import (
	"fmt"

	"softprompt/onnx"
)

// work is the number of operations in the matrix products of a graph, a
// multiplication and an addition counted as two. Everything else that a T5
// computes is below a hundredth of that.
type work struct {
	Forward  int64 `json:"forward"`
	Backward int64 `json:"backward"`
	// Int8 is the part of both that multiplies 8-bit integers; the rest is in
	// float32.
	Int8 int64 `json:"int8,omitempty"`
}

func (w work) total() int64 { return w.Forward + w.Backward }

// product says how an operator multiplies matrices.
type product struct {
	trans string // the attribute that says whether the first is transposed
	int8  bool   // of 8-bit integers
}

// products has the operators that multiply matrices.
var products = map[string]product{
	"MatMul":                {},
	"FusedMatMul":           {trans: "transA"},
	"Gemm":                  {trans: "transA"},
	"MatMulInteger":         {int8: true},
	"MatMulIntegerToFloat":  {int8: true},
	"DynamicQuantizeMatMul": {int8: true},
}

// uncounted has operators with products inside that count does not look into.
var uncounted = map[string]bool{
	"Attention": true, "MultiHeadAttention": true, "GroupQueryAttention": true, "FusedGemm": true,
	"Einsum": true, "Conv": true, "ConvTranspose": true, "LSTM": true, "GRU": true, "RNN": true,
	"MatMulNBits": true, "QLinearMatMul": true,
	"If": true, "Loop": true, "Scan": true,
}

// count returns the work of one run of a graph whose symbolic sizes have the
// given values.
func count(m *onnx.Model, sizes map[string]int64) (work, error) {
	var w work
	err := eachProduct(m, sizes, func(n *onnx.Node, ops int64) {
		if n.From == "" {
			w.Forward += ops
		} else {
			w.Backward += ops
		}
		if products[n.Op].int8 {
			w.Int8 += ops
		}
	})
	return w, err
}

// eachProduct calls visit for each node that multiplies matrices, with its
// operations.
func eachProduct(m *onnx.Model, sizes map[string]int64, visit func(n *onnx.Node, ops int64)) error {
	f := onnx.NewInference(m)
	for _, v := range m.Graph.Inputs {
		fixed, err := fix(v, sizes)
		if err != nil {
			return err
		}
		f.Set(fixed)
	}
	for _, n := range m.Graph.Nodes {
		if err := f.Node(n); err != nil {
			return err
		}
		if uncounted[n.Op] {
			return fmt.Errorf("counting the work of %v: its products cannot be told", n)
		}
		p, ok := products[n.Op]
		if !ok {
			continue
		}
		ops, err := productWork(f, n, p.trans)
		if err != nil {
			return err
		}
		visit(n, ops)
	}
	return nil
}

// fix replaces the symbols in an input's shape by numbers.
func fix(v onnx.Value, sizes map[string]int64) (onnx.Value, error) {
	shape := make(onnx.Shape, len(v.Shape))
	for i, d := range v.Shape {
		if !d.Known() {
			n, ok := sizes[d.Sym]
			if !ok {
				return v, fmt.Errorf("counting work: input %v: size %v has no value", v, d)
			}
			d = onnx.Size(n)
		}
		shape[i] = d
	}
	v.Shape = shape
	return v, nil
}

// productWork is 2·k for each element of a product's result, k being the
// length of the sums.
func productWork(f *onnx.Inference, n *onnx.Node, trans string) (int64, error) {
	left, _ := f.Value(n.Input(0))
	out, _ := f.Value(n.Output(0))
	sizes, ok := out.Shape.Sizes()
	inner := len(left.Shape) - 1
	if inner > 0 && trans != "" && n.Int(trans, 0) != 0 {
		inner--
	}
	if !ok || inner < 0 || !left.Shape[inner].Known() {
		return 0, fmt.Errorf("counting the work of %v: sizes of %v and %v are not known", n, left, out)
	}
	ops := 2 * left.Shape[inner].Size
	for _, s := range sizes {
		ops *= s
	}
	return ops, nil
}
