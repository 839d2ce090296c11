package onnx

import "math"

// evaluators computes the elements of an operator's first result, an integer
// scalar or vector, from what is known of its operands' elements. nil stands
// for nothing known. They run after the shapes are inferred and checked.
var evaluators = map[string]func(*call) []elem{
	"Identity":  first,
	"Cast":      evalCast,
	"Reshape":   first,
	"Squeeze":   first,
	"Unsqueeze": first,
	"Flatten":   first,

	"Shape":           evalShape,
	"Size":            evalSize,
	"Gather":          evalGather,
	"Slice":           evalSlice,
	"Concat":          evalConcat,
	"Expand":          evalFill,
	"ConstantOfShape": evalFill,
	"Range":           evalRange,
	"Where":           evalWhere,

	"Add": pairs(elem.plus),
	"Sub": pairs(elem.minus),
	"Mul": pairs(elem.times),
	"Div": pairs(elem.over),
	"Min": pairs(elem.least),
	"Max": pairs(elem.most),
	"Neg": each(func(e elem) elem { return number(0).minus(e) }),
	"Not": each(func(e elem) elem { return known(e.known, 1-e.num) }),

	"Equal":          pairs(elem.equal),
	"Less":           compare(func(a, b int64) bool { return a < b }),
	"LessOrEqual":    compare(func(a, b int64) bool { return a <= b }),
	"Greater":        compare(func(a, b int64) bool { return a > b }),
	"GreaterOrEqual": compare(func(a, b int64) bool { return a >= b }),

	"ReduceProd": fold(elem.times),
	"ReduceSum":  fold(elem.plus),
	"ReduceMax":  fold(elem.most),
	"ReduceMin":  fold(elem.least),
}

func first(c *call) []elem { return c.elems(0) }

// evalCast passes integers on. A number that the type cannot hold is dropped.
func evalCast(c *call) []elem {
	in := c.elems(0)
	out := make([]elem, len(in))
	to := c.f.values[c.Output(0)].Type
	for i, e := range in {
		switch {
		case e.known && to == Bool:
			out[i] = truth(e.num != 0)
		case to == Bool || e.known && to == Int32 && e.num != int64(int32(e.num)):
			out[i] = elem{}
		default:
			out[i] = e
		}
	}
	return out
}

func evalShape(c *call) []elem {
	s := c.shape(0)
	if s == nil {
		return nil
	}
	start, end := shapeRange(c.Node, len(s))
	out := []elem{}
	for _, d := range s[start:end] {
		out = append(out, elemOf(d))
	}
	return out
}

func evalSize(c *call) []elem {
	s := c.shape(0)
	if s == nil {
		return nil
	}
	return []elem{elemOf(product(s))}
}

func evalGather(c *call) []elem {
	data, at := c.elems(0), c.elems(1)
	if len(c.shape(0)) != 1 {
		return nil
	}
	out := make([]elem, len(at))
	for i, e := range at {
		if e.known && e.num < 0 {
			e.num += int64(len(data))
		}
		if e.known && e.num >= 0 && e.num < int64(len(data)) {
			out[i] = data[e.num]
		}
	}
	return out
}

func evalSlice(c *call) []elem {
	data := c.elems(0)
	bounds, ok := c.sliceBounds()
	if data == nil || !ok || len(bounds) != 1 {
		return nil
	}
	b := bounds[0]
	if !b.start.known || !b.end.known || !b.step.known || len(c.shape(0)) != 1 {
		return nil
	}
	out := []elem{}
	from, n := sliceSpan(int64(len(data)), b.start.num, b.end.num, b.step.num)
	for i := range n {
		out = append(out, data[from+i*b.step.num])
	}
	return out
}

func evalConcat(c *call) []elem {
	out := []elem{}
	for i := range c.in {
		part := c.elems(i)
		if part == nil {
			return nil
		}
		out = append(out, part...)
	}
	return out
}

// evalFill repeats the one element of Expand's operand or of
// ConstantOfShape's attribute.
func evalFill(c *call) []elem {
	v := number(0)
	if c.Op == "Expand" {
		in := c.elems(0)
		if len(in) != 1 {
			return in
		}
		v = in[0]
	} else if a := c.Attr("value"); a != nil && a.T != nil {
		e := elemsOf(a.T)
		if len(e) != 1 {
			return nil
		}
		v = e[0]
	}
	n := product(c.f.values[c.Output(0)].Shape).Size
	if n < 0 || n > maxElems {
		return nil
	}
	out := make([]elem, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func evalRange(c *call) []elem {
	start, ok := c.ints(0)
	step, ok2 := c.ints(2)
	s := c.f.values[c.Output(0)].Shape
	if !ok || !ok2 || len(start) != 1 || len(step) != 1 || len(s) != 1 || !s[0].Known() || s[0].Size > maxElems {
		return nil
	}
	out := make([]elem, s[0].Size)
	for i := range out {
		out[i] = number(start[0] + int64(i)*step[0])
	}
	return out
}

func evalWhere(c *call) []elem {
	n := max(len(c.elems(0)), len(c.elems(1)), len(c.elems(2)))
	cond, yes, no := stretch(c.elems(0), n), stretch(c.elems(1), n), stretch(c.elems(2), n)
	if cond == nil || yes == nil || no == nil {
		return nil
	}
	out := make([]elem, n)
	for i, e := range cond {
		switch {
		case e.is(1) || yes[i] == no[i]:
			out[i] = yes[i]
		case e.is(0):
			out[i] = no[i]
		}
	}
	return out
}

// stretch repeats a single element n times; nil if there is another count.
func stretch(e []elem, n int) []elem {
	switch len(e) {
	case n:
		return e
	case 1:
		out := make([]elem, n)
		for i := range out {
			out[i] = e[0]
		}
		return out
	}
	return nil
}

// each applies an operation to every element.
func each(op func(elem) elem) func(*call) []elem {
	return func(c *call) []elem {
		in := c.elems(0)
		out := make([]elem, len(in))
		for i := range in {
			out[i] = op(in[i])
		}
		return out
	}
}

// pairs applies an operation to two operands that broadcast; of more, as Min
// and Max may have, to one after the other.
func pairs(op func(a, b elem) elem) func(*call) []elem {
	return func(c *call) []elem {
		acc := c.elems(0)
		for i := 1; i < len(c.in); i++ {
			next := c.elems(i)
			n := max(len(acc), len(next))
			if len(acc) == 0 || len(next) == 0 {
				return nil
			}
			x, y := stretch(acc, n), stretch(next, n)
			if x == nil || y == nil {
				return nil
			}
			acc = make([]elem, n)
			for j := range acc {
				acc[j] = op(x[j], y[j])
			}
		}
		return acc
	}
}

// fold joins the elements of a vector that is reduced.
func fold(op func(a, b elem) elem) func(*call) []elem {
	return func(c *call) []elem {
		in := c.elems(0)
		if len(in) == 0 || product(c.f.values[c.Output(0)].Shape) != Size(1) {
			return nil
		}
		acc := in[0]
		for _, e := range in[1:] {
			acc = op(acc, e)
		}
		return []elem{acc}
	}
}

func compare(op func(a, b int64) bool) func(*call) []elem {
	return pairs(func(a, b elem) elem {
		if !a.known || !b.known {
			return elem{}
		}
		return truth(op(a.num, b.num))
	})
}

func known(ok bool, n int64) elem {
	if !ok {
		return elem{}
	}
	return number(n)
}

func (e elem) plus(o elem) elem {
	switch {
	case e.known && o.known:
		sum := e.num + o.num
		return known((sum > e.num) == (o.num > 0), sum)
	case e.known && e.num < 0:
		return o.minus(number(-e.num))
	case o.known && o.num < 0:
		return e.minus(number(-o.num))
	}
	return elemOf(e.dim().Plus(o.dim()))
}

func (e elem) minus(o elem) elem {
	switch {
	case e.known && o.known:
		diff := e.num - o.num
		return known((diff < e.num) == (o.num > 0), diff)
	case o.known && o.num < 0 && o.num != math.MinInt64:
		return e.plus(number(-o.num))
	}
	return elemOf(e.dim().Minus(o.dim()))
}

func (e elem) times(o elem) elem {
	if e.known && o.known {
		p := e.num * o.num
		return known(e.num == 0 || p/e.num == o.num && (e.num != -1 || o.num != math.MinInt64), p)
	}
	return elemOf(e.dim().Times(o.dim()))
}

// over divides as ONNX does integers, truncating.
func (e elem) over(o elem) elem {
	if e.known && o.known {
		if o.num == 0 || o.num == -1 {
			return known(o.num != 0 && e.num != math.MinInt64, -e.num)
		}
		return number(e.num / o.num)
	}
	return elemOf(e.dim().Over(o.dim()))
}

// equal knows that a size is never negative.
func (e elem) equal(o elem) elem {
	switch {
	case e.known && o.known:
		return truth(e.num == o.num)
	case e.sym != "" && e.sym == o.sym:
		return truth(true)
	case e.sym != "" && o.known && o.num < 0, o.sym != "" && e.known && e.num < 0:
		return truth(false)
	}
	return elem{}
}

func (e elem) least(o elem) elem {
	if e == o {
		return e
	}
	return known(e.known && o.known, min(e.num, o.num))
}

func (e elem) most(o elem) elem {
	if e == o {
		return e
	}
	return known(e.known && o.known, max(e.num, o.num))
}
