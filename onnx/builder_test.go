package onnx

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestFirstErrorSticks checks that a wrong expression fails once, and that
// what comes after it does nothing.
func TestFirstErrorSticks(t *testing.T) {
	b := testBuilder()
	before := len(b.Model.Graph.Nodes)
	bad := b.MatMul("w", "w")
	first := b.Err()
	if bad != "" || first == nil {
		t.Fatalf("got %q, %v", bad, first)
	}
	y, inv := b.RMSNorm(bad, "nowhere", 1e-6)
	b.Output("y", y)
	b.Fail(errors.New("another"))
	if got := b.Weight(Floats("late", nil, []float32{1})); got != "" || inv != "" || b.Input("late", Float32) != "" || b.Int(3) != "" {
		t.Error("calls after the error made something")
	}
	if b.Err() != first || len(b.Model.Graph.Nodes) != before || len(b.Model.Graph.Outputs) != 0 {
		t.Errorf("error %v, %d nodes", b.Err(), len(b.Model.Graph.Nodes))
	}
}

// TestNames checks that names are new, say where they belong, and that a name
// that is taken is refused.
func TestNames(t *testing.T) {
	b := testBuilder()
	first, second := b.Relu("x"), b.Relu("x")
	b.Block = "encoder.0"
	third := b.Relu("x")
	b.From = third
	fourth := b.Relu("x")
	b.Block = ""
	fifth := b.Relu("x")
	if got, want := []string{first, second, third, fourth, fifth}, []string{"Relu", "Relu.1", "encoder.0/Relu", "grad/encoder.0/Relu", "grad/Relu"}; !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
	n := b.Model.Graph.Nodes[3]
	if n.Name != fourth || n.Block != "encoder.0" || n.From != third {
		t.Errorf("node %+v", n)
	}
	for what, again := range map[string]func(b *Builder){
		"input":  func(b *Builder) { b.Input("x", Float32) },
		"weight": func(b *Builder) { b.Weight(Floats("x", nil, []float32{1})) },
		"output": func(b *Builder) { b.Output("x", b.Relu("x")) },
	} {
		b := testBuilder()
		if again(b); b.Err() == nil || !strings.Contains(b.Err().Error(), what+" x: the name is taken") {
			t.Errorf("%s: error %v", what, b.Err())
		}
	}
}

// TestNewBuilderOnAGraph checks that a builder goes on where a graph ends: it
// knows its shapes and takes none of its names.
func TestNewBuilderOnAGraph(t *testing.T) {
	old := testBuilder()
	y := old.Relu("x")
	b := NewBuilder(old.Model)
	if got := b.Shape(y).String(); got != "[B,S,8]" || b.Type(y) != Float32 {
		t.Errorf("%s has shape %s", y, got)
	}
	if again := b.Relu(y); again == y {
		t.Error("a name was given twice")
	}
	if err := Validate(b.Model); err != nil {
		t.Error(err)
	}
	wrong := NewModel("wrong")
	wrong.Graph.Initializers = []*Tensor{Floats("w", []int64{2, 3}, noise(6))}
	wrong.Graph.Nodes = []*Node{{Op: "MatMul", Inputs: []string{"w", "w"}, Outputs: []string{"y"}}}
	if err := NewBuilder(wrong).Err(); err == nil || !strings.Contains(err.Error(), "MatMul node that makes y") {
		t.Errorf("error %v", err)
	}
}

// TestConstantsAreShared checks that equal constants are one, and that those
// of another type or shape are not.
func TestConstantsAreShared(t *testing.T) {
	b := NewBuilder(NewModel("constants"))
	for range 2 { // the second time finds the first
		b.Ints(1, 2)
		b.Int(1)
	}
	if n := len(b.Model.Graph.Initializers); n != 2 {
		t.Errorf("two constants asked for twice are %d", n)
	}
	different := []string{b.Int(1), b.Ints(1), b.Ints(1, 2), b.FloatOf(1, Float32), b.FloatOf(1, Float64), b.FloatOf(2, Float32)}
	slices.Sort(different)
	if len(slices.Compact(different)) != 6 {
		t.Errorf("different constants share a name: %q", different)
	}
	if got := b.Constant(b.Ints(1, 2)); got == nil || got.Dims[0] != 2 {
		t.Errorf("constant %v", got)
	}
	if b.FloatOf(1, Bool) != "" || b.Err() == nil {
		t.Error("a bool was made from a number")
	}
}

// TestDomains checks that a contrib operator brings its domain's operator set.
func TestDomains(t *testing.T) {
	b := testBuilder()
	if _, ok := b.Model.Opset[Microsoft]; ok {
		t.Fatal("the domain is there from the start")
	}
	b.Output("y", b.FastGelu("x"))
	n := b.Model.Graph.Nodes[0]
	if n.Op != "FastGelu" || n.Domain != Microsoft || b.Model.Opset[Microsoft] != 1 {
		t.Errorf("node %+v, opset %v", n, b.Model.Opset)
	}
	if err := Validate(b.Model); err != nil {
		t.Error(err)
	}
}

// TestUnknownOperators checks that they are let through: nothing is known of
// what they make, and that is no error further on.
func TestUnknownOperators(t *testing.T) {
	b := testBuilder()
	y := b.Op("com.microsoft.NoSuchOperator", []string{"x"})
	z := b.MatMul(b.Add(y, "x"), "w")
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	if b.Type(y) != Undefined || b.Shape(y).Ranked() || b.Shape(z).Ranked() || b.Type(z) != Float32 {
		t.Errorf("%v%v, then %v%v", b.Type(y), b.Shape(y), b.Type(z), b.Shape(z))
	}
	if got := b.Op("Add", []string{"x", "nowhere"}); got != "" || !strings.Contains(b.Err().Error(), `no value "nowhere"`) {
		t.Errorf("a missing operand gives %q, %v", got, b.Err())
	}
}

// TestOptionalInputs checks that trailing inputs that are left out go, and
// inner ones stay.
func TestOptionalInputs(t *testing.T) {
	b := testBuilder()
	b.Op("Clip", []string{"x", "", b.Float(1, "x")})
	b.Op("Clip", []string{"x", b.Float(1, "x"), ""})
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	n := b.Model.Graph.Nodes
	if len(n[0].Inputs) != 3 || n[0].Input(1) != "" || len(n[1].Inputs) != 2 || n[1].Input(2) != "" || n[1].Output(1) != "" {
		t.Errorf("inputs %q and %q", n[0].Inputs, n[1].Inputs)
	}
}

// TestOutput checks that an output of the value's own name needs no node.
func TestOutput(t *testing.T) {
	b := testBuilder()
	y := b.Relu("x")
	b.Output(y, y)
	b.Output("copy", y)
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	if n := len(b.Model.Graph.Nodes); n != 2 {
		t.Errorf("%d nodes, want 2", n)
	}
	for i, want := range []string{"Relu float32[B,S,8]", "copy float32[B,S,8]"} {
		if got := b.Model.Graph.Outputs[i].String(); got != want {
			t.Errorf("output %q, want %q", got, want)
		}
	}
	if b.Output("late", "nowhere"); b.Err() == nil {
		t.Error("a value that is not there became an output")
	}
}

// TestAttributes checks the accessors: a value of the right kind, or the
// default.
func TestAttributes(t *testing.T) {
	n := &Node{Op: "Op", Attrs: []Attr{IntAttr("i", 7), FloatAttr("f", 0.5), IntsAttr("is", 1, 2), StringAttr("s", "text"), TensorAttr("t", Longs("", nil, []int64{1}))}}
	if n.Int("i", 0) != 7 || n.Int("f", 3) != 3 || n.Int("none", 4) != 4 {
		t.Error("Int")
	}
	if n.Float("f", 0) != 0.5 || n.Float("i", 3) != 3 {
		t.Error("Float")
	}
	if !slices.Equal(n.Ints("is"), []int64{1, 2}) || n.Ints("i") != nil {
		t.Error("Ints")
	}
	if n.Str("s", "") != "text" || n.Str("i", "default") != "default" {
		t.Error("Str")
	}
	if n.Attr("t").T == nil || n.Attr("none") != nil {
		t.Error("Attr")
	}
}
