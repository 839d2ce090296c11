package grad

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"softprompt/onnx"
)

// contractCases has at least one case for each operator. Points where a
// derivative jumps are kept at a distance, except where the case is about
// them: tied_test.go has those.
func contractCases() []contractCase {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(dims []int64, f func() float64) arg {
		n := onnx.Tensor{Dims: dims}
		v := make([]float64, n.Len())
		for i := range v {
			v[i] = f()
		}
		return arg{Tensor: onnx.Doubles("", dims, v)}
	}
	// x is normal, pos from 0.5 to 2, far at least 0.3 from 0, and apart has
	// no two elements closer than 0.25.
	x := func(dims ...int64) arg { return draw(dims, r.NormFloat64) }
	pos := func(dims ...int64) arg { return draw(dims, func() float64 { return 0.5 + 1.5*r.Float64() }) }
	far := func(dims ...int64) arg {
		return draw(dims, func() float64 { return (0.3 + 1.5*r.Float64()) * float64(2*r.IntN(2)-1) })
	}
	apart := func(dims ...int64) arg {
		n := onnx.Tensor{Dims: dims}
		order := r.Perm(int(n.Len()))
		return draw(dims, func() float64 {
			k := order[0]
			order = order[1:]
			return float64(k)*0.25 - 1.1
		})
	}
	fixed := func(a arg) arg { a.fixed = true; return a }
	small := func(dims ...int64) arg { return draw(dims, func() float64 { return 1.6*r.Float64() - 0.8 }) }
	number := func(v float64) arg { return arg{Tensor: onnx.Doubles("", nil, []float64{v})} }
	these := func(v ...float64) arg { return arg{Tensor: onnx.Doubles("", []int64{int64(len(v))}, v)} }
	ints := func(v ...int64) arg {
		return arg{Tensor: onnx.Longs("", []int64{int64(len(v))}, v), fixed: true}
	}
	asked := func(a arg) arg { a.fixed = false; return a } // known at run time only
	longs := func(dims []int64, v ...int64) arg { return arg{Tensor: onnx.Longs("", dims, v)} }
	bools := func(dims []int64, v ...byte) arg {
		return arg{Tensor: &onnx.Tensor{Type: onnx.Bool, Dims: dims, Data: v}}
	}
	none := arg{}
	with := func(a ...onnx.Attr) []onnx.Attr { return a }
	i, is, f, s := onnx.IntAttr, onnx.IntsAttr, onnx.FloatAttr, onnx.StringAttr
	unary := func(op string, a arg) contractCase { return contractCase{op: op, args: []arg{a}} }
	binary := func(op, name string, a, b arg) contractCase {
		return contractCase{op: op, name: name, args: []arg{a, b}}
	}

	var cases []contractCase
	add := func(c ...contractCase) { cases = append(cases, c...) }

	// Arithmetic.
	for _, op := range []string{"Identity", "Neg", "Sin", "Cos", "Exp", "Tanh", "Sigmoid", "Atan", "Sinh", "Cosh", "Asinh", "Softplus"} {
		add(unary(op, x(2, 3)))
	}
	for _, op := range []string{"Sqrt", "Log", "Reciprocal"} {
		add(unary(op, pos(2, 3)))
	}
	for _, op := range []string{"Abs", "Relu", "Softsign"} {
		add(unary(op, far(2, 3)))
	}
	for _, op := range []string{"Tan", "Asin", "Acos", "Atanh"} {
		add(unary(op, small(2, 3)))
	}
	add(unary("Acosh", these(1.3, 2, 5)), binary("Mod", "", these(3.3, -3.3, 0.4, 7.1), these(2, 2, 1.5, -3)))
	cases[len(cases)-1].attrs = with(i("fmod", 1))
	add(contractCase{op: "Cast", name: "to float32", args: []arg{x(2, 3)}, attrs: with(i("to", int64(onnx.Float32)))},
		contractCase{op: "Cast", name: "to float64", args: []arg{x(2, 3)}, attrs: with(i("to", int64(onnx.Float64))), single: true},
		binary("CastLike", "", x(2, 3), arg{Tensor: onnx.Doubles("", nil, []float64{0}), fixed: true}))
	for _, op := range []string{"Add", "Sub", "Mul", "Div"} {
		add(binary(op, "same shapes", x(2, 3), pos(2, 3)),
			binary(op, "vector", x(2, 3), pos(3)),
			binary(op, "vector first", x(3), pos(2, 3)),
			binary(op, "scalar", x(2, 3), pos()),
			binary(op, "both stretched", x(2, 1, 3), pos(4, 1)),
			binary(op, "ones", x(1, 3), pos(1, 1)))
	}
	for _, op := range []string{"Sum", "Mean"} {
		single := op == "Mean"
		add(contractCase{op: op, args: []arg{x(2, 3), x(3), x(2, 1)}, single: single}, contractCase{op: op, name: "of one", args: []arg{x(2)}, single: single})
	}
	add(binary("Pow", "both", pos(2, 3), x(3)),
		binary("Pow", "0", x(2), fixed(number(0))), binary("Pow", "1", x(2), fixed(number(1))),
		binary("Pow", "2", x(2, 3), fixed(number(2))), binary("Pow", "3", x(2, 3), fixed(number(3))),
		binary("Pow", "-1.5", pos(2, 3), fixed(number(-1.5))), binary("Pow", "integer", pos(2, 3), ints(2)),
		binary("Pow", "integers", pos(2, 3), longs([]int64{3}, 0, 1, 4)))
	for _, op := range []string{"Max", "Min"} {
		all := apart(3, 2, 3).Tensor
		v, _ := all.Float64s()
		part := func(k, n int, dims ...int64) arg { return arg{Tensor: onnx.Doubles("", dims, v[k:k+n])} }
		add(contractCase{op: op, args: []arg{part(0, 6, 2, 3), part(6, 3, 3), part(9, 1)}},
			contractCase{op: op, name: "of one", args: []arg{part(0, 6, 2, 3)}})
	}
	low, high := number(-0.7), number(0.6)
	add(contractCase{op: "Clip", args: []arg{apart(2, 5), low, high}},
		contractCase{op: "Clip", name: "below", args: []arg{apart(2, 5), low}},
		contractCase{op: "Clip", name: "above", args: []arg{apart(2, 5), none, high}},
		contractCase{op: "Clip", name: "constant bounds", args: []arg{apart(2, 5), fixed(low), fixed(high)}})
	add(contractCase{op: "Where", args: []arg{bools([]int64{2, 3}, 1, 0, 0, 1, 1, 0), x(2, 3), x(2, 3)}},
		contractCase{op: "Where", name: "broadcast", args: []arg{bools([]int64{2, 1}, 1, 0), x(3), x()}})

	// Activations.
	add(contractCase{op: "Erf", args: []arg{x(2, 3)}, single: true},
		contractCase{op: "Gelu", args: []arg{x(2, 3)}, single: true, opset: 20},
		contractCase{op: "Gelu", name: "tanh", args: []arg{x(2, 3)}, attrs: with(s("approximate", "tanh")), opset: 20, tolerance: 1e-6},
		contractCase{op: "com.microsoft.Gelu", args: []arg{x(2, 3)}, single: true},
		contractCase{op: "com.microsoft.BiasGelu", args: []arg{x(2, 3), x(3)}, single: true},
		contractCase{op: "com.microsoft.FastGelu", args: []arg{x(2, 3)}, tolerance: 1e-6},
		contractCase{op: "com.microsoft.FastGelu", name: "bias", args: []arg{x(2, 3), x(3)}, tolerance: 1e-6},
		contractCase{op: "com.microsoft.QuickGelu", args: []arg{x(2, 3)}, tolerance: 1e-6},
		contractCase{op: "com.microsoft.QuickGelu", name: "alpha", args: []arg{x(2, 3)}, attrs: with(f("alpha", 0.8)), tolerance: 1e-6},
		contractCase{op: "Swish", args: []arg{x(2, 3)}, opset: 24, tolerance: 1e-6},
		contractCase{op: "Swish", name: "alpha", args: []arg{x(2, 3)}, attrs: with(f("alpha", 0.5)), opset: 24, tolerance: 1e-6},
		contractCase{op: "Mish", args: []arg{x(2, 3)}, opset: 22, tolerance: 1e-6},
		binary("PRelu", "", far(2, 3), x(3)),
		unary("HardSwish", these(-4, -2, 0.3, 2, 4)))
	for _, op := range []string{"Elu", "Celu", "LeakyRelu", "Selu"} {
		attrs := with(f("alpha", 0.6))
		if op == "Selu" {
			attrs = append(attrs, f("gamma", 1.5))
		}
		single := op == "Celu"
		add(contractCase{op: op, args: []arg{far(2, 3)}, single: single}, contractCase{op: op, name: "with attributes", args: []arg{far(2, 3)}, attrs: attrs, single: single})
	}
	add(unary("ThresholdedRelu", these(-1, 0.5, 2)), contractCase{op: "ThresholdedRelu", name: "alpha", args: []arg{these(-1, 0.5, 2)}, attrs: with(f("alpha", 0.2))},
		contractCase{op: "Shrink", args: []arg{these(-2, -0.2, 0.2, 2)}, tolerance: 1e-4},
		contractCase{op: "Shrink", name: "bias", args: []arg{these(-2, -0.7, 0.7, 2)}, attrs: with(f("lambd", 1), f("bias", 0.5)), tolerance: 1e-4},
		unary("HardSigmoid", these(-4, -1, 1, 4)), contractCase{op: "HardSigmoid", name: "alpha", args: []arg{these(-1, -0.2, 0.2, 1)}, attrs: with(f("alpha", 0.9), f("beta", 0.4))},
		contractCase{op: "Dropout", args: []arg{x(2, 3)}},
		contractCase{op: "Dropout", name: "not training", args: []arg{x(2, 3), fixed(number(0.3)), bools(nil, 0)}})

	// Products.
	add(binary("MatMul", "matrices", x(2, 3), x(3, 4)),
		binary("MatMul", "batch by weight", x(2, 2, 3), x(3, 4)),
		binary("MatMul", "weight by batch", x(4, 3), x(2, 3, 2)),
		binary("MatMul", "batches", x(2, 1, 2, 3), x(3, 3, 2)),
		binary("MatMul", "equal batches", x(2, 2, 3), x(2, 3, 2)))
	for _, c := range []contractCase{
		binary("MatMul", "row", x(3), x(3, 4)), binary("MatMul", "row by batch", x(3), x(2, 3, 4)),
		binary("MatMul", "column", x(2, 3), x(3)), binary("MatMul", "batch by column", x(2, 2, 3), x(3)), binary("MatMul", "vectors", x(3), x(3)),
	} {
		c.vectors = true
		add(c)
	}
	for flags := range int64(4) {
		ta, tb := flags&1, flags>>1
		shape := func(t int64, batch []int64, m, n int64) arg {
			if t == 1 {
				m, n = n, m
			}
			return x(append(batch, m, n)...)
		}
		name := []string{"AB", "AᵀB", "ABᵀ", "AᵀBᵀ"}[flags]
		attrs := with(i("transA", ta), i("transB", tb), f("alpha", 0.5))
		fused := func(what string, a, b arg) {
			add(contractCase{op: "com.microsoft.FusedMatMul", name: name + what, args: []arg{a, b}, attrs: attrs})
		}
		fused("", shape(ta, nil, 2, 3), shape(tb, nil, 3, 4))
		fused(" batch by weight", shape(ta, []int64{2}, 2, 3), shape(tb, nil, 3, 4))
		fused(" batches", shape(ta, []int64{2, 1}, 2, 3), shape(tb, []int64{2}, 3, 2))
		for _, c := range []arg{none, x(2, 4), x(4), x(2, 1), x(1), x()} {
			tc := contractCase{op: "Gemm", name: name, args: []arg{shape(ta, nil, 2, 3), shape(tb, nil, 3, 4), c}, attrs: append(attrs, f("beta", 1.5))}
			if c.Tensor != nil {
				tc.name += " bias of shape " + c.Shape().String()
			}
			add(tc)
		}
	}

	for _, c := range []struct {
		equation string
		args     []arg
	}{
		{"ij,jk->ik", []arg{x(2, 3), x(3, 4)}},
		{"bij, bkj", []arg{x(2, 2, 3), x(2, 4, 3)}},
		{"ijk->j", []arg{x(2, 3, 2)}},
		{"i,j,k->ki", []arg{x(2), x(3), x(2)}},
		{"bhid,bhjd->bhij", []arg{x(1, 2, 2, 3), x(1, 2, 3, 3)}},
		{"ij->", []arg{x(2, 3)}},
		{"ij->ji", []arg{x(2, 3)}},
	} {
		add(contractCase{op: "Einsum", name: c.equation, args: c.args, attrs: with(s("equation", c.equation))})
	}

	// Shapes.
	add(binary("Reshape", "", x(2, 6), ints(3, -1)), binary("Reshape", "asked", x(2, 6), asked(ints(3, -1))),
		binary("Reshape", "copy", x(2, 3, 4), ints(0, -1)),
		contractCase{op: "Flatten", args: []arg{x(2, 3, 2)}, attrs: with(i("axis", 2))},
		binary("Squeeze", "", x(2, 1, 3, 1), ints(1, -1)), unary("Squeeze", x(1, 2, 1)),
		binary("Unsqueeze", "", x(2, 3), ints(0, -1)), binary("Unsqueeze", "asked", x(2, 3), asked(ints(1))),
		contractCase{op: "Transpose", args: []arg{x(2, 3, 2)}, attrs: with(is("perm", 1, 2, 0))},
		unary("Transpose", x(2, 3)),
		binary("Expand", "", x(2, 1), ints(3, 1, 4)), binary("Expand", "asked", x(2, 1), asked(ints(3, 1, 4))),
		binary("Expand", "by one", x(2, 3), ints(1, 1)), binary("Expand", "scalar", x(), ints(2, 2)))
	for _, n := range []arg{ints(2, 3), ints(1, 1), asked(ints(3, 2))} {
		add(contractCase{op: "Tile", name: "by " + label(n), args: []arg{x(2, 3), n}, ranked: true})
	}
	add(contractCase{op: "Concat", args: []arg{x(2, 3), x(2, 1), x(2, 2)}, attrs: with(i("axis", -1))},
		contractCase{op: "Concat", name: "first axis", args: []arg{x(2, 3), x(1, 3)}, attrs: with(i("axis", 0))},
		contractCase{op: "Concat", name: "of one", args: []arg{x(2, 3)}, attrs: with(i("axis", 1))},
		contractCase{op: "Concat", name: "after a constant", args: []arg{fixed(x(2, 3)), x(2, 1)}, attrs: with(i("axis", 1))},
		contractCase{op: "Split", args: []arg{x(2, 6), ints(1, 3, 2)}, attrs: with(i("axis", 1)), outs: 3},
		contractCase{op: "Split", name: "equal", args: []arg{x(4, 2)}, attrs: with(i("num_outputs", 2)), outs: 2},
		contractCase{op: "Split", name: "some", args: []arg{x(2, 6), ints(1, 3, 2)}, attrs: with(i("axis", -1)), outs: 3, floats: []int{1}})
	for _, c := range []struct {
		name string
		args []arg
	}{
		{"middle", []arg{ints(1), ints(3), ints(1)}},
		{"from the end", []arg{ints(-3), ints(-1), ints(-1)}},
		{"past the end", []arg{ints(-9), ints(onnx.End), ints(1)}},
		{"two axes", []arg{ints(1, 0), ints(2, 2), ints(0, 1)}},
		{"no axes", []arg{ints(0, 2), ints(2, 4)}},
		{"step 1", []arg{ints(2), ints(5), ints(1), ints(1)}},
		{"step 2", []arg{ints(0), ints(5), ints(1), ints(2)}},
		{"backwards", []arg{ints(-1), ints(-9), ints(1), ints(-1)}},
		{"asked", []arg{asked(ints(-3)), asked(ints(4)), asked(ints(1))}},
		{"asked step", []arg{asked(ints(0)), asked(ints(5)), ints(1), asked(ints(3))}},
	} {
		add(contractCase{op: "Slice", name: c.name, args: append([]arg{x(3, 5)}, c.args...)})
	}
	for _, mode := range []string{"edge", "reflect", "wrap"} {
		add(contractCase{op: "Pad", name: mode, args: []arg{x(2, 4), ints(0, 1, 1, 2)}, attrs: with(s("mode", mode)), opset: 19})
	}
	angles, turns := arg{Tensor: onnx.Doubles("", []int64{4, 2}, []float64{1, 0.9, 0.5, 0.8, -0.4, 0.7, -0.9, 0.6}), fixed: true}, fixed(x(4, 2))
	for _, interleaved := range []int64{0, 1} {
		name, attrs := fmt.Sprint("interleaved ", interleaved), with(i("interleaved", interleaved))
		places := longs([]int64{1, 3}, 0, 3, 1)
		add(contractCase{op: "RotaryEmbedding", name: name, args: []arg{x(1, 2, 3, 4), angles, turns, places}, attrs: attrs, opset: 23, single: true},
			contractCase{op: "com.microsoft.RotaryEmbedding", name: name, args: []arg{x(1, 2, 3, 4), places, angles, turns}, attrs: attrs, single: true})
	}
	add(contractCase{op: "Compress", args: []arg{x(3, 2), bools([]int64{3}, 1, 0, 1)}, attrs: with(i("axis", 0))},
		contractCase{op: "Compress", name: "of all elements", args: []arg{x(2, 2), bools([]int64{3}, 0, 1, 1)}},
		contractCase{op: "ReverseSequence", args: []arg{x(3, 2), longs([]int64{2}, 3, 2)}, attrs: with(i("time_axis", 0), i("batch_axis", 1))},
		contractCase{op: "DepthToSpace", args: []arg{x(1, 4, 2, 1)}, attrs: with(i("blocksize", 2))},
		contractCase{op: "SpaceToDepth", args: []arg{x(1, 2, 2, 4)}, attrs: with(i("blocksize", 2))},
		contractCase{op: "Pad", args: []arg{x(2, 3), ints(1, 0, 0, 2)}},
		contractCase{op: "Pad", name: "value", args: []arg{x(2, 3), ints(1, 0, 0, 2), number(0.5)}},
		contractCase{op: "Pad", name: "negative", args: []arg{x(3, 4), ints(-1, 1, 0, -2), number(0.5)}},
		contractCase{op: "Pad", name: "axes", args: []arg{x(2, 3), ints(1, 2), number(0.5), ints(-1)}},
		contractCase{op: "Pad", name: "asked", args: []arg{x(2, 3), asked(ints(1, 0, 0, 2))}},
		contractCase{op: "Trilu", args: []arg{x(3, 4)}},
		contractCase{op: "Trilu", name: "lower", args: []arg{x(2, 3, 3), longs(nil, -1)}, attrs: with(i("upper", 0))})

	// Reading and writing by index.
	at := longs([]int64{2, 2}, 0, -1, 0, 1)
	add(contractCase{op: "Gather", args: []arg{x(3, 2, 2), at}},
		contractCase{op: "Gather", name: "small table", args: []arg{x(3, 4), at}, single: true},
		contractCase{op: "Gather", name: "large table", args: []arg{x(70, 1), at}, single: true},
		contractCase{op: "Gather", name: "one", args: []arg{x(3, 2), longs(nil, 1)}},
		contractCase{op: "Gather", name: "32-bit", args: []arg{x(3, 2), {Tensor: &onnx.Tensor{Type: onnx.Int32, Dims: []int64{1}, Data: []byte{2, 0, 0, 0}}}}})
	for _, axis := range []int64{1, -1} {
		add(contractCase{op: "Gather", name: "axis " + label(ints(axis)), args: []arg{x(2, 3, 2), at}, attrs: with(i("axis", axis)), ranked: true},
			contractCase{op: "Gather", name: "one of axis " + label(ints(axis)), args: []arg{x(2, 3, 2), longs(nil, 1)}, attrs: with(i("axis", axis)), ranked: true},
			contractCase{op: "GatherElements", name: "axis " + label(ints(axis)), args: []arg{x(2, 3), longs([]int64{2, 2}, 0, -1, 2, 2)}, attrs: with(i("axis", axis))})
	}
	add(binary("GatherND", "", x(2, 3, 2), longs([]int64{3, 2}, 0, 1, 1, 2, 0, 1)),
		contractCase{op: "GatherND", name: "batch", args: []arg{x(2, 3, 2), longs([]int64{2, 1}, 1, 2)}, attrs: with(i("batch_dims", 1)), ranked: true},
		contractCase{op: "GatherND", name: "batch of two axes", args: []arg{x(2, 2, 3), longs([]int64{2, 2, 2, 1}, 0, 0, 1, 2, 2, 1, 0, 1)}, attrs: with(i("batch_dims", 2)), ranked: true})
	for _, reduction := range []string{"none", "add"} {
		add(contractCase{op: "ScatterElements", name: reduction, args: []arg{x(2, 4), longs([]int64{2, 2}, 0, -1, 2, 1), x(2, 2)}, attrs: with(i("axis", 1), s("reduction", reduction))},
			contractCase{op: "ScatterND", name: reduction, args: []arg{x(4, 2), longs([]int64{2, 1}, 3, 1), x(2, 2)}, attrs: with(s("reduction", reduction))})
	}
	add(contractCase{op: "TopK", args: []arg{apart(2, 4), ints(2)}, outs: 2, floats: []int{0}},
		contractCase{op: "TopK", name: "smallest, first axis", args: []arg{apart(3, 2), ints(1)}, attrs: with(i("axis", 0), i("largest", 0)), outs: 2, floats: []int{0}})

	// Reductions.
	for _, op := range []string{"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd"} {
		in := func() arg { return apart(2, 3, 2) }
		if op == "ReduceLogSum" {
			in = func() arg { return pos(2, 3, 2) }
		}
		if op == "ReduceL1" {
			in = func() arg { return far(2, 3, 2) }
		}
		reduce := func(name string, axes arg, attrs ...onnx.Attr) {
			add(contractCase{op: op, name: name, args: []arg{in(), axes}, attrs: attrs})
		}
		reduce("last", ints(-1))
		reduce("two, dropped", ints(0, 2), i("keepdims", 0))
		reduce("all", none)
		reduce("all, dropped", none, i("keepdims", 0))
		reduce("none", none, i("noop_with_empty_axes", 1))
		reduce("asked", asked(ints(1)), i("keepdims", 0))
	}
	add(contractCase{op: "ReduceProd", name: "with zeros", args: []arg{{Tensor: onnx.Doubles("", []int64{3, 3}, []float64{2, 0, 3, 0, 0, 5, 1, 2, 3})}, ints(1)}})
	add(contractCase{op: "CumSum", args: []arg{x(2, 4), longs(nil, 1)}},
		contractCase{op: "CumSum", name: "from behind, exclusive", args: []arg{x(2, 4), longs(nil, 0)}, attrs: with(i("reverse", 1), i("exclusive", 1))})

	// Normalisations.
	for _, op := range []string{"Softmax", "LogSoftmax"} {
		add(unary(op, x(2, 3)), contractCase{op: op, name: "first axis", args: []arg{x(3, 2)}, attrs: with(i("axis", 0))})
	}
	for p := range int64(2) {
		add(contractCase{op: "LpNormalization", name: fmt.Sprint("p ", p+1), args: []arg{far(2, 3)}, attrs: with(i("p", p+1), i("axis", 0))})
	}
	for _, axis := range []int64{-1, 1} {
		dims, needsRank := []int64{4}, axis >= 0
		name := "axis " + label(ints(axis))
		if axis == 1 {
			dims = []int64{3, 4}
		}
		add(contractCase{op: "SimplifiedLayerNormalization", name: name, args: []arg{x(2, 3, 4), pos(dims...)}, attrs: with(i("axis", axis), f("epsilon", 1e-3)), ranked: needsRank, tolerance: 1e-6},
			contractCase{op: "SimplifiedLayerNormalization", name: name + " with 1/rms", args: []arg{x(2, 3, 4), pos(dims...)}, attrs: with(i("axis", axis)), outs: 2, ranked: needsRank, tolerance: 1e-6},
			contractCase{op: "RMSNormalization", name: name, args: []arg{x(2, 3, 4), pos(dims...)}, attrs: with(i("axis", axis)), opset: 23, ranked: needsRank, tolerance: 1e-6},
			contractCase{op: "LayerNormalization", name: name, args: []arg{x(2, 3, 4), pos(dims...), x(dims...)}, attrs: with(i("axis", axis), f("epsilon", 1e-3)), ranked: needsRank, tolerance: 1e-6},
			contractCase{op: "LayerNormalization", name: name + " with statistics", args: []arg{x(2, 3, 4), pos(dims...)}, attrs: with(i("axis", axis)), outs: 3, ranked: needsRank, tolerance: 1e-6})
	}
	skip := contractCase{op: "com.microsoft.SkipSimplifiedLayerNormalization", args: []arg{x(2, 3, 4), x(2, 3, 4), pos(4)}, attrs: with(f("epsilon", 1e-3)), single: true}
	add(skip)
	skip.name, skip.args = "bias, broadcast", []arg{x(2, 3, 4), x(1, 3, 4), pos(4), x(4)}
	add(skip)
	skip.name, skip.outs, skip.floats = "and the sum", 4, []int{0, 3}
	skip.omit = []int{1, 2}
	add(skip)

	// Losses.
	labels := longs([]int64{4}, 2, 0, -100, 1)
	valid := longs([]int64{4}, 2, 0, 0, 1)
	deep := longs([]int64{2, 2}, 1, -100, 0, 2)
	for _, reduction := range []string{"none", "sum", "mean"} {
		r, ignore := s("reduction", reduction), i("ignore_index", -100)
		for _, op := range []string{"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"} {
			loss := func(name string, args []arg, attrs ...onnx.Attr) {
				add(contractCase{op: op, name: reduction + name, args: args, attrs: append(attrs, r)})
			}
			loss("", []arg{x(4, 3), valid})
			loss(", ignoring", []arg{x(4, 3), labels}, ignore)
			loss(", weighted", []arg{x(4, 3), labels, fixed(pos(3))}, ignore)
			loss(", deep", []arg{x(2, 3, 2), deep}, ignore)
		}
		add(contractCase{op: "SoftmaxCrossEntropyLoss", name: reduction + " and log-probabilities", args: []arg{x(4, 3), labels}, attrs: with(r, ignore), outs: 2})
	}

	// Attention.
	standard := func(name string, args []arg, attrs ...onnx.Attr) {
		add(contractCase{op: "Attention", name: name, args: args, attrs: attrs, opset: 23, tolerance: 1e-6, ranked: true})
	}
	mask := bools([]int64{2, 3}, 1, 0, 1, 1, 1, 0)
	standard("4-D", []arg{x(1, 2, 2, 3), x(1, 2, 3, 3), x(1, 2, 3, 2)}, f("scale", 1))
	standard("bool mask", []arg{x(1, 2, 2, 3), x(1, 2, 3, 3), x(1, 2, 3, 2), mask}, f("scale", 0.5))
	standard("float mask", []arg{x(1, 2, 2, 3), x(1, 2, 3, 3), x(1, 2, 3, 2), x(2, 2, 3)}, f("scale", 0.5))
	standard("causal", []arg{x(1, 2, 3, 2), x(1, 2, 3, 2), x(1, 2, 3, 2)}, i("is_causal", 1), f("scale", 0.5))
	standard("3-D", []arg{x(1, 2, 6), x(1, 3, 6), x(1, 3, 4)}, i("q_num_heads", 2), i("kv_num_heads", 2), f("scale", 0.5))
	standard("soft cap", []arg{x(1, 2, 2, 3), x(1, 2, 3, 3), x(1, 2, 3, 2)}, f("scale", 1), f("softcap", 1.5))
	standard("shared heads", []arg{x(1, 4, 2, 3), x(1, 2, 3, 3), x(1, 2, 3, 2)}, f("scale", 1))
	standard("one head for all, 3-D", []arg{x(2, 2, 6), x(2, 3, 2), x(2, 3, 3)}, i("q_num_heads", 3), i("kv_num_heads", 1), f("scale", 1))
	past := []arg{x(1, 2, 2, 3), x(1, 2, 2, 3), x(1, 2, 2, 2), none, x(1, 2, 3, 3), x(1, 2, 3, 2)}
	standard("past", past, f("scale", 1), i("is_causal", 1))
	cases[len(cases)-1].outs = 3
	for _, mode := range []int64{0, 2, 3} {
		standard(fmt.Sprint("scores, mode ", mode), []arg{x(1, 2, 2, 3), x(1, 2, 3, 3), x(1, 2, 3, 2), x(2, 3)}, f("scale", 1), i("qk_matmul_output_mode", mode))
		c := &cases[len(cases)-1]
		c.outs, c.omit, c.floats = 4, []int{1, 2}, []int{0, 3}
	}
	many := func(name string, args []arg, attrs ...onnx.Attr) {
		add(contractCase{op: "com.microsoft.MultiHeadAttention", name: name, args: args, attrs: append(attrs, i("num_heads", 2)), single: true, ranked: true})
	}
	padding := arg{Tensor: &onnx.Tensor{Type: onnx.Int32, Dims: []int64{1, 3}, Data: []byte{1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}}}
	many("", []arg{x(1, 2, 6), x(1, 3, 6), x(1, 3, 4)}, f("scale", 1))
	many("bias and mask", []arg{x(1, 2, 6), x(1, 3, 6), x(1, 3, 4), none, padding, x(1, 2, 2, 3)}, f("scale", 1), f("mask_filter_value", -5))
	many("packed bias", []arg{x(1, 2, 6), x(1, 3, 6), x(1, 3, 4), x(16)}, f("scale", 1))
	many("keys by head", []arg{x(1, 2, 6), x(1, 2, 3, 3), x(1, 2, 3, 3)}, f("scale", 1))
	many("causal", []arg{x(1, 3, 4), x(1, 3, 4), x(1, 3, 4)}, f("scale", 1), i("unidirectional", 1))
	packed := func(name string, args []arg, attrs ...onnx.Attr) {
		add(contractCase{op: "com.microsoft.Attention", name: name, args: args, attrs: append(attrs, i("num_heads", 2)), single: true, ranked: true})
	}
	packed("", []arg{x(1, 3, 4), x(4, 12), x(12)}, f("scale", 0.2))
	packed("bias and mask", []arg{x(1, 3, 4), x(4, 12), x(12), padding, none, x(1, 2, 3, 3)}, f("scale", 0.2), f("mask_filter_value", -5))
	packed("sizes, causal", []arg{x(1, 3, 4), x(4, 14), x(14)}, is("qkv_hidden_sizes", 4, 4, 6), f("scale", 0.2), i("unidirectional", 1))
	return cases
}

// label writes an integer vector for a case's name.
func label(a arg) string {
	v, _ := a.Int64s()
	return strings.Trim(fmt.Sprint(v), "[]")
}
