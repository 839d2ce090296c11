package grad

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// Layer returns the layer that a block belongs to, its first two parts:
// "encoder.3" for "encoder.3.attention". What stands outside all layers, such
// as "encoder" or "", has none.
func Layer(block string) string {
	parts := strings.SplitN(block, ".", 3)
	if len(parts) < 2 {
		return ""
	}
	return parts[0] + "." + parts[1]
}

// Recompute trades time for memory in a model that [Reverse] made: what a
// layer computes on its way forward, and its gradient reads again, is not kept
// until then but computed a second time, from what entered the layer (Chen et
// al. 2016, "Training Deep Nets with Sublinear Memory Cost"). So the values of
// one layer are held at a time, and of the others what goes from layer to
// layer. The result computes the same numbers by the same operators.
//
// layer says which layer a node's Block belongs to, "" for none; nil stands
// for [Layer]. A finer division holds less at a time, but more between. Left
// as they are: what no gradient reads; layers that would hold on to more than
// they free; the layer that the forward pass ends in, whose gradient follows
// at once; and nodes that draw random numbers.
//
// A node that runs again has the name of the first with "/again", which it
// says in From. It must not run before the gradient reaches its layer, nor may
// the runtime take it for the same as the first. So what enters the layer
// passes through a Reshape to its own shape that waits for the gradient.
func Recompute(m *onnx.Model, layer func(block string) string) (*onnx.Model, error) {
	if layer == nil {
		layer = Layer
	}
	out, err := recompute(m, layer)
	if err != nil {
		return nil, fmt.Errorf("recomputing layer by layer: %w", err)
	}
	return out, nil
}

func recompute(m *onnx.Model, layer func(string) string) (*onnx.Model, error) {
	if err := onnx.Validate(m); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(m.Graph.Nodes, isGradient) {
		return nil, hint.Wrap(errors.New("no node of the graph says that it belongs to a gradient"), "derive one first, with grad.Reverse")
	}
	u := newUses(m)
	if err := u.Err(); err != nil {
		return nil, err
	}
	var again []*segment
	for _, s := range u.segments(layer) {
		if u.plan(s) {
			again = append(again, s)
		}
	}
	if len(again) == 0 {
		return m, nil
	}
	return rewrite(m, u, again)
}

func isGradient(n *onnx.Node) bool { return n.From != "" }

// segment is a layer: its nodes, by their places in the graph.
type segment struct {
	forward, backward map[int]bool
	// again has the forward nodes that run a second time, before the gradient
	// node at. They wait for the values that the backward pass has made by then
	// and still needs.
	again   []int
	at      int
	waitFor []string
}

// uses knows where each value of a graph is made and read.
type uses struct {
	*onnx.Builder // of the given graph: its shapes and types
	nodes         []*onnx.Node
	maker         map[string]int
	readers       map[string][]int
	outputs       map[string]bool
	constant      map[string]bool // initializers, and what is computed from these alone
	stays         map[string]bool // is held until the backward pass in any case
	results       map[string]bool // outputs of floats that no segment waits for yet
}

func newUses(m *onnx.Model) *uses {
	g := m.Graph
	u := &uses{
		Builder: newBuilder(clone(m)), nodes: g.Nodes,
		maker: map[string]int{}, readers: map[string][]int{},
		outputs: map[string]bool{}, constant: map[string]bool{},
		stays: map[string]bool{}, results: map[string]bool{},
	}
	for _, t := range g.Initializers {
		u.constant[t.Name] = true
	}
	for _, v := range g.Inputs {
		u.stays[v.Name] = true
		delete(u.constant, v.Name)
	}
	for _, v := range g.Outputs {
		u.outputs[v.Name], u.stays[v.Name] = true, true
		u.results[v.Name] = u.Type(v.Name).IsFloat()
	}
	for i, n := range g.Nodes {
		constant := repeats(n)
		for _, x := range n.Uses() {
			u.readers[x] = append(u.readers[x], i)
			constant = constant && u.constant[x]
			u.stays[x] = u.stays[x] || isGradient(n)
		}
		for _, y := range n.Outputs {
			if y != "" {
				u.maker[y], u.constant[y] = i, constant
			}
		}
	}
	return u
}

// draws has the operators that give something else each time.
var draws = map[string]bool{
	"Bernoulli": true, "Dropout": true, "Multinomial": true,
	"RandomNormal": true, "RandomNormalLike": true, "RandomUniform": true, "RandomUniformLike": true,
}

// repeats tells whether a node computes the same when it runs again.
func repeats(n *onnx.Node) bool {
	for _, g := range n.Graphs() {
		for _, inner := range g.Nodes {
			if !repeats(inner) {
				return false
			}
		}
	}
	return !draws[n.Op]
}

// segments returns the layers that have a gradient, in the order in which the
// backward pass reaches them. The one that the forward pass ends in is left
// out: nothing runs between it and its gradient.
func (u *uses) segments(layer func(string) string) []*segment {
	byName := map[string]*segment{}
	last := ""
	for i, n := range u.nodes {
		name := layer(n.Block)
		if !isGradient(n) {
			last = name
		}
		if name == "" {
			continue
		}
		s := byName[name]
		if s == nil {
			s = &segment{forward: map[int]bool{}, backward: map[int]bool{}}
			byName[name] = s
		}
		switch {
		case isGradient(n):
			if len(s.backward) == 0 {
				s.at = i
			}
			s.backward[i] = true
		case len(s.backward) == 0:
			s.forward[i] = true
		}
	}
	delete(byName, last)
	maps.DeleteFunc(byName, func(_ string, s *segment) bool { return len(s.backward) == 0 })
	return slices.SortedFunc(maps.Values(byName), func(s, t *segment) int { return s.at - t.at })
}

// plan finds what of a segment is to run again, and tells whether it is worth
// it.
func (u *uses) plan(s *segment) bool {
	again := map[int]bool{}
	var freed []string
	for _, i := range slices.Sorted(maps.Keys(s.backward)) {
		for _, x := range u.nodes[i].Uses() {
			if u.inside(x, s) && !slices.Contains(freed, x) {
				if len(freed) == 0 {
					s.at = i
				}
				freed = append(freed, x)
			}
		}
	}
	// held has what is read from outside and would be gone otherwise.
	var held []string
	for open := slices.Clone(freed); len(open) > 0; {
		i := u.maker[open[0]]
		open = open[1:]
		if again[i] {
			continue
		}
		again[i] = true
		for _, x := range u.nodes[i].Uses() {
			if u.inside(x, s) {
				open = append(open, x)
			} else if !u.constant[x] && !u.stays[x] && !slices.Contains(held, x) {
				held = append(held, x)
			}
		}
	}
	s.again = slices.Sorted(maps.Keys(again))
	s.waitFor = u.across(s.at)
	if len(s.waitFor) == 0 || u.size(freed) <= u.size(held) {
		return false
	}
	for _, x := range held {
		u.stays[x] = true
	}
	for _, x := range s.waitFor {
		delete(u.results, x)
	}
	return true
}

// inside tells whether a value concerns nothing but a segment and its
// gradient, and can be computed again.
func (u *uses) inside(x string, s *segment) bool {
	i, made := u.maker[x]
	if !made || !s.forward[i] || u.outputs[x] || u.constant[x] || !repeats(u.nodes[i]) {
		return false
	}
	return !slices.ContainsFunc(u.readers[x], func(j int) bool { return !s.forward[j] && !s.backward[j] })
}

// across returns the gradients that are made before a node and read there or
// later, and the results that were made before it and that no other segment
// waits for: they else run when all is done, and hold what they read.
func (u *uses) across(at int) []string {
	var values []string
	for _, n := range u.nodes[:at] {
		for _, y := range n.Outputs {
			late := slices.ContainsFunc(u.readers[y], func(j int) bool { return j >= at })
			if isGradient(n) && late && carries(u.Builder, y) || u.results[y] {
				values = append(values, y)
			}
		}
	}
	return values
}

// usual stands for a size that is not known when the sizes of values are
// compared.
const usual = 128

// size estimates how many elements values have together.
func (u *uses) size(values []string) (elements float64) {
	for _, x := range values {
		n := 1.0
		for _, d := range u.Shape(x) {
			if d.Known() {
				n *= float64(d.Size)
			} else {
				n *= usual
			}
		}
		elements += n
	}
	return elements
}
