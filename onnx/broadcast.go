package onnx

import (
	"fmt"
	"slices"
)

// Broadcast returns the shape of an elementwise operator's result: operands
// are aligned at the last axis, and an axis of size 1 (or none) takes the size
// of the other's. Two different symbols give an unknown size, as either may be
// 1; a symbol beside a number above 1 gives the number. It is nil when a rank
// is unknown. The error is for known sizes that clash.
func Broadcast(shapes ...Shape) (Shape, error) {
	rank := 0
	for _, s := range shapes {
		if s == nil {
			return nil, nil
		}
		rank = max(rank, len(s))
	}
	out := Shape(slices.Repeat([]Dim{Size(1)}, rank))
	for _, s := range shapes {
		skip := rank - len(s)
		for i, d := range s {
			var ok bool
			if out[skip+i], ok = broadcastDim(out[skip+i], d); !ok {
				return nil, fmt.Errorf("shapes %v do not broadcast: sizes of axis %d clash", shapes, skip+i-rank)
			}
		}
	}
	return out, nil
}

// broadcastDim pairs one axis of two operands.
func broadcastDim(d, e Dim) (Dim, bool) {
	switch {
	case d.Size == 1:
		return e, true
	case e.Size == 1:
		return d, true
	case d.Known() && e.Known():
		return d, d.Size == e.Size
	case d.Known():
		return d, true
	case e.Known():
		return e, true
	case d.Same(e):
		return d, true
	}
	return Unknown, true
}

// unify joins what is known of one size from two sides; false when they
// cannot be equal.
func unify(d, e Dim) (Dim, bool) {
	switch {
	case d.Known() && e.Known():
		return d, d.Size == e.Size
	case d.Known() || e == Unknown:
		return d, true
	case e.Known() || d == Unknown:
		return e, true
	}
	return d, true
}
