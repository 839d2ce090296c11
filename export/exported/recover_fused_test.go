package exported

import (
	"path/filepath"
	"strings"
	"testing"

	"softprompt/onnx"
)

// changed copies a model with one node of an operator changed.
func changed(t *testing.T, m *onnx.Model, op string, change func(n *onnx.Node)) *onnx.Model {
	t.Helper()
	out, g := *m, *m.Graph
	out.Graph = &g
	g.Nodes = nil
	found := false
	for _, n := range m.Graph.Nodes {
		if n.Op == op && !found {
			c := *n
			c.Inputs = append([]string{}, n.Inputs...)
			c.Attrs = append([]onnx.Attr{}, n.Attrs...)
			change(&c)
			n, found = &c, true
		}
		g.Nodes = append(g.Nodes, n)
	}
	if !found {
		t.Fatalf("the graph has no %s", op)
	}
	return &out
}

// set returns a change of one attribute.
func set(a onnx.Attr) func(n *onnx.Node) {
	return func(n *onnx.Node) {
		for i := range n.Attrs {
			if n.Attrs[i].Name == a.Name {
				n.Attrs[i] = a
				return
			}
		}
		n.Attrs = append(n.Attrs, a)
	}
}

// TestFusedRefuses: a fused attention that is not T5's is told by what it has.
func TestFusedRefuses(t *testing.T) {
	m := openFolder(t, filepath.Join(fixtureDir, "t5-v1_1-optimized-t5"))
	x := &T5{}
	t.Cleanup(func() { x.Close() })
	enc, err := x.open(t.Context(), m, m.Files.Weights[0], encoder)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := x.open(t.Context(), m, m.Files.Weights[1], decoder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(m.Config, enc.model, dec.model); err != nil {
		t.Fatal(err)
	}
	weight := enc.model.Graph.Initializers[0].Name
	for name, c := range map[string]struct {
		op     string
		change func(n *onnx.Node)
		want   string
	}{
		"heads":          {"Attention", set(onnx.IntAttr("num_heads", 4)), "has 4 heads, wanted 3"},
		"scale":          {"Attention", set(onnx.FloatAttr("scale", 0.5)), "scales its scores"},
		"default scale":  {"Attention", set(onnx.FloatAttr("scale", 0)), "scales its scores"},
		"direction":      {"Attention", set(onnx.IntAttr("unidirectional", 1)), "other directions"},
		"rotary":         {"Attention", set(onnx.IntAttr("do_rotary", 1)), "rotary"},
		"bias":           {"Attention", func(n *onnx.Node) { n.Inputs[2] = weight }, "has a bias"},
		"weight":         {"Attention", func(n *onnx.Node) { n.Inputs[1] = weight }, "no weight for q, k and v"},
		"no positions":   {"Attention", func(n *onnx.Node) { n.Inputs = n.Inputs[:4] }, "no bias by relative position"},
		"distance":       {"RelativePositionBias", set(onnx.IntAttr("max_distance", 64)), "up to 64 apart, wanted 128"},
		"both ways":      {"RelativePositionBias", set(onnx.IntAttr("is_bidirectional", 0)), "other directions"},
		"table":          {"RelativePositionBias", func(n *onnx.Node) { n.Inputs[0] = weight }, "has no table [32 3]"},
		"norm's epsilon": {"SkipSimplifiedLayerNormalization", set(onnx.FloatAttr("epsilon", 1e-3)), "epsilon 0.001"},
		"norm's bias":    {"SkipSimplifiedLayerNormalization", func(n *onnx.Node) { n.Inputs = append(n.Inputs[:3], weight) }, "recovering the encoder's weights"},
	} {
		_, err := Recover(m.Config, changed(t, enc.model, c.op, c.change), dec.model)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// TestBlocksRefuse: a weight in blocks must have the sizes that its node says.
func TestBlocksRefuse(t *testing.T) {
	c := smallConfig()
	e, d := withLinear(nBits(4, true)).write(t, c)
	none := onnx.StringAttr("none", "")
	for name, change := range map[string]struct {
		set  onnx.Attr
		in   int // an operand to replace by the weight
		want string
	}{
		"K":               {set: onnx.IntAttr("K", 100), want: "does not have the size"},
		"no K":            {set: onnx.IntAttr("K", 0), want: "no constant of known size"},
		"N":               {set: onnx.IntAttr("N", 7), want: "does not have the size"},
		"2 bits":          {set: onnx.IntAttr("bits", 2), want: "this is another form"},
		"block_size":      {set: onnx.IntAttr("block_size", 32), want: "does not have the size"},
		"scales":          {set: none, in: 2, want: "scales do not fit"},
		"zero points":     {set: none, in: 3, want: "zero points do not fit"},
		"a computed zero": {set: none, in: -3, want: "zero points are no constant"},
	} {
		m := changed(t, e, "MatMulNBits", func(n *onnx.Node) {
			set(change.set)(n)
			switch {
			case change.in > 0:
				n.Inputs[change.in] = n.Inputs[1]
			case change.in < 0:
				n.Inputs[-change.in] = n.Inputs[0]
			}
		})
		if _, err := Recover(c, m, d); err == nil || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, change.want)
		}
	}
}

// TestAttentionSides: queries, keys and values must be of the right states.
func TestAttentionSides(t *testing.T) {
	const self, cross = "decoder.block.0.layer.0.SelfAttention.", "decoder.block.0.layer.1.EncDecAttention."
	swap := func(name, from string) forms {
		return withLinear(func(a *author, x, weight string) string {
			if weight == name+".weight" {
				x = from
			}
			return matMul(a, x, weight)
		})
	}
	for name, c := range map[string]struct {
		forms
		want string
	}{
		"keys of other states":      {swap(self+"k", "encoder_hidden_states"), "keys are made of encoder_hidden_states, but values of"},
		"values of other states":    {swap(self+"v", "encoder_hidden_states"), "but values of encoder_hidden_states"},
		"self-attention that looks": {withLinear(func(a *author, x, weight string) string { return matMul(a, side(weight, self, x), weight) }), "self-attention has keys of encoder_hidden_states"},
		"queries of the encoder":    {swap(cross+"q", "encoder_hidden_states"), "cross-attention reads"},
	} {
		d := newAuthor("decoder", smallConfig(), c.forms)
		decoder := d.decoder()
		if err := d.Err(); err != nil {
			t.Fatal(err)
		}
		e, _ := plainForms().write(t, smallConfig())
		if _, err := Recover(smallConfig(), e, decoder); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// side gives keys and values of a layer the encoder's states.
func side(weight, layer, x string) string {
	if weight == layer+"k.weight" || weight == layer+"v.weight" {
		return "encoder_hidden_states"
	}
	return x
}
