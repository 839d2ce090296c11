package onnx

import "encoding/binary"

// Partial evaluation: what is known of the elements of the small integer
// tensors that shapes are computed with.

// elem is an element: a number, a symbolic size, or unknown. Other than a
// [Dim], a number may be negative. Bools are 0 and 1.
type elem struct {
	known bool
	num   int64
	sym   string
}

// maxElems bounds the vectors that are followed.
const maxElems = 256

func number(n int64) elem { return elem{known: true, num: n} }

func truth(b bool) elem { return number(bit(b)) }

// elemOf returns a size as an element.
func elemOf(d Dim) elem {
	if d.Known() {
		return number(d.Size)
	}
	return elem{sym: d.Sym}
}

// dim returns an element as a size; a negative number is Unknown.
func (e elem) dim() Dim {
	switch {
	case e.known && e.num >= 0:
		return Size(e.num)
	case e.known:
		return Unknown
	}
	return Sym(e.sym)
}

func (e elem) is(n int64) bool { return e.known && e.num == n }

// Elems returns the elements of an integer scalar or vector as far as they are
// known, symbolic ones included, or nil. Negative numbers, which are no sizes,
// are Unknown here; [Inference.Const] has them.
func (f *Inference) Elems(name string) []Dim {
	e := f.elems[name]
	if e == nil {
		return nil
	}
	dims := make([]Dim, len(e))
	for i := range e {
		dims[i] = e[i].dim()
	}
	return dims
}

// elemsOf reads a constant; nil if it is not small, of integers and at hand.
func elemsOf(t *Tensor) []elem {
	n := t.Len()
	size := t.Type.Size()
	if len(t.Dims) > 1 || n < 0 || n > maxElems || t.External != nil || int64(len(t.Data)) != n*int64(size) {
		return nil
	}
	out := make([]elem, n)
	for i := range out {
		switch d := t.Data[i*size:]; t.Type {
		case Int64:
			out[i] = number(int64(binary.LittleEndian.Uint64(d)))
		case Int32:
			out[i] = number(int64(int32(binary.LittleEndian.Uint32(d))))
		case Bool:
			out[i] = truth(d[0] != 0)
		default:
			return nil
		}
	}
	return out
}

// elems returns the i-th operand's elements; of a vector of known length at
// least as many unknown ones, else nil.
func (c *call) elems(i int) []elem {
	if !c.has(i) {
		return nil
	}
	if e := c.f.elems[c.Inputs[i]]; e != nil {
		return e
	}
	s := c.shape(i)
	switch {
	case s == nil || len(s) > 1:
		return nil
	case len(s) == 0:
		return make([]elem, 1)
	case s[0].Known() && s[0].Size <= maxElems:
		return make([]elem, s[0].Size)
	}
	return nil
}

// list returns the elements of a list that an attribute of that name or, in
// later operator sets, the i-th operand holds; nil if not even their number is
// known.
func (c *call) list(attr string, i int) []elem {
	if c.Attr(attr) == nil {
		return c.elems(i)
	}
	out := []elem{}
	for _, v := range c.Ints(attr) {
		out = append(out, number(v))
	}
	return out
}

// ints returns the i-th operand's elements if all are known numbers.
func (c *call) ints(i int) ([]int64, bool) {
	if !c.has(i) || c.f.elems[c.Inputs[i]] == nil {
		return nil, false
	}
	return numbers(c.f.elems[c.Inputs[i]])
}

func numbers(elems []elem) ([]int64, bool) {
	out := make([]int64, len(elems))
	for i, e := range elems {
		if !e.known {
			return nil, false
		}
		out[i] = e.num
	}
	return out, true
}

// evaluate records what is known of the elements of the node's first result.
func (c *call) evaluate() {
	name := c.Output(0)
	eval, ok := evaluators[opName(c.Node)]
	if !ok || name == "" {
		return
	}
	v := c.f.values[name]
	if t := v.Type; t != Int64 && t != Int32 && t != Bool || v.Shape == nil || len(v.Shape) > 1 {
		return
	}
	elems := eval(c)
	useful := false
	for _, e := range elems {
		useful = useful || e != (elem{})
	}
	if len(v.Shape) == 0 && len(elems) != 1 || !useful || len(elems) > maxElems {
		return
	}
	c.f.elems[name] = elems
	if nums, ok := numbers(elems); ok && v.Type == Int64 {
		var dims []int64
		if len(v.Shape) == 1 {
			dims = []int64{int64(len(nums))}
		}
		c.f.consts[name] = Longs(name, dims, nums)
		v.Shape = Fixed(dims...)
	} else if len(v.Shape) == 1 {
		v.Shape = Fixed(int64(len(elems)))
	}
	c.f.values[name] = v
}
