package exported

import (
	"fmt"
	"math"

	"softprompt/onnx"
)

// nbits returns the source of a MatMulNBits weight: rows of blocks, each with
// a scale and a zero point, numbers of 4 or 8 bits with the lower half of a
// byte first (onnxruntime ContribOperators.md, MatMulNBits).
func (g *view) nbits(m maker) (*source, error) {
	fail := func(what string) (*source, error) { return nil, fmt.Errorf("%v: %s", m.Node, what) }
	t := g.consts[m.Input(1)]
	k, n, bits, block := m.Int("K", 0), m.Int("N", 0), m.Int("bits", 4), m.Int("block_size", 0)
	if t == nil || k < 1 || n < 1 || block < 1 || k > math.MaxInt32 || n > math.MaxInt32 || block > math.MaxInt32 {
		return fail("its weight is no constant of known size")
	}
	if bits != 4 && bits != 8 || block*bits%8 != 0 || m.Input(4) != "" || m.Input(5) != "" {
		return fail("weights of 4 or 8 bits without a group index or a bias can be recovered, this is another form")
	}
	blocks := (k + block - 1) / block
	if t.Type != onnx.Uint8 || int64(len(t.Data)) != n*blocks*block*bits/8 {
		return fail("its weight does not have the size that K, N and block_size say")
	}
	q := &quantum{bits: bits, block: block, zero: []float64{float64(int64(1) << (bits - 1))}}
	s := &source{tensor: t, rows: n, cols: k, quantum: q, parts: []*onnx.Tensor{t}}
	var ok bool
	if q.scale, ok = g.list(m.Input(2), s); !ok || int64(len(q.scale)) != n*blocks {
		return fail("its scales do not fit its blocks")
	}
	if zero := m.Input(3); zero != "" {
		var err error
		if q.zero, err = g.blockZeros(zero, bits, n, blocks); err != nil {
			return fail(err.Error())
		}
		s.parts = append(s.parts, g.consts[zero])
	}
	return s, nil
}

// blockZeros reads the zero points of a MatMulNBits node: floats, or numbers
// packed as the weight's are, each row on its own.
func (g *view) blockZeros(value string, bits, rows, blocks int64) ([]float64, error) {
	t := g.consts[value]
	if t == nil {
		return nil, fmt.Errorf("its zero points are no constant")
	}
	if t.Type.IsFloat() {
		zeros, err := numbers(t)
		if err == nil && int64(len(zeros)) != rows*blocks {
			err = fmt.Errorf("its zero points do not fit its blocks")
		}
		return zeros, err
	}
	row := (blocks*bits + 7) / 8
	if t.Type != onnx.Uint8 || int64(len(t.Data)) != rows*row {
		return nil, fmt.Errorf("its zero points do not fit its blocks")
	}
	zeros := make([]float64, 0, rows*blocks)
	for r := range rows {
		for b := range blocks {
			zeros = append(zeros, packed(t.Data[r*row:], b, bits))
		}
	}
	return zeros, nil
}

// packed returns the i-th number of 4 or 8 bits.
func packed(data []byte, i, bits int64) float64 {
	if bits == 8 {
		return float64(data[i])
	}
	return float64(data[i/2] >> (4 * (i % 2)) & 15)
}

// readBlocks is read for a MatMulNBits weight.
func (s *source) readBlocks(dst []float32, row int64) {
	q := s.quantum
	blocks := (s.cols + q.block - 1) / q.block
	for i := range dst {
		r, c := row+int64(i)/s.cols, int64(i)%s.cols
		b := r*blocks + c/q.block
		data := s.tensor.Data[b*q.block*q.bits/8:]
		dst[i] = q.number(packed(data, c%q.block, q.bits), b)
	}
}
