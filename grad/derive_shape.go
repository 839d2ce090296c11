package grad

import (
	"slices"

	"softprompt/onnx"
)

// Operators that move elements: their gradients move them back, and sum where
// an element went to several places.

func transpose(c *call) string {
	perm := c.node.Ints("perm")
	if perm == nil { // the reverse order, which is its own inverse
		return c.Op("Transpose", []string{c.g})
	}
	return c.Transpose(c.g, inverse(perm)...)
}

func inverse(perm []int64) []int64 {
	inv := make([]int64, len(perm))
	for i, p := range perm {
		if p >= 0 && int(p) < len(perm) {
			inv[p] = int64(i)
		}
	}
	return inv
}

func expand(c *call) string {
	var sizes onnx.Shape
	if elems := c.Elems(c.in(1)); elems != nil {
		sizes = onnx.Shape(elems)
	}
	return c.sumTo(c.g, c.x, c.Shape(c.y), []onnx.Shape{sizes}, 0)
}

// tile reads y as [r₀,d₀,r₁,d₁,…], where rᵢ counts the copies along axis i, and
// sums over those.
func tile(c *call) string {
	column := func(v string) string { return c.Unsqueeze(v, 1) }
	pairs := c.ReshapeTo(c.Concat(1, column(c.in(1)), column(c.ShapeOf(c.x))), -1)
	copies := make([]int64, c.rank(c.x))
	for i := range copies {
		copies[i] = 2 * int64(i)
	}
	if len(copies) == 0 {
		return c.g
	}
	return c.reshapeLike(c.ReduceSum(c.Reshape(c.g, pairs), false, copies...), c.x)
}

// concat cuts out the stretch of g that one operand makes. Only those that a
// trainable reaches are cut, so a prompt before a text costs its own size.
func concat(c *call) string {
	axis := c.node.Int("axis", 0)
	start := c.Ints(0)
	for _, before := range c.node.Inputs[:c.i] {
		start = c.plus(start, c.sizeOf(before, axis))
	}
	end := c.Ints(onnx.End)
	if c.i < len(c.node.Inputs)-1 {
		end = c.plus(start, c.sizeOf(c.in(c.i), axis))
	}
	return c.Slice(c.g, start, end, axis)
}

// plus adds sizes, at once if they are constants.
func (c *call) plus(a, b string) string {
	if m, ok := c.ints(a); ok && len(m) == 1 {
		if n, ok := c.ints(b); ok && len(n) == 1 {
			return c.Ints(m[0] + n[0])
		}
		if m[0] == 0 {
			return b
		}
	}
	return c.Add(a, b)
}

// split joins the gradients of the pieces, with zeros for a piece that the
// loss does not see.
func split(c *call) string {
	var parts []string
	for i, y := range c.node.Outputs {
		g := c.gradient(i)
		if g == "" {
			g = zeros(c.Builder, y)
		}
		parts = append(parts, g)
	}
	return c.Concat(c.node.Int("axis", 0), parts...)
}

// slice surrounds g with zeros for what was cut away.
func slice(c *call) string {
	starts, axes, steps := c.in(1), c.in(3), c.in(4)
	if s, ok := c.ints(steps); steps != "" && (!ok || slices.ContainsFunc(s, func(n int64) bool { return n != 1 })) {
		return moved(c)
	}
	if axes == "" {
		first := make([]int64, c.length(starts))
		for i := range first {
			first[i] = int64(i)
		}
		axes = c.Ints(first...)
	}
	return c.Op("Pad", []string{c.g, c.cutAway(starts, axes), "", axes})
}

// cutAway returns how much a slice with step 1 left out before and after, on
// each of its axes.
func (c *call) cutAway(starts, axes string) string {
	if pads, ok := c.cutAwayKnown(starts, axes); ok {
		return c.Ints(pads...)
	}
	starts, at := c.Cast(starts, onnx.Int64), c.Cast(axes, onnx.Int64)
	size := c.Gather(shapeOf(c.Builder, c.x), at, 0)
	kept := c.Gather(shapeOf(c.Builder, c.g), at, 0)
	fromEnd := c.Less(starts, c.Ints(0))
	before := c.Max(c.Min(c.Where(fromEnd, c.Add(starts, size), starts), size), c.Ints(0))
	return c.Concat(0, before, c.Sub(c.Sub(size, before), kept))
}

// cutAwayKnown is cutAway where all sizes are known, or nothing is cut.
func (c *call) cutAwayKnown(starts, axes string) (pads []int64, ok bool) {
	from, ok1 := c.ints(starts)
	at, ok2 := c.ints(axes)
	x, g := c.Shape(c.x), c.Shape(c.g)
	if !ok1 || !ok2 || len(from) != len(at) || x == nil || len(x) != len(g) {
		return nil, false
	}
	pads = make([]int64, 2*len(at))
	for i, axis := range at {
		if axis < 0 {
			axis += int64(len(x))
		}
		if axis < 0 || axis >= int64(len(x)) {
			return nil, false
		}
		size, kept := x[axis], g[axis]
		switch {
		case size.Same(kept):
		case size.Known() && kept.Known():
			before := from[i]
			if before < 0 {
				before += size.Size
			}
			before = min(max(before, 0), size.Size)
			pads[i], pads[len(at)+i] = before, size.Size-before-kept.Size
		default:
			return nil, false
		}
	}
	return pads, true
}

// length returns the number of elements of a vector, which must be known.
func (c *call) length(v string) int64 {
	if s := c.Shape(v); len(s) == 1 && s[0].Known() && s[0].Size <= maxRank {
		return s[0].Size
	}
	c.fail("the number of axes that %s is about is not known", v)
	return 0
}

// moved lets the node move the positions 0, 1, 2, … of x's elements as it
// moves those, and adds g there: to any that was taken several times, its sum.
func moved(c *call) string {
	size := c.Op("Size", []string{c.x})
	inputs := slices.Clone(c.node.Inputs)
	inputs[0] = c.Reshape(c.Range(c.Int(0), size, c.Int(1)), c.ShapeOf(c.x))
	taken := c.ReshapeTo(c.Op(c.node.Op, inputs, c.node.Attrs...), -1)
	flat := c.Expand(c.Float(0, c.x), c.ReshapeTo(size, 1))
	return c.reshapeLike(c.ScatterElements(flat, taken, c.ReshapeTo(c.g, -1), 0, "add"), c.x)
}

// depthToSpace and spaceToDepth undo each other. Of the first there is another
// mode, CRD, and from opset 28 of the second.

func depthToSpace(c *call) string { return c.blocks("SpaceToDepth") }

func spaceToDepth(c *call) string { return c.blocks("DepthToSpace") }

func (c *call) blocks(back string) string {
	if mode := c.node.Str("mode", "DCR"); mode != "DCR" {
		return c.fail("mode %q is not covered", mode)
	}
	return c.Op(back, []string{c.g}, onnx.IntAttr("blocksize", c.node.Int("blocksize", 1)))
}

// rotateBack turns g by the opposite angles: the sines have the other sign.
func (c *call) rotateBack(rest ...string) string {
	return c.Op(opName(c.node), append([]string{c.g}, rest...), c.node.Attrs...)
}

// pad cuts off what was added; a negative pad, which cut something off, adds
// zeros.
func pad(c *call) string {
	if c.node.Str("mode", "constant") != "constant" {
		return moved(c) // copies of x's own elements
	}
	pads := c.in(1)
	if p, ok := c.ints(pads); ok {
		back := make([]int64, len(p))
		for i := range p {
			back[i] = -p[i]
		}
		pads = c.Ints(back...)
	} else {
		pads = c.Neg(pads)
	}
	return c.Op("Pad", []string{c.g, pads, "", c.in(3)})
}

// padValue sums over what was added: everything less what pad keeps.
func padValue(c *call) string {
	return c.reshapeLike(c.Sub(c.ReduceSum(c.g, false), c.ReduceSum(pad(c), false)), c.in(2))
}
