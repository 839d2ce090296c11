package exported

import (
	"math"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// TestFunctionsAreTheRuntimes: what the walk computes with operators is what
// ONNX Runtime computes with them.
func TestFunctionsAreTheRuntimes(t *testing.T) {
	var xs []float32
	for i := range 41 {
		xs = append(xs, float32(i-20)/4+0.0625)
	}
	n := int64(len(xs))
	m := onnx.NewModel("functions")
	m.Opset[""] = 20 // the first with Gelu
	b := onnx.NewBuilder(m)
	x := b.Input("x", onnx.Float32, onnx.Size(n))
	c := b.FloatOf(0.75, onnx.Float32)
	truth := b.Greater(x, c)
	positive := b.Add(b.Abs(x), c)
	small := b.Ints(n)

	unaryOps := []string{
		"Identity", "Neg", "Abs", "Exp", "Floor", "Relu", "Tanh", "Erf", "Sigmoid", "Softplus", "HardSwish", "LeakyRelu", "Gelu",
		"com.microsoft.Gelu", "com.microsoft.FastGelu", "com.microsoft.QuickGelu", "Dropout",
	}
	made := map[string]string{}
	for _, op := range unaryOps {
		made[op] = b.Op(op, []string{x})
	}
	for _, op := range []string{"Sqrt", "Log", "Reciprocal"} {
		made[op] = b.Op(op, []string{positive})
	}
	for _, op := range []string{"Add", "Sub", "Mul", "Div", "Min", "Max"} {
		made[op] = b.Op(op, []string{x, c})
	}
	made["Pow"] = b.Pow(positive, c)
	for _, op := range []string{"Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"} {
		made[op] = b.Cast(b.Op(op, []string{x, c}), onnx.Float32)
	}
	made["And"] = b.Cast(b.And(truth, b.Less(x, b.FloatOf(2, onnx.Float32))), onnx.Float32)
	made["Or"] = b.Cast(b.Or(truth, b.Less(x, b.FloatOf(-2, onnx.Float32))), onnx.Float32)
	made["Not"] = b.Cast(b.Not(truth), onnx.Float32)
	made["Where"] = b.Where(truth, x, c)
	made["Clip"] = b.Op("Clip", []string{x, b.Neg(c), c})
	made["Cast"] = b.Cast(b.Cast(x, onnx.Int64), onnx.Float32)
	made["Reshape"] = b.Squeeze(b.Reshape(x, b.Ints(1, n)), 0)
	made["Squeeze"] = b.Squeeze(b.Unsqueeze(x, 1), 1)
	made["Unsqueeze"] = b.Squeeze(b.Unsqueeze(x, 0), 0)
	made["Transpose"] = b.Squeeze(b.Transpose(b.Unsqueeze(x, 0), 1, 0), 1)
	made["Expand"] = b.Add(b.Expand(c, small), x)
	made["ConstantOfShape"] = b.Add(b.Fill(small, 0.5, onnx.Float32), x)
	made["ReduceMean"] = b.Add(b.ReduceMean(x, true, 0), x)
	made["Gelu tanh"] = b.Op("Gelu", []string{x}, onnx.StringAttr("approximate", "tanh"))
	made["LeakyRelu slope"] = b.Op("LeakyRelu", []string{x}, onnx.FloatAttr("alpha", 0.3))
	for name, v := range made {
		b.Output("out "+name, v)
	}
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	for op := range functions {
		if made[op] == "" {
			t.Errorf("no test computes %s", op)
		}
	}
	at := make([]float64, n)
	for i, v := range xs {
		at[i] = float64(v)
	}
	out := orttest.Run(t, b.Model, map[string]*onnx.Tensor{"x": onnx.Floats("x", []int64{n}, xs)})
	e := &evaluation{g: newView(b.Model), known: map[string][]float64{"x": at}}
	for name, v := range made {
		got, err := e.eval(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := out["out "+name].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if !(math.Abs(got[i]-float64(want[i])) <= 2e-6*max(1, math.Abs(float64(want[i])))) {
				t.Errorf("%s(%v) is %v, by ONNX Runtime %v", name, at[i], got[i], want[i])
				break
			}
		}
	}
}

// TestEvalRefuses: what is no elementwise arithmetic is an error that names
// the node.
func TestEvalRefuses(t *testing.T) {
	b := onnx.NewBuilder(onnx.NewModel("odd"))
	x, y := b.Input("x", onnx.Float32, onnx.Size(3)), b.Input("y", onnx.Float32, onnx.Size(2))
	long := x
	for range deepest + 1 {
		long = b.Tanh(long)
	}
	matrix := b.Weight(onnx.Floats("matrix", []int64{1, 3}, []float32{1, 2, 3}))
	for _, c := range []struct{ value, want string }{
		{b.Tanh(b.Input("z", onnx.Float32)), "nothing makes it"},
		{"missing", "nothing makes it"},
		{b.Op("CumSum", []string{x, b.Int(0)}), "computes what is not expected there"},
		{b.Add(x, matrix), "is no single number"},
		{long, "more than 200 nodes"},
		{b.Op("Max", []string{b.Unsqueeze(x, 1), b.Unsqueeze(y, 0)}), "3 and 2 elements"},
		{b.Op("com.microsoft.FastGelu", []string{b.Unsqueeze(x, 0), x}), "more than one operand"},
	} {
		known := map[string][]float64{"x": {1, 2, 3}, "y": {1, 2}}
		if _, err := (&evaluation{g: newView(b.Model), known: known}).eval(c.value); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestConstantForms: constants are read in each form that nodes hold them in.
func TestConstantForms(t *testing.T) {
	b := onnx.NewBuilder(onnx.NewModel("constants"))
	for name, c := range map[string]struct {
		attr onnx.Attr
		want float64
	}{
		"tensor": {onnx.TensorAttr("value", onnx.Floats("", nil, []float32{1.5})), 1.5},
		"float":  {onnx.FloatAttr("value_float", 2.5), 2.5},
		"floats": {onnx.Attr{Name: "value_floats", Kind: onnx.AttrFloats, Floats: []float32{3.5}}, 3.5},
		"int":    {onnx.IntAttr("value_int", -4), -4},
		"ints":   {onnx.IntsAttr("value_ints", 5), 5},
	} {
		node := &onnx.Node{Op: "Constant", Outputs: []string{name}, Attrs: []onnx.Attr{c.attr}}
		b.Model.Graph.Nodes = append(b.Model.Graph.Nodes, node)
		if got, ok := newView(b.Model).number(name); !ok || got != c.want {
			t.Errorf("%s is %v, %t, want %v", name, got, ok, c.want)
		}
	}
	if constantOf(&onnx.Node{Op: "Constant", Attrs: []onnx.Attr{onnx.StringAttr("value_string", "x")}}) != nil {
		t.Error("a string is a number")
	}
}
