package grad

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// Prefix stands before the name of a value in the name of the output that is
// the gradient in it.
const Prefix = "grad."

// Option changes what [Reverse] derives.
type Option func(*settings)

type settings struct {
	seed string
}

// Seed adds a graph input of the given name, which takes the place of the 1
// that the walk starts with, the gradient of the loss in itself. Everything
// that comes out is multiplied by it: it scales a loss for float16. The loss
// may have any shape then, and so may be any value; the input has the same.
func Seed(input string) Option { return func(s *settings) { s.seed = input } }

// Reverse returns a new model: the given one plus what computes the gradient
// of loss in the named values, as outputs "grad.<name>" with the types and
// shapes of the values. Inputs, weights and outputs stay as they are, the
// tensors are shared, and the given model is not changed.
//
// loss is a value of one element, a scalar or [1]. wrt names graph inputs,
// initializers or interior values of float type. A value that the loss does
// not depend on has a gradient of zeros; if that holds for all of them, it is
// an error.
//
// Opsets 11 to 26 are read; models older than 18 come out as opset 18. The
// error for an operator that has no derivative here names the node and the way
// from the trainable to it.
func Reverse(m *onnx.Model, loss string, wrt []string, opts ...Option) (*onnx.Model, error) {
	var s settings
	for _, o := range opts {
		o(&s)
	}
	out, err := reverse(m, loss, wrt, s)
	if err != nil {
		return nil, fmt.Errorf("deriving the gradient of %s: %w", loss, err)
	}
	return out, nil
}

func reverse(m *onnx.Model, loss string, wrt []string, s settings) (*onnx.Model, error) {
	m, err := prepare(m, loss, wrt)
	if err != nil {
		return nil, err
	}
	w, err := newWalk(m, loss, wrt, s.seed)
	if err != nil {
		return nil, err
	}
	for _, n := range slices.Backward(m.Graph.Nodes[:w.forward]) {
		if err := w.node(n); err != nil {
			return nil, err
		}
	}
	for _, name := range wrt {
		if w.grads[name] == "" {
			w.From, w.Block = name, ""
			w.grads[name] = zeros(w.Builder, name)
		}
	}
	if err := w.Err(); err != nil {
		return nil, err
	}
	return w.finish(wrt)
}

// prepare returns a model that computes the same in the forms that the table
// knows, with all that its formulas read.
func prepare(m *onnx.Model, loss string, wrt []string) (*onnx.Model, error) {
	if err := onnx.Validate(m); err != nil {
		return nil, err
	}
	m, err := lift(m)
	if err != nil {
		return nil, err
	}
	if m, err = decompose(m, loss, wrt); err != nil {
		return nil, err
	}
	return save(m, loss, wrt)
}

// walk is the state of the way back: the gradients known so far, by the names
// of the values that they are the gradients in.
type walk struct {
	*onnx.Builder
	active  *activity
	grads   map[string]string
	forward int // the number of forward nodes, which come first
}

// newWalk returns a walk that knows the gradient of the loss in itself.
func newWalk(m *onnx.Model, loss string, wrt []string, seed string) (*walk, error) {
	b := newBuilder(m)
	if seed != "" {
		if onnx.NamesIn(m.Graph)[seed] {
			return nil, fmt.Errorf("the name of the seed, %s, is taken", seed)
		}
		m.Graph.Inputs = append(m.Graph.Inputs, onnx.Value{Name: seed, Type: b.Type(loss), Shape: b.Shape(loss)})
		b = newBuilder(m)
	}
	a, err := analyse(b, loss, wrt)
	if err != nil {
		return nil, err
	}
	w := &walk{Builder: b, active: a, grads: map[string]string{loss: seed}, forward: len(m.Graph.Nodes)}
	if seed == "" {
		w.grads[loss] = w.one(loss)
	}
	return w, nil
}

// one returns the gradient of the loss in itself.
func (w *walk) one(loss string) string {
	shape := w.Shape(loss)
	for _, d := range shape {
		if d.Size != 1 && d != onnx.Unknown {
			w.Fail(hint.Wrap(fmt.Errorf("it has shape %v, want one element", shape),
				"sum or average it first, for example with a ReduceMean node, or start from a cotangent with the option Seed"))
			return ""
		}
	}
	w.From = loss
	return full(w.Builder, 1, loss)
}

// node makes the gradients in the inputs of a node from those in its outputs.
func (w *walk) node(n *onnx.Node) error {
	if !w.flowsThrough(n) {
		return nil
	}
	w.From, w.Block = nameOf(n), n.Block
	d, ok := derivatives[opName(n)]
	if !ok {
		return w.active.fail(n, w.noDerivative(n))
	}
	for i, x := range n.Inputs {
		if !w.active.reached(x) {
			continue
		}
		f := d(i)
		if f == nil {
			return w.active.fail(n, fmt.Errorf("it has no gradient in its input %d, %s", i, x))
		}
		c := &call{Builder: w.Builder, walk: w, node: n, i: i, x: n.Input(0), y: n.Output(0), g: w.grads[n.Output(0)]}
		g := f(c)
		if err := w.Err(); err != nil {
			return w.active.fail(n, err)
		}
		w.add(x, g)
	}
	return nil
}

// noDerivative is the error for a node that the table has nothing for. It
// names the other operators on the way of which that is true.
func (w *walk) noDerivative(n *onnx.Node) error {
	if len(n.Graphs()) > 0 {
		return hint.Wrap(fmt.Errorf("it holds a graph, and gradients do not go through graphs in nodes"),
			"fold or inline it first; ONNX Runtime's offline optimiser does so for an If with a constant condition")
	}
	others := map[string]bool{}
	for o := range w.active.on {
		if _, ok := derivatives[opName(o)]; !ok && opName(o) != opName(n) {
			others[opName(o)] = true
		}
	}
	err := errNoRule
	if len(others) > 0 {
		err = fmt.Errorf("%w, nor have others on the way: %s", err, strings.Join(slices.Sorted(maps.Keys(others)), ", "))
	}
	return hint.Wrap(err,
		"write it with operators that have one (grad.Operators lists them), or ask for the gradient in a value after it")
}

// flowsThrough tells whether a gradient arrives at the node that can go on to
// a trainable.
func (w *walk) flowsThrough(n *onnx.Node) bool {
	return !w.active.stops(n) &&
		slices.ContainsFunc(n.Outputs, func(y string) bool { return w.grads[y] != "" }) &&
		slices.ContainsFunc(n.Uses(), w.active.reached)
}

// add puts what one use of a value gives to its gradient. A use that gives
// nothing, because none of the outputs that depend on it reach the loss,
// has g = "".
func (w *walk) add(x, g string) {
	switch sum := w.grads[x]; {
	case g == "":
	case sum == "":
		w.grads[x] = g
	default:
		w.grads[x] = w.Add(sum, g)
	}
}

// finish makes equal nodes one, and outputs of the gradients in wrt.
func (w *walk) finish(wrt []string) (*onnx.Model, error) {
	g, forward := w.Model.Graph, w.forward
	merged := share(g, forward)
	ends := map[string]string{} // the gradient in each of wrt
	for _, name := range wrt {
		ends[name] = w.grads[name]
		if twin, ok := merged[ends[name]]; ok {
			ends[name] = twin
		}
	}
	if err := join(w.Builder, forward, slices.Collect(maps.Values(ends))); err != nil {
		return nil, err
	}
	made := map[string]bool{}
	for _, n := range g.Nodes[forward:] {
		for _, y := range n.Outputs {
			made[y] = true
		}
	}
	taken := onnx.NamesIn(w.Model.Graph)
	final := map[string]string{} // new names of values
	for _, name := range wrt {
		out, end := Prefix+name, ends[name]
		if taken[out] {
			return nil, fmt.Errorf("the output for %s needs the name %s, which is taken", name, out)
		}
		taken[out] = true
		switch {
		case !made[end]: // the seed, or a forward value
			g.Nodes = append(g.Nodes, identity(name, end, out))
		case final[end] != "": // the gradient in another value, too
			g.Nodes = append(g.Nodes, identity(name, final[end], out))
		default:
			final[end] = out
		}
		g.Outputs = append(g.Outputs, onnx.Value{Name: out, Type: w.Type(name), Shape: w.Shape(name)})
	}
	rename(g.Nodes[forward:], final)
	return w.Model, nil
}

// identity gives the gradient in a value a second name.
func identity(from, x, y string) *onnx.Node {
	return &onnx.Node{Name: y, Op: "Identity", From: from, Inputs: []string{x}, Outputs: []string{y}}
}
