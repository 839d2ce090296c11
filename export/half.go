package export

import (
	"fmt"
	"slices"
	"strings"

	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// Products of half floats, for cards. A product is computed in float16 or
// bfloat16 between casts; the residual stream, norms, softmax, activations and
// loss stay float32, as under PyTorch's autocast. Three things are kept from
// the half type altogether:
//
//   - the head: its logits are the loss, where a bfloat16 of 50 has an error of
//     0.25, and of so few positions they cost a thirtieth of a step;
//   - in float16, the feed-forward's wo: its input and output leave float16's
//     range in the trained models (transformers, T5PreTrainedModel,
//     _keep_in_fp32_modules);
//   - what has no half kernel on CUDA: all but products, and what only moves
//     numbers.
//
// A frozen weight is cast in the graph, from the file that float32 uses. The
// runtime folds such a cast when it loads the graph, so a card holds the half
// alone, and there is no second file to write, name, check and keep.

// halfTypes has the element type of the precisions made here.
var halfTypes = map[Precision]onnx.DType{FP16: onnx.Float16, BF16: onnx.BFloat16}

// isProductOp has the operators that are computed in the half type.
var isProductOp = map[string]bool{"MatMul": true, "Gemm": true, onnx.Microsoft + ".FusedMatMul": true}

// movesOnly has the operators that copy numbers, and so can be done on halves
// with the same result in half the bytes.
var movesOnly = map[string]bool{
	"Reshape": true, "Transpose": true, "Squeeze": true, "Unsqueeze": true, "Expand": true,
	"Slice": true, "Split": true, "Concat": true, "Gather": true,
}

// lossScale multiplies the gradient on its way through float16, whose smallest
// normal number is 6e-5; the outputs are divided by it in float32.
const lossScale = 1024

// toHalf rewrites the products of a finished graph.
func toHalf(m *onnx.Model, p Precision) (*onnx.Model, error) {
	h := &halver{half: halfTypes[p], narrow: map[string]string{}, widened: map[string]bool{}}
	out, err := rewrite(m, func(b *onnx.Builder, n *onnx.Node) bool {
		h.Builder = b
		return h.node(n)
	})
	if err != nil {
		return nil, fmt.Errorf("making graph %s in %s: %w", m.Graph.Name, p, err)
	}
	return dropUnread(out), nil
}

// halver is the state of the pass.
type halver struct {
	*onnx.Builder
	half    onnx.DType
	narrow  map[string]string // the half of a float32 value
	widened map[string]bool   // whether the half was there first
}

// node writes a node on halves; it tells whether the node is one that can be.
func (h *halver) node(n *onnx.Node) bool {
	op := n.Op
	if n.Domain != "" {
		op = n.Domain + "." + op
	}
	product := isProductOp[op] && !h.stays(n)
	if !product && !movesOnly[op] || len(n.Outputs) == 0 || slices.Contains(n.Outputs, "") {
		return false
	}
	var floats []int
	for i, x := range n.Inputs {
		switch {
		case h.Type(x) == onnx.Float32 && (product || h.widened[x]):
			floats = append(floats, i)
		case product, h.Type(x).IsFloat():
			return false
		}
	}
	if len(floats) == 0 {
		return false
	}
	inputs := slices.Clone(n.Inputs)
	for _, i := range floats {
		inputs[i] = h.narrowed(inputs[i])
	}
	for i, y := range h.OpN(op, len(n.Outputs), inputs, n.Attrs...) {
		wide := n.Outputs[i]
		h.Append(&onnx.Node{Name: y + "/wide", Op: "Cast", Inputs: []string{y}, Outputs: []string{wide}, Attrs: []onnx.Attr{onnx.IntAttr("to", int64(onnx.Float32))}})
		h.narrow[wide], h.widened[wide] = y, true
	}
	return true
}

// stays tells the products that are left in float32.
func (h *halver) stays(n *onnx.Node) bool {
	return n.Block == headBlock || h.half == onnx.Float16 &&
		slices.ContainsFunc(n.Inputs, func(x string) bool { return strings.HasSuffix(x, ".wo.weight") })
}

// narrowed returns the half of a value, cast once for all that read it.
func (h *halver) narrowed(x string) string {
	if _, ok := h.narrow[x]; !ok {
		h.narrow[x] = h.Cast(x, h.half)
	}
	return h.narrow[x]
}

// dropUnread takes out nodes and weights that nothing reads: casts back to
// float32 between two operators on halves.
func dropUnread(m *onnx.Model) *onnx.Model {
	read := map[string]bool{}
	for _, v := range m.Graph.Outputs {
		read[v.Name] = true
	}
	var kept []*onnx.Node
	for _, n := range slices.Backward(m.Graph.Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(y string) bool { return read[y] }) {
			continue
		}
		for _, x := range n.Uses() {
			read[x] = true
		}
		kept = append(kept, n)
	}
	slices.Reverse(kept)
	m.Graph.Nodes = kept
	return dropUnused(m)
}

// checkHalf refuses what cannot be made in half precision.
func (s Spec) checkHalf(name string) error {
	if s.Precision == FP16 && s.Graphs != nil {
		return hint.Wrap(fmt.Errorf("exporting graph %s: in float16 some products of a T5 overflow, and it is not known which they are in an exported graph", name),
			"use bf16, or the route that recovers the weights")
	}
	return nil
}

// gradient is [grad.Reverse]; on the way through float16 the gradient is larger
// by lossScale.
func (s Spec) gradient(m *onnx.Model, loss string, wrt []string) (*onnx.Model, error) {
	if s.Precision != FP16 {
		return grad.Reverse(m, loss, wrt)
	}
	b := onnx.NewBuilder(m)
	b.Block = headBlock
	loss = b.Scale(loss, lossScale)
	if err := b.Err(); err != nil {
		return nil, err
	}
	m, err := grad.Reverse(m, loss, wrt)
	if err != nil {
		return nil, err
	}
	return unscale(m, wrt)
}

// unscale divides the gradients in wrt by lossScale.
func unscale(m *onnx.Model, wrt []string) (*onnx.Model, error) {
	names := onnx.NamesIn(m.Graph)
	raw := map[string]string{}
	for _, name := range wrt {
		raw[grad.Prefix+name] = names.Fresh(grad.Prefix + name + ".scaled")
	}
	for i, n := range m.Graph.Nodes {
		m.Graph.Nodes[i] = n.Renamed(raw)
	}
	b := onnx.NewBuilder(m)
	for _, name := range wrt {
		name = grad.Prefix + name
		b.Append(&onnx.Node{
			Name: names.Fresh(name + "/unscale"), Op: "Mul", Outputs: []string{name},
			Inputs: []string{raw[name], b.FloatOf(1.0/lossScale, onnx.Float32)},
		})
	}
	return m, b.Err()
}
