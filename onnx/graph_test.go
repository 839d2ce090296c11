package onnx

import (
	"slices"
	"testing"
)

// TestNodeNames checks how errors name a node, by what it has.
func TestNodeNames(t *testing.T) {
	for _, c := range []struct {
		node Node
		want string
	}{
		{Node{Op: "Add", Name: "sum", Outputs: []string{"y"}}, "Add node sum"},
		{Node{Op: "Add", Outputs: []string{"y", "z"}}, "Add node that makes y"},
		{Node{Op: "Add"}, "Add"},
		{Node{Op: "FusedMatMul", Domain: Microsoft, Name: "qk"}, "com.microsoft.FusedMatMul node qk"},
	} {
		if got := c.node.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestOperandsInErrors checks that a left-out operand has its place in an
// error, and that the standard domain's long name finds its rules.
func TestOperandsInErrors(t *testing.T) {
	f := NewInference(NewModel("errors"))
	f.Set(Value{Name: "x", Type: Float32, Shape: Fixed(2)})
	f.Set(Value{Name: "high", Type: Float32, Shape: Fixed(3)})
	err := f.Node(&Node{Op: "Clip", Domain: "ai.onnx", Name: "clip", Inputs: []string{"x", "", "high"}, Outputs: []string{"y"}})
	const want = "ai.onnx.Clip node clip of (x float32[2], -, high float32[3]): bound 2 has shape [3], want a scalar"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, ok := f.Value("y"); ok {
		t.Error("a node that was refused made something")
	}
}

// TestFirstAttributeCounts checks that an accessor does not look past an
// attribute of another kind.
func TestFirstAttributeCounts(t *testing.T) {
	n := &Node{Attrs: []Attr{FloatAttr("a", 2), IntAttr("a", 3), IntsAttr("list"), StringAttr("s", "")}}
	if got := n.Int("a", -1); got != -1 {
		t.Errorf("an int after a float of its name: %d", got)
	}
	if got := n.Ints("list"); len(got) != 0 || n.Attr("list") == nil {
		t.Errorf("an empty list: %v", got)
	}
	if got := n.Str("s", "default"); got != "" {
		t.Errorf("an empty string: %q", got)
	}
	n.Attr("s").S = []byte("changed")
	if got := n.Str("s", ""); got != "changed" {
		t.Errorf("Attr returned a copy: %q", got)
	}
}

// TestTensorsOfAGraph checks the order in which a graph's constants are seen,
// those of attributes and inner graphs among them, and that seeing can stop.
func TestTensorsOfAGraph(t *testing.T) {
	named := func(name string) *Tensor { return Floats(name, nil, []float32{1}) }
	inner := &Graph{
		Initializers: []*Tensor{named("c"), named("d")},
		Nodes:        []*Node{{Op: "Constant", Attrs: []Attr{TensorAttr("value", named("e"))}}},
	}
	g := &Graph{
		Initializers: []*Tensor{named("a")},
		Nodes: []*Node{
			{Op: "Constant", Attrs: []Attr{IntAttr("i", 1), TensorAttr("value", named("b"))}},
			{Op: "If", Attrs: []Attr{{Name: "then_branch", Kind: AttrGraph, G: inner}}},
			{Op: "Constant", Attrs: []Attr{TensorAttr("value", named("f"))}},
		},
	}
	all := []string{"a", "b", "c", "d", "e", "f"}
	for stop := range all {
		var seen []string
		for tensor := range g.tensors {
			seen = append(seen, tensor.Name)
			if len(seen) == stop+1 {
				break
			}
		}
		if !slices.Equal(seen, all[:stop+1]) {
			t.Errorf("stopping after %d: %q, want %q", stop+1, seen, all[:stop+1])
		}
	}
}
