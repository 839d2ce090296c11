package onnx

import (
	"strconv"
	"strings"
)

// Dim is one size of a shape. It is known (Size ≥ 0), symbolic (Size −1 and a
// name: two dims of the same name are the same size) or unknown (Size −1 and
// no name). The name may be a sum or product such as "P+S" or "B*S": shape
// inference writes one where tensors are concatenated or axes joined, with its
// terms sorted, so that equal sizes have equal names.
type Dim struct {
	Size int64
	Sym  string
}

// Unknown is the size of which nothing is known.
var Unknown = Dim{Size: -1}

// Size returns the dim of a known size.
func Size(n int64) Dim { return Dim{Size: n} }

// Sym returns the dim of a symbolic size, such as Sym("B").
func Sym(name string) Dim { return Dim{Size: -1, Sym: name} }

// Known tells whether the size is a number.
func (d Dim) Known() bool { return d.Size >= 0 }

// Same tells whether two dims are certainly equal: the same number or the
// same name. Unknown dims are equal to nothing, themselves included.
func (d Dim) Same(e Dim) bool {
	if d.Known() || e.Known() {
		return d.Size == e.Size
	}
	return d.Sym != "" && d.Sym == e.Sym
}

// String returns the number, the name, or "?".
func (d Dim) String() string {
	switch {
	case d.Known():
		return strconv.FormatInt(d.Size, 10)
	case d.Sym != "":
		return d.Sym
	}
	return "?"
}

// Shape is the list of a tensor's sizes. A nil Shape means that not even the
// rank is known; a scalar has an empty Shape that is not nil.
type Shape []Dim

// Fixed returns the shape of known sizes.
func Fixed(sizes ...int64) Shape {
	s := make(Shape, len(sizes))
	for i, n := range sizes {
		s[i] = Size(n)
	}
	return s
}

// Ranked tells whether the rank is known.
func (s Shape) Ranked() bool { return s != nil }

// Sizes returns the sizes as numbers if all are known.
func (s Shape) Sizes() ([]int64, bool) {
	if s == nil {
		return nil, false
	}
	out := make([]int64, len(s))
	for i, d := range s {
		if !d.Known() {
			return nil, false
		}
		out[i] = d.Size
	}
	return out, true
}

// Same tells whether two shapes are certainly equal.
func (s Shape) Same(t Shape) bool {
	if s == nil || t == nil || len(s) != len(t) {
		return false
	}
	for i := range s {
		if !s[i].Same(t[i]) {
			return false
		}
	}
	return true
}

// String returns the shape as "[B,P+S,768]", or "[…]" when the rank is unknown.
func (s Shape) String() string {
	if s == nil {
		return "[…]"
	}
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, ",") + "]"
}
