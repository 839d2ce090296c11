package export

import (
	"fmt"
	"slices"

	"softprompt/models"
	"softprompt/onnx"
)

// Products of integers. A product of activations x [..,K] with a frozen weight
// is computed on 8-bit integers:
//
//	x ≈ s·(u − 128)    u [M,K] in 1 … 255, one scale for each row: s = max|x|/127
//	w ≈ q·t            q [K,N], one scale for each column, made beforehand
//	y = s·(Σ (u − 128)·q)·t
//
// A scale for each row, where ONNX Runtime's DynamicQuantizeMatMul has one for
// the whole tensor, keeps a row's result free of what else is in the batch, and
// of the size of other positions: one large row would take the digits of all.
// The gradients that flow back through the same weights go the same way. The
// sums are exact, so the error is that of rounding x and w.

// toInt8 rewrites the products of a finished graph whose right side is one of
// the weights that quantised holds, see [models.Model.Int8File].
func toInt8(m *onnx.Model, quantised *models.Checkpoint) (*onnx.Model, error) {
	q := &quantiser{
		weights: quantised, loaded: map[string]bool{},
		rows: map[string]quantisedRows{}, zeros: map[string]string{}, shapes: map[string]string{},
	}
	out, err := rewrite(m, func(b *onnx.Builder, n *onnx.Node) bool {
		q.Builder = b
		return q.product(n)
	})
	if err != nil {
		return nil, fmt.Errorf("quantising graph %s: %w", m.Graph.Name, err)
	}
	return dropUnused(out), nil
}

// quantiser is the state of the pass.
type quantiser struct {
	*onnx.Builder
	weights *models.Checkpoint
	loaded  map[string]bool
	rows    map[string]quantisedRows // by the name of what was quantised
	zeros   map[string]string        // vectors of zero points by their length
	shapes  map[string]string        // sizes for Reshape by what they are
}

// quantisedRows is a tensor [..,K] as integers.
type quantisedRows struct {
	integers string // uint8 [M,K]
	scales   string // float32 [M,1]
}

// product writes a product with integers; it tells whether the node is one that
// can be.
func (q *quantiser) product(n *onnx.Node) bool {
	forward := n.Int("transB", 0) == 1
	integers, scales := models.Int8Names(n.Input(1), !forward)
	x := q.Shape(n.Input(0))
	if _, ok := q.weights.Lookup(integers); !ok || !isProduct(n) || len(x) < 2 {
		return false
	}
	if n.Int("transA", 0)+n.Int("transBatchA", 0)+n.Int("transBatchB", 0) != 0 || n.Float("alpha", 1) != 1 {
		return false
	}
	w, t := q.weight(integers), q.weight(scales)
	rows := q.quantise(n.Input(0))
	y := q.Op("com.microsoft.MatMulIntegerToFloat", []string{
		rows.integers, w, q.FloatOf(1, onnx.Float32), t, q.zero(),
	}) // [M,N]
	q.Alias(n.Output(0), q.Reshape(q.Mul(y, rows.scales), q.sizes(n.Input(0), q.Shape(w)[1].Size)))
	return true
}

// sizes returns the sizes of x as a vector, but for the last, which is width.
// Tensors of one shape share it.
func (q *quantiser) sizes(x string, width int64) string {
	shape := slices.Clone(q.Shape(x))
	shape[len(shape)-1] = onnx.Size(width)
	key := fmt.Sprint(shape)
	if !slices.ContainsFunc(shape, func(d onnx.Dim) bool { return d == onnx.Unknown }) && q.shapes[key] != "" {
		return q.shapes[key]
	}
	q.shapes[key] = q.Concat(0, q.SizesOf(x, 0, -1), q.Ints(width))
	return q.shapes[key]
}

func isProduct(n *onnx.Node) bool {
	return n.Op == "MatMul" && n.Domain == "" || n.Op == "FusedMatMul" && n.Domain == onnx.Microsoft
}

// quantise rounds a tensor [..,K] row by row, once for all products that read
// it. A row of zeros has the smallest scale, not 0.
func (q *quantiser) quantise(x string) quantisedRows {
	if r, ok := q.rows[x]; ok {
		return r
	}
	k := q.Shape(x)[len(q.Shape(x))-1].Size
	flat := q.ReshapeTo(x, -1, k)
	high, low := q.ReduceMax(flat, false, 1), q.ReduceMin(flat, false, 1) // [M]
	scale := q.Scale(q.Op("Max", []string{high, q.Neg(low), q.Float(1e-28, flat)}), 1.0/127)
	r := quantisedRows{
		integers: q.Op("QuantizeLinear", []string{flat, scale, q.zeroPoints(scale)}, onnx.IntAttr("axis", 0)),
		scales:   q.Unsqueeze(scale, 1),
	}
	q.rows[x] = r
	return r
}

// zeroPoints returns as many zero points as a vector has elements.
func (q *quantiser) zeroPoints(like string) string {
	length := q.Shape(like)[0].String()
	if z, ok := q.zeros[length]; ok && length != onnx.Unknown.String() {
		return z
	}
	z := q.Expand(q.zero(), q.ShapeOf(like))
	q.zeros[length] = z
	return z
}

// zero is the unsigned integer that stands for 0.
func (q *quantiser) zero() string {
	return q.Const(&onnx.Tensor{Type: onnx.Uint8, Dims: []int64{}, Data: []byte{128}})
}

// weight adds a tensor of the quantised file.
func (q *quantiser) weight(name string) string {
	if q.loaded[name] {
		return name
	}
	q.loaded[name] = true
	info, _ := q.weights.Lookup(name)
	data, err := q.weights.Bytes(name)
	if err != nil {
		q.Fail(err)
		return ""
	}
	types := map[models.DType]onnx.DType{models.F32: onnx.Float32, models.I8: onnx.Int8}
	return q.Weight(&onnx.Tensor{Name: name, Type: types[info.DType], Dims: info.Shape, Data: data})
}

// dropUnused takes out weights that no node reads.
func dropUnused(m *onnx.Model) *onnx.Model {
	used := map[string]bool{}
	for _, n := range m.Graph.Nodes {
		for _, x := range n.Uses() {
			used[x] = true
		}
	}
	for _, v := range m.Graph.Outputs {
		used[v.Name] = true
	}
	m.Graph.Initializers = slices.DeleteFunc(m.Graph.Initializers, func(t *onnx.Tensor) bool { return !used[t.Name] })
	return m
}
