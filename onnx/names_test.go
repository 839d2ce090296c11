package onnx

import (
	"slices"
	"testing"
)

// nested is a node with a graph in it that has a graph in it: the inner ones
// read a, b and c from outside, and name x and y themselves.
func nested() *Node {
	inner := &Graph{
		Nodes:   []*Node{{Op: "Add", Inputs: []string{"x", "b"}, Outputs: []string{"y"}}, {Op: "Mul", Inputs: []string{"y", "c"}, Outputs: []string{"z"}}},
		Outputs: []Value{{Name: "z"}},
	}
	outer := &Graph{
		Inputs: []Value{{Name: "x"}}, Initializers: []*Tensor{Floats("w", nil, []float32{1})},
		Nodes: []*Node{
			{Op: "If", Inputs: []string{"a"}, Outputs: []string{"chosen"}, Attrs: []Attr{{Name: "then_branch", Kind: AttrGraph, G: inner}}},
		},
		Outputs: []Value{{Name: "chosen"}, {Name: "w"}, {Name: "b"}},
	}
	return &Node{Name: "loop", Op: "Loop", Inputs: []string{"n", "", "start"}, Outputs: []string{"end"}, Attrs: []Attr{
		IntAttr("k", 1), {Name: "body", Kind: AttrGraph, G: outer},
	}}
}

// TestUses: what a node reads is what its graphs read from outside, too.
func TestUses(t *testing.T) {
	got := nested().Uses()
	slices.Sort(got)
	if want := []string{"a", "b", "b", "c", "n", "start"}; !slices.Equal(got, want) {
		t.Errorf("the node reads %q, want %q", got, want)
	}
}

// TestRenamed: names change wherever they are read, but not what an inner
// graph names itself, and the node that was given stays.
func TestRenamed(t *testing.T) {
	n := nested()
	c := n.Renamed(map[string]string{"a": "A", "b": "B", "x": "X", "w": "W", "end": "END", "start": "START"})
	got := c.Uses()
	slices.Sort(got)
	if want := []string{"A", "B", "B", "START", "c", "n"}; !slices.Equal(got, want) {
		t.Errorf("the renamed node reads %q, want %q", got, want)
	}
	if c.Outputs[0] != "END" {
		t.Errorf("it makes %q", c.Outputs)
	}
	body := c.Attrs[1].G
	for i, want := range []string{"chosen", "w", "B"} {
		if got := body.Outputs[i].Name; got != want {
			t.Errorf("its body gives %q, want %q", got, want)
		}
	}
	got = n.Uses()
	slices.Sort(got)
	if !slices.Equal(got, []string{"a", "b", "b", "c", "n", "start"}) || n.Outputs[0] != "end" {
		t.Errorf("the given node now reads %q", got)
	}
}

// TestTaken: fresh names are new in inner graphs as well.
func TestTaken(t *testing.T) {
	used := NamesIn(&Graph{Nodes: []*Node{nested()}})
	for base, want := range map[string]string{"y": "y.1", "z": "z.1", "loop": "loop.1", "new": "new"} {
		if got := used.Fresh(base); got != want {
			t.Errorf("a fresh name for %s is %s, want %s", base, got, want)
		}
	}
	if got := used.Fresh("y"); got != "y.2" {
		t.Errorf("the second fresh name is %s", got)
	}
}
