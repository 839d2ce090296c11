package grad

import (
	"slices"
	"strings"

	"softprompt/onnx"
)

// einsum is itself an Einsum: the gradient in operand i has the equation in
// which its term and the result have changed places. Labels that only its term
// has were summed over, so g is spread along them.
func einsum(c *call) string {
	terms, result, ok := c.equation()
	if !ok {
		return c.fail("equation %q is not covered", c.node.Str("equation", ""))
	}
	from, others := []string{result}, []string{c.g}
	for j, term := range terms {
		if j != c.i {
			from, others = append(from, term), append(others, c.in(j))
		}
	}
	var kept, shape []string // the labels of the term that are elsewhere, and the size of each
	known := strings.Join(from, "")
	for axis, label := range strings.Split(terms[c.i], "") {
		if strings.Contains(known, label) {
			kept, shape = append(kept, label), append(shape, c.Ints(1))
		} else {
			shape = append(shape, c.sizeOf(c.in(c.i), int64(axis)))
		}
	}
	d := c.Op("Einsum", others, onnx.StringAttr("equation", strings.Join(from, ",")+"->"+strings.Join(kept, "")))
	if len(kept) == len(shape) {
		return d
	}
	for axis, label := range strings.Split(terms[c.i], "") {
		if !slices.Contains(kept, label) {
			d = c.Unsqueeze(d, int64(axis))
		}
	}
	return c.Expand(d, c.Concat(0, shape...))
}

// equation returns the terms of the operands and of the result. An ellipsis
// is not covered, nor is a label twice in a term, which takes a diagonal, nor
// one in the result alone.
func (c *call) equation() (terms []string, result string, ok bool) {
	left, result, explicit := strings.Cut(strings.ReplaceAll(c.node.Str("equation", ""), " ", ""), "->")
	terms = strings.Split(left, ",")
	if !explicit { // the labels that stand once, in order
		for _, label := range slices.Sorted(strings.SplitSeq(left, "")) {
			if strings.Count(left, label) == 1 && label != "," {
				result += label
			}
		}
	}
	for _, term := range append([]string{result}, terms...) {
		for _, label := range strings.Split(term, "") {
			if label == "." || strings.Count(term, label) > 1 || !strings.Contains(left, label) {
				return nil, "", false
			}
		}
	}
	return terms, result, len(terms) == len(c.node.Inputs)
}
