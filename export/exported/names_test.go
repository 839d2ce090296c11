package exported

import (
	"slices"
	"testing"

	"softprompt/onnx"
)

// nested is a node with a graph in it that has a graph in it: the inner ones
// read a, b and c from outside, and name x and y themselves.
func nested() *onnx.Node {
	inner := &onnx.Graph{
		Nodes:   []*onnx.Node{{Op: "Add", Inputs: []string{"x", "b"}, Outputs: []string{"y"}}, {Op: "Mul", Inputs: []string{"y", "c"}, Outputs: []string{"z"}}},
		Outputs: []onnx.Value{{Name: "z"}},
	}
	outer := &onnx.Graph{
		Inputs: []onnx.Value{{Name: "x"}}, Initializers: []*onnx.Tensor{onnx.Floats("w", nil, []float32{1})},
		Nodes: []*onnx.Node{
			{Op: "If", Inputs: []string{"a"}, Outputs: []string{"chosen"}, Attrs: []onnx.Attr{{Name: "then_branch", Kind: onnx.AttrGraph, G: inner}}},
		},
		Outputs: []onnx.Value{{Name: "chosen"}, {Name: "w"}, {Name: "b"}},
	}
	return &onnx.Node{Name: "loop", Op: "Loop", Inputs: []string{"n", "", "start"}, Outputs: []string{"end"}, Attrs: []onnx.Attr{
		onnx.IntAttr("k", 1), {Name: "body", Kind: onnx.AttrGraph, G: outer},
	}}
}

// TestUses: what a node reads is what its graphs read from outside, too.
func TestUses(t *testing.T) {
	got := uses(nested())
	slices.Sort(got)
	if want := []string{"a", "b", "b", "c", "n", "start"}; !slices.Equal(got, want) {
		t.Errorf("the node reads %q, want %q", got, want)
	}
}

// TestRenamed: names change wherever they are read, but not what an inner
// graph names itself, and the node that was given stays.
func TestRenamed(t *testing.T) {
	n := nested()
	c := renamed(n, map[string]string{"a": "A", "b": "B", "x": "X", "w": "W", "end": "END", "start": "START"})
	got := uses(c)
	slices.Sort(got)
	if want := []string{"A", "B", "B", "START", "c", "n"}; !slices.Equal(got, want) {
		t.Errorf("the renamed node reads %q, want %q", got, want)
	}
	if c.Outputs[0] != "END" {
		t.Errorf("it makes %q", c.Outputs)
	}
	body := c.Attrs[1].G
	if out := namesOf(body.Outputs); !slices.Equal(out, []string{"chosen", "w", "B"}) {
		t.Errorf("its body gives %q", out)
	}
	got = uses(n)
	slices.Sort(got)
	if !slices.Equal(got, []string{"a", "b", "b", "c", "n", "start"}) || n.Outputs[0] != "end" {
		t.Errorf("the given node now reads %q", got)
	}
}

// TestTaken: fresh names are new in inner graphs as well.
func TestTaken(t *testing.T) {
	used := takenIn(&onnx.Graph{Nodes: []*onnx.Node{nested()}})
	for base, want := range map[string]string{"y": "y.1", "z": "z.1", "loop": "loop.1", "new": "new"} {
		if got := used.fresh(base); got != want {
			t.Errorf("a fresh name for %s is %s, want %s", base, got, want)
		}
	}
	if got := used.fresh("y"); got != "y.2" {
		t.Errorf("the second fresh name is %s", got)
	}
}
