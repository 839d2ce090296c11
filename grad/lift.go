package grad

import (
	"fmt"
	"slices"

	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// The opsets that Reverse reads.
const (
	oldestOpset = 11
	newestOpset = 26
)

// lift returns the model at opset 18 or newer: an older one is rewritten,
// which mostly means that attributes turn into inputs. The graph computes the
// same as before.
func lift(m *onnx.Model) (*onnx.Model, error) {
	version := m.Opset[""]
	switch {
	case version >= onnx.WriteOp && version <= newestOpset:
		return m, nil
	case version > newestOpset:
		return nil, hint.Wrap(fmt.Errorf("%w %d, newer than %d", errOpset, version, newestOpset),
			"export it again with an opset from %d to %d", oldestOpset, newestOpset)
	case version < oldestOpset:
		return nil, hint.Wrap(fmt.Errorf("%w %d, older than %d", errOpset, version, oldestOpset),
			"export it again with an opset from %d to %d, or convert it with onnx.version_converter", oldestOpset, newestOpset)
	}
	m = clone(m)
	l := &lifter{model: m, from: version, taken: onnx.NamesIn(m.Graph), ints: map[string]string{}}
	nodes, err := l.nodes(m.Graph.Nodes)
	if err != nil {
		return nil, fmt.Errorf("bringing the model from opset %d to %d: %w", version, onnx.WriteOp, err)
	}
	m.Graph.Nodes = nodes
	m.Opset[""] = onnx.WriteOp
	return m, nil
}

// lifts says what changed about an operator, and in which opset: a model
// older than that goes through the function, which returns the node's
// replacement. It may change the copy n that it is given.
var lifts = map[string]struct {
	opset int64
	node  func(l *lifter, n *onnx.Node) ([]*onnx.Node, error)
}{
	"Squeeze":   {13, axesToInput},
	"Unsqueeze": {13, axesToInput},
	"ReduceSum": {13, axesToInput},

	"ReduceL1":        {18, axesToInput},
	"ReduceL2":        {18, axesToInput},
	"ReduceLogSum":    {18, axesToInput},
	"ReduceLogSumExp": {18, axesToInput},
	"ReduceMax":       {18, axesToInput},
	"ReduceMean":      {18, axesToInput},
	"ReduceMin":       {18, axesToInput},
	"ReduceProd":      {18, axesToInput},
	"ReduceSumSquare": {18, axesToInput},

	"Split":      {18, liftSplit},
	"Softmax":    {13, liftSoftmax},
	"LogSoftmax": {13, liftSoftmax},
	"Hardmax":    {13, liftSoftmax},
	"Dropout":    {12, liftDropout},

	"BatchNormalization": {14, liftBatchNorm},
	"RoiAlign":           {16, liftRoiAlign},
	"Resize":             {13, liftResize},
}

// lifter is the state of a lift.
type lifter struct {
	model *onnx.Model
	from  int64
	taken onnx.Names
	ints  map[string]string // constants made, by their elements
}

// nodes lifts a list of nodes and the graphs inside them.
func (l *lifter) nodes(old []*onnx.Node) ([]*onnx.Node, error) {
	var lifted []*onnx.Node
	for _, n := range old {
		c := *n
		c.Inputs, c.Attrs = slices.Clone(n.Inputs), slices.Clone(n.Attrs)
		for i, a := range c.Attrs {
			if a.Kind != onnx.AttrGraph || a.G == nil {
				continue
			}
			g := *a.G
			var err error
			if g.Nodes, err = l.nodes(g.Nodes); err != nil {
				return nil, err
			}
			c.Attrs[i].G = &g
		}
		change, ok := lifts[opName(n)]
		if !ok || l.from >= change.opset || len(n.Inputs) == 0 || len(n.Outputs) == 0 {
			lifted = append(lifted, &c)
			continue
		}
		nodes, err := change.node(l, &c)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", n, err)
		}
		lifted = append(lifted, nodes...)
	}
	return lifted, nil
}

// constant returns the name of an int64 vector. It stands in the outermost
// graph, which the inner ones see.
func (l *lifter) constant(v []int64) string {
	key := fmt.Sprint(v)
	if l.ints[key] == "" {
		t := onnx.Longs(l.taken.Fresh("const"), []int64{int64(len(v))}, v)
		l.model.Graph.Initializers = append(l.model.Graph.Initializers, t)
		l.ints[key] = t.Name
	}
	return l.ints[key]
}

// take removes an attribute and returns it, or nil.
func take(n *onnx.Node, name string) *onnx.Attr {
	i := slices.IndexFunc(n.Attrs, func(a onnx.Attr) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	a := n.Attrs[i]
	n.Attrs = slices.Delete(n.Attrs, i, i+1)
	return &a
}

// axesToInput makes the attribute axes the second input.
func axesToInput(l *lifter, n *onnx.Node) ([]*onnx.Node, error) {
	if a := take(n, "axes"); a != nil {
		n.Inputs = append(n.Inputs[:1:1], l.constant(a.Ints))
	}
	return []*onnx.Node{n}, nil
}

// liftSplit makes the attribute split the second input; where the pieces are
// equal, their number is said.
func liftSplit(l *lifter, n *onnx.Node) ([]*onnx.Node, error) {
	if a := take(n, "split"); a != nil {
		n.Inputs = append(n.Inputs[:1:1], l.constant(a.Ints))
	}
	if n.Input(1) == "" {
		n.Attrs = append(n.Attrs, onnx.IntAttr("num_outputs", int64(len(n.Outputs))))
	}
	return []*onnx.Node{n}, nil
}

// liftSoftmax writes out what the older form did: it went over all axes from
// its axis (1 unless given) to the last together.
func liftSoftmax(l *lifter, n *onnx.Node) ([]*onnx.Node, error) {
	axis := n.Int("axis", 1)
	take(n, "axis")
	n.Attrs = append(n.Attrs, onnx.IntAttr("axis", -1))
	if axis == -1 {
		return []*onnx.Node{n}, nil
	}
	x, y := n.Input(0), n.Output(0)
	part := func(op string, attrs ...onnx.Attr) *onnx.Node {
		name := l.taken.Fresh(nameOf(n) + "/" + op)
		return &onnx.Node{Name: name, Op: op, Outputs: []string{name}, Attrs: attrs, Block: n.Block}
	}
	flat, shape, back := part("Flatten", onnx.IntAttr("axis", axis)), part("Shape"), part("Reshape")
	flat.Inputs, shape.Inputs = []string{x}, []string{x}
	n.Inputs, n.Outputs = flat.Outputs, []string{l.taken.Fresh(y + "/flat")}
	back.Inputs, back.Outputs = []string{n.Outputs[0], shape.Outputs[0]}, []string{y}
	return []*onnx.Node{flat, shape, n, back}, nil
}

// liftDropout drops the attribute ratio: without the input training_mode the
// node does nothing, as it did before.
func liftDropout(_ *lifter, n *onnx.Node) ([]*onnx.Node, error) {
	take(n, "ratio")
	return []*onnx.Node{n}, nil
}

func liftBatchNorm(_ *lifter, n *onnx.Node) ([]*onnx.Node, error) {
	if slices.ContainsFunc(n.Outputs[1:], func(y string) bool { return y != "" }) {
		return nil, hint.Wrap(fmt.Errorf("its training form has no successor in newer opsets"), "export the model for inference, or with opset 14 or newer")
	}
	n.Outputs = n.Outputs[:1]
	return []*onnx.Node{n}, nil
}

// liftRoiAlign states the default that was changed.
func liftRoiAlign(_ *lifter, n *onnx.Node) ([]*onnx.Node, error) {
	n.Attrs = append(n.Attrs, onnx.StringAttr("coordinate_transformation_mode", "output_half_pixel"))
	return []*onnx.Node{n}, nil
}

func liftResize(_ *lifter, n *onnx.Node) ([]*onnx.Node, error) {
	if mode := n.Str("coordinate_transformation_mode", ""); mode == "tf_half_pixel_for_nn" {
		return nil, hint.Wrap(fmt.Errorf("the mode %s is gone from newer opsets", mode), "export the model again with opset 13 or newer")
	}
	return []*onnx.Node{n}, nil
}
