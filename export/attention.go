package export

import "softprompt/prompt"

// attention adds one attention sub-layer, from the residual stream x [B,Q,d]
// to its output before the residual addition [B,Q,d]. Keys and values are
// given as [B,h,L,d_kv]; bias [B or 1,h or 1,Q or 1,L] holds positions and
// masks. There is no 1/√d_kv: T5 folds it into the initial weights.
func (g *t5) attention(x, name, k, v, bias string) string {
	q := g.heads(g.linear(x, name+".q.weight"))
	if g.Method.KeysValues != nil {
		k, v, bias = g.Method.KeysValues(&g.site, k, v, bias)
	}
	scores := g.Add(g.FusedMatMul(q, k, false, true, 1), bias) // [B,h,Q,L]
	p := g.drop(probabilities, g.Softmax(scores, -1))
	out := g.Transpose(g.MatMul(p, v), 0, 2, 1, 3) // [B,Q,h,d_kv]
	return g.linear(g.ReshapeTo(out, 0, 0, int64(g.Config.NumHeads*g.Config.DKV)), name+".o.weight")
}

// keysValues returns what x [B,L,d] offers to an attention: keys and values
// [B,h,L,d_kv].
func (g *t5) keysValues(x, name string) (k, v string) {
	return g.heads(g.linear(x, name+".k.weight")), g.heads(g.linear(x, name+".v.weight"))
}

// heads splits the last axis into heads: [B,L,h·d_kv] becomes [B,h,L,d_kv].
func (g *t5) heads(x string) string {
	x = g.ReshapeTo(x, 0, 0, int64(g.Config.NumHeads), int64(g.Config.DKV))
	return g.Transpose(x, 0, 2, 1, 3)
}

// residual adds a sub-layer's output to the stream, through dropout.
func (g *t5) residual(x, out string) string { return g.Add(x, g.drop(hidden, out)) }

// feedForward adds the feed-forward sub-layer to the stream x [B,L,d].
func (g *t5) feedForward(x string, layer int, stack, name string) string {
	g.at(stack, layer, prompt.FeedForward)
	n := g.norm(x, name+".layer_norm.weight")
	name += ".DenseReluDense"
	act := activations[g.Config.Activation]
	var h string
	if g.Config.Gated {
		h = g.Mul(act(g, g.linear(n, name+".wi_0.weight")), g.linear(n, name+".wi_1.weight"))
	} else {
		h = act(g, g.linear(n, name+".wi.weight"))
	}
	if g.Method.Hidden != nil {
		h = g.Method.Hidden(&g.site, h)
	}
	return g.residual(x, g.linear(g.drop(feedForward, h), name+".wo.weight"))
}
