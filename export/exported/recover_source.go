package exported

import (
	"fmt"
	"slices"

	"softprompt/onnx"
)

// source says where a weight's numbers lie and how to make float32 of them:
// as they are, turned from [in,out] to [out,in], and from a quantised type
// (number − zero)·scale.
type source struct {
	tensor *onnx.Tensor
	// node is the one that reads the weight; its name often says which it is.
	node string
	// rows and cols are the sizes that are wanted; a vector has one row.
	rows, cols int64
	turned     bool // stored as [cols,rows]
	// from and width say that only some columns of the stored matrix are the
	// weight: those from `from` on, of width in all; 0 for all of them.
	from, width int64
	quantum     *quantum
	parts       []*onnx.Tensor // all constants that it is made of
}

// quantum says how a quantised tensor's numbers are spaced, along an axis of
// the stored tensor or, with axis −1, in all of it.
type quantum struct {
	axis        int
	scale, zero []float64
	// bits and block are those of a MatMulNBits weight [rows, blocks,
	// bytes of a block], whose scale and zero have an entry a block.
	bits, block int64
}

// constant returns the source of a value that is a weight: a constant, behind
// what exporters put between it and its reader.
func (g *view) constant(value string) *source {
	m := g.maker(value)
	t := g.consts[value]
	switch {
	case t != nil:
		return newSource(t)
	case m.is("", "Identity"), m.is("", "Cast") && onnx.DType(m.Int("to", 0)).IsFloat():
		s := g.constant(m.Input(0))
		if s == nil || !s.tensor.Type.IsFloat() {
			return nil
		}
		return s
	case m.is("", "Transpose"):
		s := g.constant(m.Input(0))
		perm := m.Ints("perm")
		if s == nil || len(s.tensor.Dims) != 2 || perm != nil && !slices.Equal(perm, []int64{1, 0}) {
			return nil
		}
		return s.turn()
	case m.is("", "DequantizeLinear"), m.is("com.microsoft", "DequantizeLinear"):
		s := g.constant(m.Input(0))
		if s == nil || m.Int("block_size", 0) != 0 {
			return nil
		}
		return g.quantised(s, m.Input(1), m.Input(2), m.Int("axis", 1))
	}
	return nil
}

// newSource returns the source of a matrix or vector as it is stored.
func newSource(t *onnx.Tensor) *source {
	s := &source{tensor: t, rows: 1, cols: t.Len(), parts: []*onnx.Tensor{t}}
	if len(t.Dims) == 2 {
		s.rows, s.cols = t.Dims[0], t.Dims[1]
	}
	return s
}

// turn swaps rows and columns.
func (s *source) turn() *source {
	out := *s
	out.turned, out.rows, out.cols = !s.turned, s.cols, s.rows
	return &out
}

// quantised adds scale and zero point to a source; nil if they do not fit it.
func (g *view) quantised(s *source, scale, zero string, axis int64) *source {
	if s == nil || s.quantum != nil || s.tensor.Type.IsFloat() {
		return nil
	}
	out := *s
	scales, ok := g.list(scale, &out)
	zeros := []float64{0}
	if ok && zero != "" {
		zeros, ok = g.list(zero, &out)
	}
	if n := max(len(scales), len(zeros)); !ok || len(scales) != n && len(scales) != 1 || len(zeros) != n && len(zeros) != 1 {
		return nil
	}
	q := &quantum{axis: -1, scale: scales, zero: zeros}
	if len(scales) > 1 || len(zeros) > 1 {
		rank := int64(len(s.tensor.Dims))
		if axis < 0 {
			axis += rank
		}
		if s.turned {
			axis = rank - 1 - axis
		}
		if axis < 0 || axis >= rank || int64(max(len(scales), len(zeros))) != s.tensor.Dims[axis] {
			return nil
		}
		q.axis = int(axis)
	}
	out.quantum = q
	return &out
}

// list returns the numbers of a constant, which becomes part of a source.
func (g *view) list(value string, of *source) ([]float64, bool) {
	s := g.constant(value)
	if s == nil || s.quantum != nil {
		return nil, false
	}
	v, err := numbers(s.tensor)
	of.parts = append(slices.Clone(of.parts), s.tensor)
	return v, err == nil && len(v) > 0
}

// check reports whether the numbers can be made.
func (s *source) check() error {
	t := s.tensor
	switch {
	case t.External != nil:
		return fmt.Errorf("tensor %s lies in %s and was not mapped", t.Name, t.External.Location)
	case s.quantum != nil && s.quantum.bits != 0:
		return nil // checked where it was found
	case readers[t.Type] == nil:
		return fmt.Errorf("tensor %s is %v, which no weight can be made of", t.Name, t.Type)
	case !t.Type.IsFloat() && s.quantum == nil:
		return fmt.Errorf("tensor %s is %v without a scale", t.Name, t.Type)
	case len(t.Dims) > 2 || t.Len() != s.stride()*s.cols && t.Len() != s.rows*s.cols || int64(len(t.Data)) != t.Len()*int64(t.Type.Size()):
		return fmt.Errorf("tensor %s is %v%v with %d bytes", t.Name, t.Type, t.Dims, len(t.Data))
	}
	return nil
}

// read fills dst with the rows from `row` on. Of a turned matrix it reads a
// stretch of each stored row, so that a call touches the whole matrix: it is
// asked for many rows at once.
func (s *source) read(dst []float32, row int64) {
	n := int64(len(dst)) / s.cols
	switch {
	case s.quantum != nil && s.quantum.bits != 0:
		s.readBlocks(dst, row)
	case !s.turned:
		s.stored(dst, row*s.cols)
	default:
		run := make([]float32, n)
		for c := range s.cols {
			s.stored(run, c*s.stride()+s.from+row)
			for r, v := range run {
				dst[int64(r)*s.cols+c] = v
			}
		}
	}
}

// stride is the length of a stored row of a turned matrix.
func (s *source) stride() int64 { return max(s.rows, s.width) }

// stored fills dst with elements as they lie, from the one at `from` on.
func (s *source) stored(dst []float32, from int64) {
	t := s.tensor
	size := int64(t.Type.Size())
	data, read := t.Data[from*size:], readers[t.Type]
	if s.quantum == nil {
		for i := range dst {
			dst[i] = float32(read(data[int64(i)*size:]))
		}
		return
	}
	q := s.quantum
	width := t.Len()
	if len(t.Dims) == 2 {
		width = t.Dims[1]
	}
	for i := range dst {
		at := int64(0)
		switch at = from + int64(i); {
		case q.axis < 0:
			at = 0
		case q.axis == len(t.Dims)-1:
			at %= width
		default:
			at /= width
		}
		dst[i] = q.number(read(data[int64(i)*size:]), at)
	}
}

// number dequantises as ONNX's operators do: the difference is exact, and its
// product with the scale is rounded once.
func (q *quantum) number(stored float64, at int64) float32 {
	return float32(stored-q.zero[at%int64(len(q.zero))]) * float32(q.scale[at%int64(len(q.scale))])
}
