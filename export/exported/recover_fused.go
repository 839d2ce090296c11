package exported

import (
	"fmt"
	"slices"

	"softprompt/onnx"
)

// What ONNX Runtime's transformer optimizer writes for whole attentions
// (onnxruntime ContribOperators.md, Attention and RelativePositionBias). The
// latter has no kernel on CPUs, so recovery is the only way to such a model
// there.

// fusedAttention reads com.microsoft.Attention, whose one weight [d,3·inner]
// holds those of q, k and v beside each other.
func (w *walk) fusedAttention(m maker, layer string) (string, error) {
	fail := func(what string) (string, error) { return "", fmt.Errorf("%v %s", m.Node, what) }
	inner := int64(w.config.InnerDim())
	packed := w.constant(m.Input(1))
	switch {
	case packed == nil || packed.quantum != nil || packed.rows != int64(w.config.DModel) || packed.cols != 3*inner || packed.turned:
		return fail("has no weight for q, k and v as config.json has them")
	case m.Int("num_heads", 0) != int64(w.config.NumHeads):
		return fail(fmt.Sprintf("has %d heads, wanted %d by config.json", m.Int("num_heads", 0), w.config.NumHeads))
	case m.Float("scale", 0) != 1:
		return fail("scales its scores, which a T5 does not do")
	case m.Input(2) != "" || m.Input(4) != "" || m.Attr("qkv_hidden_sizes") != nil || m.Int("do_rotary", 0) != 0:
		return fail("has a bias, a past, sizes of its own or rotary positions, which no T5 has")
	case (m.Int("unidirectional", 0) != 0) != (w.part == "decoder"):
		return fail("looks in other directions than a T5's " + w.part)
	}
	for i, role := range []string{"q", "k", "v"} {
		s := packed.columns(int64(i)*inner, inner)
		s.node = m.Name
		if err := w.found(layer+".SelfAttention."+role+".weight", s); err != nil {
			return "", err
		}
	}
	var terms []string
	if bias := m.Input(5); bias != "" {
		terms = append(terms, bias)
	}
	return w.plain(m.Input(0)), w.bias(terms, layer, "SelfAttention")
}

// columns returns the weight that columns of a stored [in,out] matrix are.
func (s *source) columns(from, n int64) *source {
	out := *s.turn()
	out.rows, out.from, out.width = n, from, s.cols
	return &out
}

// fusedPositions reads com.microsoft.RelativePositionBias, whose table [buckets,
// heads] lies by columns; nil for another node.
func (w *walk) fusedPositions(m maker) (*source, error) {
	if !m.is(onnx.Microsoft, "RelativePositionBias") {
		return nil, nil
	}
	s := w.constant(m.Input(0))
	shape := []int64{int64(w.config.NumBuckets), int64(w.config.NumHeads)}
	if s == nil || s.quantum != nil || s.turned || !slices.Equal(s.tensor.Dims, shape) {
		return nil, fmt.Errorf("%v has no table %v, wanted by config.json", m.Node, shape)
	}
	if far := m.Int("max_distance", 0); far != int64(w.config.MaxDistance) {
		return nil, fmt.Errorf("%v tells distances up to %d apart, wanted %d by config.json", m.Node, far, w.config.MaxDistance)
	}
	if (m.Int("is_bidirectional", 0) != 0) != (w.part == "encoder") {
		return nil, fmt.Errorf("%v looks in other directions than a T5's %s", m.Node, w.part)
	}
	out := *s
	out.turned, out.node = true, m.Name
	return &out, nil
}
