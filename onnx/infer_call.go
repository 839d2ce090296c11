package onnx

import (
	"fmt"
	"slices"
)

// call is one node under inference: rules read its operands and set its
// results. What an operand or a result is not there for reads as unknown, and
// is not set.
type call struct {
	f *Inference
	*Node
	in, out []Value
}

// checkArity tells whether the operands are there and known by name.
func (c *call) checkArity(op operator) error {
	for i := range max(op.min, len(c.in)) {
		if c.Input(i) == "" {
			if i < op.min {
				return fmt.Errorf("operand %d is missing; the operator takes at least %d", i, op.min)
			}
			continue
		}
		if op.max >= 0 && i >= op.max {
			return fmt.Errorf("%d operands, but the operator takes at most %d", len(c.in), op.max)
		}
		c.in[i].Name = c.Inputs[i]
	}
	return nil
}

// has tells whether the i-th operand is given.
func (c *call) has(i int) bool { return c.Input(i) != "" }

// shape returns the i-th operand's shape.
func (c *call) shape(i int) Shape {
	if i < len(c.in) {
		return c.in[i].Shape
	}
	return nil
}

// dtype returns the i-th operand's type.
func (c *call) dtype(i int) DType {
	if i < len(c.in) {
		return c.in[i].Type
	}
	return Undefined
}

// set describes the i-th result.
func (c *call) set(i int, t DType, s Shape) {
	if len(s) > maxRank {
		s = nil
	}
	if i < len(c.out) {
		c.out[i].Type, c.out[i].Shape = t, s
	}
}

// sameType returns the type that the given operands share, all of them when
// none is given.
func (c *call) sameType(operands ...int) (DType, error) {
	t := Undefined
	for i := range c.in {
		if len(operands) > 0 && !slices.Contains(operands, i) {
			continue
		}
		u := c.in[i].Type
		if t == Undefined {
			t = u
		}
		if u != Undefined && u != t {
			return t, fmt.Errorf("operand types %v and %v differ", t, u)
		}
	}
	return t, nil
}

// wantType checks that the i-th operand, if its type is known, has one of the
// given ones.
func (c *call) wantType(i int, types ...DType) error {
	if t := c.dtype(i); t != Undefined && !slices.Contains(types, t) {
		return fmt.Errorf("operand %d is %v, want %v", i, t, types)
	}
	return nil
}

// wantIndex is wantType for indices, axes and sizes.
func (c *call) wantIndex(i int) error { return c.wantType(i, Int64, Int32) }

// wantRank checks that the i-th operand, if its rank is known, has at least
// low and at most high axes.
func (c *call) wantRank(i, low, high int) error {
	s := c.shape(i)
	switch {
	case s == nil || low <= len(s) && len(s) <= high:
		return nil
	case low == high:
		return fmt.Errorf("operand %d has rank %d, want %d", i, len(s), low)
	case high == maxRank:
		return fmt.Errorf("operand %d has rank %d, want at least %d", i, len(s), low)
	}
	return fmt.Errorf("operand %d has rank %d, want %d to %d", i, len(s), low, high)
}

// maxRank bounds the ranks that inference follows; what sizes a hostile graph
// names could otherwise ask for any amount of memory.
const maxRank = 64

// axisAttr returns the attribute "axis" as an index below rank.
func (c *call) axisAttr(def int64, rank int) (int, error) {
	return axisIn(c.Int("axis", def), rank)
}

// axisIn counts a negative axis from the end.
func axisIn(axis int64, rank int) (int, error) {
	if axis < -int64(rank) || axis >= int64(rank) {
		return 0, fmt.Errorf("axis %d is out of range for rank %d", axis, rank)
	}
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), nil
}

// given tells whether there is an attribute of that name or an i-th operand.
func (c *call) given(attr string, i int) bool { return c.Attr(attr) != nil || c.has(i) }

// axisList is what is known of an operator's axes.
type axisList struct {
	given bool  // there is an attribute or an operand
	known bool  // list is valid
	list  []int // in the given order, none twice
	count int   // how many, or −1
}

// axes reads axes from the attribute of that name or, from opset 13 or 18 on,
// from the i-th operand.
func (c *call) axes(attr string, i, rank int) (axisList, error) {
	a := axisList{given: c.given(attr, i), count: -1}
	if err := c.wantIndex(i); err != nil {
		return a, err
	}
	elems := c.list(attr, i)
	if elems == nil {
		return a, nil
	}
	raw, known := numbers(elems)
	a.known, a.count = known, len(elems)
	for _, x := range raw {
		axis, err := axisIn(x, rank)
		if err != nil {
			return a, err
		}
		if slices.Contains(a.list, axis) {
			return a, fmt.Errorf("axis %d is given twice", x)
		}
		a.list = append(a.list, axis)
	}
	return a, nil
}

// unknowns returns a shape of the given rank of which nothing else is known.
func unknowns(rank int) Shape {
	if rank < 0 || rank > maxRank {
		return nil
	}
	return Shape(slices.Repeat([]Dim{Unknown}, rank))
}

// concat joins runs of sizes into one shape.
func concat(parts ...Shape) Shape { return append(Shape{}, slices.Concat(parts...)...) }
