package grad

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// Why a derivation may end, for tests that tell the reasons apart.
var (
	errNoPath = errors.New("it does not depend")
	errNoRule = errors.New("the operator has no derivative here")
	errRounds = errors.New("it rounds to integers, so that the loss moves in steps and has no gradient")
	errOpset  = errors.New("the model is of opset")
)

// activity says through which values and nodes a change of a trainable
// reaches the loss.
type activity struct {
	// from has the values that a trainable reaches, and the node that made
	// each: nil for a trainable itself.
	from map[string]*onnx.Node
	// on has the nodes between the trainables and the loss.
	on    map[*onnx.Node]bool
	opset map[string]int64
}

// analyse follows the trainables to the loss and back. The nodes are in the
// builder's model.
func analyse(b *onnx.Builder, loss string, wrt []string) (*activity, error) {
	if err := b.Err(); err != nil {
		return nil, err
	}
	if err := checkNames(b, loss, wrt); err != nil {
		return nil, err
	}
	a := &activity{from: map[string]*onnx.Node{}, on: map[*onnx.Node]bool{}, opset: b.Model.Opset}
	for _, name := range wrt {
		a.from[name] = nil
	}
	g := b.Model.Graph
	for _, n := range g.Nodes {
		if a.stops(n) || !slices.ContainsFunc(n.Uses(), a.reached) {
			continue
		}
		for _, y := range n.Outputs {
			if y != "" && carries(b, y) && !a.reached(y) {
				a.from[y] = n
			}
		}
	}
	if err := a.refuseRounding(g, loss); err != nil {
		return nil, err
	}
	if !a.reached(loss) {
		return nil, hint.Wrap(fmt.Errorf("%w on %s in a way that has a gradient", errNoPath, strings.Join(wrt, ", ")),
			"integer and comparison operators, such as ArgMax, stop a gradient")
	}
	needed := map[string]bool{loss: true}
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(y string) bool { return needed[y] && a.reached(y) }) {
			continue
		}
		if a.stops(n) || !slices.ContainsFunc(n.Uses(), a.reached) {
			continue // a trainable inside the graph
		}
		a.on[n] = true
		for _, x := range n.Uses() {
			needed[x] = true
		}
	}
	return a, nil
}

// refuseRounding is the error for the first operator of a quantised model
// between a trainable and the loss. Without it the gradient would be that of
// what goes around the operator, or through the scale that it takes.
func (a *activity) refuseRounding(g *onnx.Graph, loss string) error {
	needed := map[string]bool{loss: true}
	var first *onnx.Node
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(y string) bool { return needed[y] }) {
			continue
		}
		for _, x := range n.Uses() {
			needed[x] = true
		}
		if rounds[opName(n)] && slices.ContainsFunc(n.Inputs, a.reached) {
			first = n
		}
	}
	if first == nil {
		return nil
	}
	return a.fail(first, hint.Wrap(errRounds, "a quantised model cannot be differentiated as it stands: take its float32 or float16 file"))
}

// checkNames tells whether the loss and the trainables are there, and of float
// type.
func checkNames(b *onnx.Builder, loss string, wrt []string) error {
	g := b.Model.Graph
	known := map[string]bool{}
	for _, v := range g.Inputs {
		known[v.Name] = true
	}
	for _, t := range g.Initializers {
		known[t.Name] = true
	}
	for _, n := range g.Nodes {
		for _, y := range n.Outputs {
			known[y] = y != ""
		}
	}
	if len(wrt) == 0 {
		return fmt.Errorf("no values are named to derive it in")
	}
	for i, name := range append([]string{loss}, wrt...) {
		switch {
		case !known[name]:
			return hint.Wrap(fmt.Errorf("the graph has no value %q", name),
				"its outputs are %s; its inputs %s", list(g.Outputs), list(g.Inputs))
		case !carries(b, name):
			return fmt.Errorf("%s is of type %v; a gradient needs float values", name, b.Type(name))
		case i > 0 && slices.Contains(wrt[:i-1], name):
			return fmt.Errorf("%s is named twice", name)
		}
	}
	return nil
}

// carries tells whether a gradient can flow through a value. One of unknown
// type is given the benefit of the doubt.
func carries(b *onnx.Builder, value string) bool {
	t := b.Type(value)
	return t.IsFloat() || t == onnx.Undefined
}

// reached tells whether a trainable reaches the value.
func (a *activity) reached(value string) bool {
	_, ok := a.from[value]
	return ok
}

// stops tells the operators whose results do not change with their operands,
// or change in steps.
func (a *activity) stops(n *onnx.Node) bool { return stops[opName(n)] }

// nodeError says at which node a derivation ended, and how the trainable gets
// there.
type nodeError struct {
	node          *onnx.Node
	version, path string
	err           error
}

func (e *nodeError) Error() string {
	return fmt.Sprintf("%v (%s), on the way %s: %v", e.node, e.version, e.path, e.err)
}

func (e *nodeError) Unwrap() error { return e.err }

// fail makes a nodeError.
func (a *activity) fail(n *onnx.Node, err error) error {
	version := fmt.Sprintf("opset %d", a.opset[n.Domain])
	if n.Domain != "" {
		version = fmt.Sprintf("%s version %d", n.Domain, a.opset[n.Domain])
	}
	return &nodeError{n, version, a.path(n), err}
}

// path writes the way from a trainable to the node. Of a long one the middle
// is left out.
func (a *activity) path(n *onnx.Node) string {
	steps := []string{describe(n)}
	for {
		i := slices.IndexFunc(n.Uses(), a.reached)
		if i < 0 {
			break
		}
		x := n.Uses()[i]
		if n = a.from[x]; n == nil {
			steps = append(steps, x)
			break
		}
		steps = append(steps, describe(n))
	}
	slices.Reverse(steps)
	if left := len(steps) - 8; left > 0 {
		steps = slices.Replace(steps, 4, 4+left, fmt.Sprintf("%d more", left))
	}
	return strings.Join(steps, " → ")
}

func describe(n *onnx.Node) string { return n.Op + " " + nameOf(n) }

func list(values []onnx.Value) string {
	var s []string
	for _, v := range values {
		s = append(s, v.Name)
	}
	if len(s) > 12 {
		s = append(s[:12], "…")
	}
	return strings.Join(s, ", ")
}
