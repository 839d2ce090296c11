package onnx

import (
	"fmt"
	"math"
	"slices"
)

// joinOps lay tensors end to end, cut them up and pad them.
var joinOps = map[string]operator{
	"Concat": {1, -1, inferConcat},
	"Split":  {1, 2, inferSplit},
	"Slice":  {1, 5, inferSlice},
	"Pad":    {1, 4, inferPad},
}

func inferConcat(c *call) error {
	t, err := c.sameType()
	if err != nil {
		return err
	}
	var out Shape
	axis := 0
	for i := range c.in {
		s := c.shape(i)
		if s == nil {
			c.set(0, t, nil)
			return nil
		}
		if i == 0 {
			if axis, err = c.axisAttr(0, len(s)); err != nil {
				return err
			}
			out = append(Shape{}, s...)
			continue
		}
		if len(s) != len(out) {
			return fmt.Errorf("ranks %d and %d differ", len(out), len(s))
		}
		for j := range s {
			if j == axis {
				out[j] = out[j].Plus(s[j])
				continue
			}
			var ok bool
			if out[j], ok = unify(out[j], s[j]); !ok {
				return fmt.Errorf("sizes %v and %v of axis %d differ, which is not the one to concatenate", out[j], s[j], j)
			}
		}
	}
	c.set(0, t, out)
	return nil
}

func inferSplit(c *call) error {
	x := c.shape(0)
	if x == nil {
		for i := range c.out {
			c.set(i, c.dtype(0), nil)
		}
		return nil
	}
	axis, err := c.axisAttr(0, len(x))
	if err != nil {
		return err
	}
	sizes, err := c.splitSizes(x[axis])
	if err != nil {
		return err
	}
	for i := range c.out {
		out := append(Shape{}, x...)
		out[axis] = sizes[i]
		c.set(i, c.dtype(0), out)
	}
	return nil
}

// splitSizes returns the size of each part of an axis of size d.
func (c *call) splitSizes(d Dim) ([]Dim, error) {
	n := int64(len(c.out))
	if n == 0 {
		return nil, fmt.Errorf("it has no outputs")
	}
	sizes := make([]Dim, n)
	switch elems := c.list("split", 1); {
	case len(elems) > 0:
		if len(elems) != len(sizes) {
			return nil, fmt.Errorf("%d sizes for %d outputs", len(elems), n)
		}
		sum := Size(0)
		for i, e := range elems {
			sizes[i] = e.dim()
			sum = sum.Plus(sizes[i])
		}
		if _, ok := unify(sum, d); !ok {
			return nil, fmt.Errorf("sizes add up to %v, but the axis has %v", sum, d)
		}
	case c.has(1):
		sizes = slices.Repeat([]Dim{Unknown}, len(sizes))
	case d.Known(): // equal parts, the last one smaller
		part := d.Size/n + bit(d.Size%n != 0)
		for i := range sizes {
			sizes[i] = Size(max(min(part, d.Size-int64(i)*part), 0))
		}
	default:
		for i := range sizes {
			sizes[i] = d.Over(Size(n))
		}
	}
	return sizes, nil
}

// bound is where a slice starts and ends along one axis.
type bound struct{ axis, start, end, step elem }

// sliceBounds reads a Slice node's operands or, before opset 10, attributes;
// false when not even their number is known.
func (c *call) sliceBounds() ([]bound, bool) {
	starts, ends := c.list("starts", 1), c.list("ends", 2)
	axes, steps := c.list("axes", 3), c.list("steps", 4)
	n := len(starts)
	if starts == nil || len(ends) != n || c.given("axes", 3) && len(axes) != n || c.given("steps", 4) && len(steps) != n {
		return nil, false
	}
	out := make([]bound, n)
	for i := range out {
		out[i] = bound{axis: number(int64(i)), start: starts[i], end: ends[i], step: number(1)}
		if axes != nil {
			out[i].axis = axes[i]
		}
		if steps != nil {
			out[i].step = steps[i]
		}
	}
	return out, true
}

func inferSlice(c *call) error {
	x := c.shape(0)
	if x == nil {
		c.set(0, c.dtype(0), nil)
		return nil
	}
	for i := 1; i < len(c.in); i++ {
		if err := c.wantIndex(i); err != nil {
			return err
		}
	}
	bounds, ok := c.sliceBounds()
	if !ok {
		c.set(0, c.dtype(0), unknowns(len(x)))
		return nil
	}
	out := append(Shape{}, x...)
	for _, b := range bounds {
		if !b.axis.known {
			c.set(0, c.dtype(0), unknowns(len(x)))
			return nil
		}
		axis, err := axisIn(b.axis.num, len(x))
		if err != nil {
			return err
		}
		if b.step.is(0) {
			return fmt.Errorf("step of axis %d is 0", axis)
		}
		out[axis] = sliceSize(x[axis], b)
	}
	c.set(0, c.dtype(0), out)
	return nil
}

// sliceSize returns the size of a slice of an axis of size d. With symbols it
// says only what holds whatever they stand for: all of d, its first or last
// n when d is n and something more, and what lies between such.
func sliceSize(d Dim, b bound) Dim {
	if d.Known() && b.start.known && b.end.known && b.step.known {
		_, n := sliceSpan(d.Size, b.start.num, b.end.num, b.step.num)
		return Size(n)
	}
	if b.step.is(-1) && (b.start.is(-1) || b.start.known && b.start.num >= math.MaxInt32) &&
		b.end.known && b.end.num <= math.MinInt32 {
		return d
	}
	if !b.step.is(1) {
		return Unknown
	}
	from, to := clampTo(b.start, d), clampTo(b.end, d)
	if n := to.Minus(from); n != Unknown {
		return n
	}
	if from.Minus(to) != Unknown {
		return Size(0)
	}
	return Unknown
}

// clampTo returns a slice's bound as a place between 0 and d.
func clampTo(e elem, d Dim) Dim {
	at := e.dim()
	switch {
	case e.known && e.num >= math.MaxInt32:
		return d
	case e.known && e.num < 0:
		if e.num <= math.MinInt32 {
			return Size(0)
		}
		return d.Minus(Size(-e.num))
	case d.Minus(at) != Unknown:
		return at
	case at.Minus(d) != Unknown:
		return d
	}
	return Unknown
}

// sliceSpan returns where a slice of n elements starts and how many it has.
func sliceSpan(n, start, end, step int64) (from, count int64) {
	place := func(i, low, high int64) int64 {
		if i < 0 {
			i = max(i, -n-1) + n
		}
		return min(max(i, low), high)
	}
	if step > 0 {
		from, end = place(start, 0, n), place(end, 0, n)
		return from, max(0, (end-from+min(step, n+1)-1)/min(step, n+1))
	}
	step = max(step, -n-1)
	from, end = place(start, -1, n-1), place(end, -1, n-1)
	return from, max(0, (from-end-step-1)/-step)
}

func inferPad(c *call) error {
	x := c.shape(0)
	if x == nil {
		c.set(0, c.dtype(0), nil)
		return nil
	}
	if err := c.wantType(1, Int64); err != nil {
		return err
	}
	pads := c.list("pads", 1)
	axes, err := c.axes("", 3, len(x))
	if err != nil {
		return err
	}
	if pads == nil || axes.given && !axes.known {
		c.set(0, c.dtype(0), unknowns(len(x)))
		return nil
	}
	if !axes.given {
		for i := range x {
			axes.list = append(axes.list, i)
		}
	}
	n := len(axes.list)
	if len(pads) != 2*n {
		return fmt.Errorf("%d pads for %d axes, want %d", len(pads), n, 2*n)
	}
	out := append(Shape{}, x...)
	for i, axis := range axes.list {
		out[axis] = elemOf(x[axis]).plus(pads[i]).plus(pads[n+i]).dim()
		if x[axis].Known() && pads[i].known && pads[n+i].known && out[axis] == Unknown {
			return fmt.Errorf("pads %d and %d of axis %d cut away more than its %v elements", pads[i].num, pads[n+i].num, axis, x[axis])
		}
	}
	c.set(0, c.dtype(0), out)
	return nil
}
