package grad

// Losses over classes: scores [N,C,…] and labels [N,…].

// crossEntropy is (softmax − onehot)·f, where f [N,…] is what each label counts
// (see labelFactor). The second output, the log-probabilities, has a gradient
// of its own if the loss uses it.
func crossEntropy(c *call) string {
	var d string
	logp := c.out(1)
	if c.g != "" {
		f := c.Unsqueeze(c.labelFactor(logp), 1)
		d = c.ScatterElements(c.Mul(c.Exp(logp), f), c.labels(), c.Neg(f), 1, "add")
	}
	if g := c.gradient(1); g != "" {
		d = c.sum(d, c.Sub(g, c.Mul(c.Exp(logp), c.ReduceSum(g, true, 1))))
	}
	return d
}

// negativeLogLikelihood is −onehot·f.
func negativeLogLikelihood(c *call) string {
	f := c.Unsqueeze(c.labelFactor(c.x), 1)
	return c.ScatterElements(zeros(c.Builder, c.x), c.labels(), c.Neg(f), 1, "add")
}

// labelFactor returns what a label's loss is multiplied by on its way to the
// gradient, [N,…]: the class' weight, 0 if it is ignored, over the sum of
// these for a mean, times g.
func (c *call) labelFactor(scores string) string {
	label := c.in(1)
	var f string
	if weights := c.in(2); weights != "" {
		f = c.Gather(weights, c.kept(), 0)
	} else {
		f = c.Expand(c.Float(1, scores), shapeOf(c.Builder, label))
	}
	if c.node.Attr("ignore_index") != nil {
		f = c.only(c.Not(c.ignored()), f)
	}
	if c.node.Str("reduction", "mean") == "mean" {
		return c.Mul(f, c.Div(c.g, c.ReduceSum(f, false)))
	}
	return c.Mul(f, c.g)
}

// ignored tells the labels that do not count.
func (c *call) ignored() string {
	label := c.in(1)
	ignore := c.as(c.Int(c.node.Int("ignore_index", 0)), label)
	return c.Equal(label, ignore)
}

// kept returns the labels with class 0 for those that do not count, whose
// number need not be a class.
func (c *call) kept() string {
	label := c.in(1)
	if c.node.Attr("ignore_index") == nil {
		return label
	}
	return c.Where(c.ignored(), c.as(c.Int(0), label), label)
}

// labels returns where in the scores the labels are, [N,1,…].
func (c *call) labels() string { return c.Unsqueeze(c.kept(), 1) }
