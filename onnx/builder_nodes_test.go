package onnx

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestBuilderMethods checks the node that each method of operands and
// attributes makes. What the nodes compute, builder_run_test.go runs.
func TestBuilderMethods(t *testing.T) {
	for _, c := range []struct {
		want string
		make func(b *Builder) string
	}{
		{"Transpose x | perm=[1 0]", func(b *Builder) string { return b.Transpose("x", 1, 0) }},
		{"Gather x i | axis=1", func(b *Builder) string { return b.Gather("x", "i", 1) }},
		{"GatherElements x ii | axis=0", func(b *Builder) string { return b.GatherElements("x", "ii", 0) }},
		{"Softmax x | axis=-1", func(b *Builder) string { return b.Softmax("x", -1) }},
		{"ArgMax x | axis=1 keepdims=0", func(b *Builder) string { return b.ArgMax("x", 1, false) }},
		{"ReduceSum x | keepdims=1", func(b *Builder) string { return b.ReduceSum("x", true) }},
		{"ReduceMean x const | keepdims=0", func(b *Builder) string { return b.ReduceMean("x", false, 1) }},
		{"ReduceSum x a | keepdims=1 noop_with_empty_axes=1", func(b *Builder) string { return b.ReduceSumOver("x", "a") }},
		{"com.microsoft.FusedMatMul x x | transA=0 transB=1 alpha=1", func(b *Builder) string { return b.FusedMatMul("x", "x", false, true, 1) }},
		{"com.microsoft.FusedMatMul x y | transA=0 transB=0 alpha=0.5", func(b *Builder) string { return b.FusedMatMul("x", "y", false, false, 0.5) }},
		{"MatMul x y |", func(b *Builder) string { return b.FusedMatMul("x", "y", false, false, 1) }},
		{"Gemm x x | transA=1 transB=0", func(b *Builder) string { return b.Gemm("x", "x", true, false) }},
		{"Cast x | to=7", func(b *Builder) string { return b.Cast("x", Int64) }},
		{"Slice x const const.1 const.2 |", func(b *Builder) string { return b.SliceTo("x", 0, End, 1) }},
		{"Reshape x const |", func(b *Builder) string { return b.ReshapeTo("x", -1) }},
		{"Shape x | start=0 end=1", func(b *Builder) string { return b.SizesOf("x", 0, 1) }},
		{"ScatterND x ij x | reduction=add", func(b *Builder) string { return b.ScatterND("x", "ij", "x", "add") }},
		{"OneHot i const v | axis=-1", func(b *Builder) string { return b.OneHot("i", b.Int(4), "v") }},
		{"Mul x const |", func(b *Builder) string { return b.Scale("x", 2) }},
	} {
		b := NewBuilder(NewModel("methods"))
		b.Input("x", Float32, Sym("B"), Size(3))
		b.Input("y", Float32, Size(3), Size(4))
		b.Input("i", Int64, Size(2))
		b.Input("ii", Int64, Size(2), Size(3))
		b.Input("ij", Int64, Sym("B"), Size(1))
		b.Input("a", Int64, Sym("A"))
		b.Input("v", Float32, Size(2))
		out := c.make(b)
		if b.Err() != nil {
			t.Errorf("%s: %v", c.want, b.Err())
			continue
		}
		n := b.Model.Graph.Nodes[0]
		got := opName(n) + " " + strings.Join(n.Inputs, " ") + " |"
		for _, a := range n.Attrs {
			switch a.Kind {
			case AttrInt:
				got += fmt.Sprintf(" %s=%d", a.Name, a.I)
			case AttrInts:
				got += fmt.Sprintf(" %s=%v", a.Name, a.Ints)
			case AttrFloat:
				got += fmt.Sprintf(" %s=%v", a.Name, a.F)
			case AttrString:
				got += fmt.Sprintf(" %s=%s", a.Name, a.S)
			}
		}
		if got != c.want || n.Outputs[0] != out || len(b.Model.Graph.Nodes) != 1 {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// TestNoNodeAtAll checks the calls that find there is nothing to do.
func TestNoNodeAtAll(t *testing.T) {
	b := testBuilder()
	for what, got := range map[string]string{
		"cast to its own type": b.Cast("x", Float32),
		"scale by one":         b.Scale("x", 1),
		"concat of one":        b.Concat(1, "x"),
	} {
		if got != "x" {
			t.Errorf("%s: %q, want x", what, got)
		}
	}
	if n := len(b.Model.Graph.Nodes); n != 0 || b.Err() != nil {
		t.Errorf("%d nodes, %v", n, b.Err())
	}
}

// TestHalfConstants checks that a constant like a half-precision value is a
// float32 one behind a cast, and that those of other types are direct.
func TestHalfConstants(t *testing.T) {
	for _, c := range []struct {
		like  DType
		nodes int
	}{{Float16, 1}, {BFloat16, 1}, {Float32, 0}, {Float64, 0}, {Int64, 0}} {
		b := NewBuilder(NewModel("half"))
		x := b.Input("x", c.like, Sym("B"))
		y := b.Scale(x, 3)
		if b.Err() != nil || b.Type(y) != c.like || len(b.Model.Graph.Nodes) != c.nodes+1 {
			t.Errorf("like %v: %v, %d nodes, %v", c.like, b.Type(y), len(b.Model.Graph.Nodes), b.Err())
		}
	}
	b := NewBuilder(NewModel("none"))
	b.Float(1, "nowhere")
	checkError(t, "like nothing", b.Err(), "no scalar of type undefined")
}

// TestFillTypes checks what a fill can hold.
func TestFillTypes(t *testing.T) {
	for _, d := range []DType{Float32, Float64, Int64} {
		b := NewBuilder(NewModel("fill"))
		if y := b.Fill(b.Ints(2, 3), 7, d); b.Type(y) != d || b.Shape(y).String() != "[2,3]" || b.Err() != nil {
			t.Errorf("%v: %v%v, %v", d, b.Type(y), b.Shape(y), b.Err())
		}
	}
	b := NewBuilder(NewModel("fill"))
	if y := b.Fill(b.Ints(2), 7, Float16); y != "" {
		t.Errorf("a fill of halves is %q", y)
	}
	checkError(t, "halves", b.Err(), "making constant value: no scalar of type float16")
}

// TestReserve checks that the builder keeps off names that someone else will
// give, and that they can still be given.
func TestReserve(t *testing.T) {
	b := testBuilder()
	b.Reserve("Relu", "Relu.1")
	if got := b.Relu("x"); got != "Relu.2" {
		t.Errorf("got %q, want Relu.2", got)
	}
	b.Append(&Node{Name: "Relu", Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"Relu.1"}})
	if b.Err() != nil || b.Shape("Relu.1").String() != "[B,S,8]" {
		t.Errorf("%v, %v", b.Shape("Relu.1"), b.Err())
	}
}

// TestAppend checks what a finished node is given and what it keeps.
func TestAppend(t *testing.T) {
	b := testBuilder()
	b.Block, b.From = "encoder.0", "forward"
	own := &Node{Name: "own", Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"y1"}, Block: "mine", From: "theirs"}
	bare := &Node{Name: "bare", Op: "Gelu", Domain: "elsewhere", Inputs: []string{"", "x"}, Outputs: []string{"y2"}}
	b.Append(own)
	b.Append(bare)
	if own.Block != "mine" || own.From != "theirs" || bare.Block != "encoder.0" || bare.From != "forward" {
		t.Errorf("nodes %+v and %+v", own, bare)
	}
	if b.Model.Opset["elsewhere"] != 1 {
		t.Errorf("opset %v", b.Model.Opset)
	}
	b.Model.Opset["newer"] = 3
	b.Append(&Node{Name: "n", Op: "Op", Domain: "newer", Outputs: []string{"y3"}})
	if b.Model.Opset["newer"] != 3 {
		t.Error("a version that was there is changed")
	}
	b.Append(&Node{Name: "lost", Op: "Relu", Inputs: []string{"nowhere"}, Outputs: []string{"y4"}})
	checkError(t, "missing operand", b.Err(), `adding Relu node lost: there is no value "nowhere"`)
	b.Append(&Node{Name: "late", Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"y5"}})
	if n := len(b.Model.Graph.Nodes); n != 3 {
		t.Errorf("%d nodes, want the 3 before the error", n)
	}
}

// TestSeveralOutputs checks the names of the outputs of one node, also where
// one of them is taken.
func TestSeveralOutputs(t *testing.T) {
	b := testBuilder()
	b.Reserve("Split:1")
	got := b.Split("w", 1, b.Ints(1, 1, 2), 3)
	if want := []string{"Split", "Split:1.1", "Split:2"}; b.Err() != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, b.Err(), want)
	}
	if s := b.Shape(got[2]).String(); s != "[8,2]" {
		t.Errorf("the last part has shape %s", s)
	}
	bad := b.Split("w", 1, b.Ints(1, 1), 2)
	if !slices.Equal(bad, []string{"", ""}) || b.Err() == nil {
		t.Errorf("a split that cannot be gives %q, %v", bad, b.Err())
	}
}
