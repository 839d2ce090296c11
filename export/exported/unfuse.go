package exported

import (
	"math"
	"slices"

	"softprompt/onnx"
)

// unfuse makes graphs that ONNX Runtime's optimiser fused for CUDA run
// elsewhere too: T5's relative positions, which have a kernel there alone, are
// written in standard operators, and an Attention without a bias, which ends
// the process on a processor, gets one of zeros.
func (p *part) unfuse() error {
	g := p.model.Graph
	w := &writer{graph: g, used: onnx.NamesIn(g)}
	for _, n := range g.Nodes {
		switch opName(n) {
		case "com.microsoft.RelativePositionBias":
			if err := p.positions(w, n); err != nil {
				return err
			}
			p.note("wrote %v in standard operators", n)
		case "com.microsoft.Attention":
			if n.Input(2) == "" {
				var err error
				if n, err = p.biased(w, n); err != nil {
					return err
				}
			}
			fallthrough
		default:
			w.nodes = append(w.nodes, n)
		}
	}
	g.Nodes = w.nodes
	return nil
}

// positions writes com.microsoft.RelativePositionBias(table, query length, key
// length): the rows of a table [buckets,h] for all distances between keys and
// queries, [1,h,Q,K], whose elements lie as if it were [h,buckets]
// (onnxruntime, docs/ContribOperators.md). The buckets are T5's
// (modeling_t5.py, _relative_position_bucket).
func (p *part) positions(w *writer, n *onnx.Node) error {
	table := p.constant(n.Input(0))
	if table == nil || len(table.Dims) != 2 || table.Type != onnx.Float32 || len(n.Inputs) < 3 || len(n.Outputs) != 1 {
		return p.fail(n, "want a constant table of float32 and two lengths")
	}
	buckets, heads, distance := table.Dims[0], table.Dims[1], n.Int("max_distance", 128)
	w.base = n.Output(0) + "/"
	relative := w.op("Sub",
		w.op("Unsqueeze", w.upTo(n.Input(2)), w.ints(0)), // keys [1,K]
		w.op("Unsqueeze", w.upTo(n.Input(1)), w.ints(1))) // queries [Q,1]
	var bucket string
	if n.Int("is_bidirectional", 0) != 0 {
		buckets /= 2
		bucket = w.op("Where", w.op("Greater", relative, w.int(0)), w.int(buckets), w.int(0))
		relative = w.op("Abs", relative)
	} else {
		relative = w.op("Max", w.op("Neg", relative), w.int(0))
	}
	exact := buckets / 2
	if exact < 1 || distance <= exact {
		return p.fail(n, "%d buckets for distances up to %d; want room for both near and far ones", table.Dims[0], distance)
	}
	far := w.op("Div", w.op("Log", w.op("Div", w.cast(relative, onnx.Float32), w.float(float64(exact)))), w.float(math.Log(float64(distance)/float64(exact))))
	far = w.op("Add", w.cast(w.op("Mul", far, w.float(float64(buckets-exact))), onnx.Int64), w.int(exact))
	at := w.op("Where", w.op("Less", relative, w.int(exact)), relative, w.op("Min", far, w.int(buckets-1)))
	if bucket != "" {
		at = w.op("Add", at, bucket)
	}
	byHead := &onnx.Tensor{Type: onnx.Float32, Dims: []int64{heads, table.Dims[0]}, Data: table.Data}
	bias := w.node("Gather", []string{w.constant(byHead), at}, onnx.IntAttr("axis", 1)) // [h,Q,K]
	last := &onnx.Node{Name: n.Name, Op: "Unsqueeze", Inputs: []string{bias, w.ints(0)}, Outputs: n.Outputs, Block: n.Block}
	w.nodes = append(w.nodes, last)
	return nil
}

// biased returns com.microsoft.Attention(input, weight [d,3·inner], bias, …)
// with zeros for its bias.
func (p *part) biased(w *writer, n *onnx.Node) (*onnx.Node, error) {
	weight := p.constant(n.Input(1))
	if weight == nil || len(weight.Dims) != 2 || len(n.Inputs) < 2 {
		return nil, p.fail(n, "want a constant matrix for queries, keys and values")
	}
	w.base = n.Output(0) + "/"
	c := *n
	c.Inputs = append(slices.Clone(n.Inputs), "")
	c.Inputs[2] = w.constant(onnx.Floats("", weight.Dims[1:], make([]float32, weight.Dims[1])))
	for c.Inputs[len(c.Inputs)-1] == "" {
		c.Inputs = c.Inputs[:len(c.Inputs)-1]
	}
	return &c, nil
}

// writer appends nodes to a list, under names of their own.
type writer struct {
	graph *onnx.Graph
	used  onnx.Names
	base  string
	nodes []*onnx.Node
}

func (w *writer) op(op string, inputs ...string) string { return w.node(op, inputs) }

func (w *writer) node(op string, inputs []string, attrs ...onnx.Attr) string {
	y := w.used.Fresh(w.base + op)
	w.nodes = append(w.nodes, &onnx.Node{Name: y, Op: op, Inputs: slices.Clone(inputs), Outputs: []string{y}, Attrs: attrs})
	return y
}

func (w *writer) cast(x string, to onnx.DType) string {
	return w.node("Cast", []string{x}, onnx.IntAttr("to", int64(to)))
}

// upTo returns 0, 1, … below a length, which may be of any integer type and a
// scalar or a vector of one element.
func (w *writer) upTo(length string) string {
	scalar := w.op("Reshape", w.cast(length, onnx.Int64), w.ints())
	return w.op("Range", w.int(0), scalar, w.int(1))
}

func (w *writer) int(v int64) string { return w.constant(onnx.Longs("", nil, []int64{v})) }

func (w *writer) ints(v ...int64) string {
	return w.constant(onnx.Longs("", []int64{int64(len(v))}, v))
}

func (w *writer) float(v float64) string {
	return w.constant(onnx.Floats("", nil, []float32{float32(v)}))
}

// constant adds an initializer.
func (w *writer) constant(t *onnx.Tensor) string {
	t.Name = w.used.Fresh(w.base + "const")
	w.graph.Initializers = append(w.graph.Initializers, t)
	return t.Name
}
