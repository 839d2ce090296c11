package onnx

import (
	"fmt"
	"math"
	"slices"
)

// shapeOps keep the elements and their order, but for Transpose, and change
// the sizes.
var shapeOps = map[string]operator{
	"Shape":     {1, 1, inferShapeOf},
	"Size":      {1, 1, inferSizeOf},
	"Reshape":   {2, 2, inferReshape},
	"Flatten":   {1, 1, inferFlatten},
	"Squeeze":   {1, 2, inferSqueeze},
	"Unsqueeze": {1, 2, inferUnsqueeze},
	"Transpose": {1, 1, inferTranspose},
	"Expand":    {2, 2, inferExpand},
	"Tile":      {2, 2, inferTile},
	"Trilu":     {1, 2, inferTrilu},

	"DepthToSpace": {1, 1, inferBlocks},
	"SpaceToDepth": {1, 1, inferBlocks},
}

// product returns the number of elements of a shape.
func product(s Shape) Dim {
	if s == nil {
		return Unknown
	}
	n := Size(1)
	for _, d := range s {
		n = n.Times(d)
	}
	return n
}

// shapeRange returns which axes a Shape node reads, of rank many.
func shapeRange(n *Node, rank int) (start, end int) {
	clamp := func(i int64) int {
		if i < 0 {
			i += int64(rank)
		}
		return int(min(max(i, 0), int64(rank)))
	}
	start, end = clamp(n.Int("start", 0)), clamp(n.Int("end", int64(rank)))
	return start, max(start, end)
}

func inferShapeOf(c *call) error {
	out := unknowns(1)
	if s := c.shape(0); s != nil {
		start, end := shapeRange(c.Node, len(s))
		out = Fixed(int64(end - start))
	}
	c.set(0, Int64, out)
	return nil
}

func inferSizeOf(c *call) error {
	c.set(0, Int64, Shape{})
	return nil
}

// inferReshape has a target in which 0 copies the axis of the same place and
// −1, or what is unknown if that is a single size, takes what is left.
func inferReshape(c *call) error {
	if err := c.wantType(1, Int64); err != nil {
		return err
	}
	if err := c.wantRank(1, 1, 1); err != nil {
		return err
	}
	x, target := c.shape(0), c.elems(1)
	if target == nil || len(target) > maxRank {
		c.set(0, c.dtype(0), nil)
		return nil
	}
	out := make(Shape, len(target))
	var open, minus []int // places to work out, and those of them that are −1
	from, to := append(Shape{}, x...), Shape{}
	for i, e := range target {
		out[i] = e.dim()
		switch {
		case e.is(0) && c.Int("allowzero", 0) == 0:
			switch {
			case x == nil:
				out[i] = Unknown
			case i >= len(x):
				return fmt.Errorf("target size 0 at axis %d copies an axis that the operand does not have", i)
			default:
				out[i], from[i] = x[i], Size(1)
			}
		case e.is(-1):
			minus = append(minus, i)
			open = append(open, i)
		case e.known && e.num < 0:
			return fmt.Errorf("target size %d at axis %d; want −1 or more", e.num, i)
		case out[i] == Unknown:
			open = append(open, i)
		default:
			to = append(to, out[i])
		}
	}
	if len(minus) > 1 {
		return fmt.Errorf("target has %d sizes of −1, want at most one", len(minus))
	}
	if x != nil && len(open) <= 1 {
		rest, err := quotient(from, to)
		switch {
		case err != nil:
			return fmt.Errorf("%w: cannot reshape %v to %v", err, x, targetString(target))
		case len(open) == 1:
			out[open[0]] = rest
		case rest.Known() && rest.Size != 1 && !slices.Contains(to, Size(0)):
			return fmt.Errorf("cannot reshape %v to %v: the numbers of elements differ", x, out)
		}
	}
	c.set(0, c.dtype(0), out)
	return nil
}

// quotient divides the product of sizes by another. What cannot be worked out
// is Unknown; that numbers do not divide is an error.
func quotient(num, den Shape) (Dim, error) {
	num, den = append(Shape{}, num...), append(Shape{}, den...)
	den = slices.DeleteFunc(den, func(d Dim) bool {
		i := slices.IndexFunc(num, func(n Dim) bool { return !n.Known() && n.Same(d) })
		if i >= 0 {
			num = slices.Delete(num, i, i+1)
		}
		return i >= 0
	})
	n, d := product(num), product(den)
	if n.Known() && d.Known() && (d.Size == 0 && n.Size != 0 || d.Size > 0 && n.Size%d.Size != 0) {
		return Unknown, fmt.Errorf("%v elements do not divide by %v", n, d)
	}
	return n.Over(d), nil
}

func targetString(target []elem) string {
	out := make(Shape, len(target))
	for i, e := range target {
		if out[i] = e.dim(); e.is(-1) {
			out[i] = Sym("-1")
		}
	}
	return out.String()
}

func inferFlatten(c *call) error {
	x := c.shape(0)
	if x == nil {
		c.set(0, c.dtype(0), unknowns(2))
		return nil
	}
	axis := c.Int("axis", 1)
	if axis < -int64(len(x)) || axis > int64(len(x)) {
		return fmt.Errorf("axis %d is out of range for rank %d", axis, len(x))
	}
	if axis < 0 {
		axis += int64(len(x))
	}
	c.set(0, c.dtype(0), Shape{product(x[:axis:axis]), product(x[axis:])})
	return nil
}

func inferSqueeze(c *call) error {
	x := c.shape(0)
	if x == nil {
		c.set(0, c.dtype(0), nil)
		return nil
	}
	axes, err := c.axes("axes", 1, len(x))
	if err != nil {
		return err
	}
	var out Shape
	_, fixed := x.Sizes()
	switch {
	case axes.known:
		out = Shape{}
		for i, d := range x {
			if !slices.Contains(axes.list, i) {
				out = append(out, d)
			} else if d.Known() && d.Size != 1 {
				return fmt.Errorf("axis %d has size %v, want 1", i, d)
			}
		}
	case axes.given && axes.count >= 0:
		out = unknowns(len(x) - axes.count)
	case !axes.given && fixed: // else whether an axis goes depends on its size
		out = slices.DeleteFunc(append(Shape{}, x...), func(d Dim) bool { return d.Size == 1 })
	}
	c.set(0, c.dtype(0), out)
	return nil
}

func inferUnsqueeze(c *call) error {
	x := c.shape(0)
	count := len(c.list("axes", 1))
	if x == nil || len(x)+count > maxRank {
		c.set(0, c.dtype(0), nil)
		return nil
	}
	axes, err := c.axes("axes", 1, len(x)+count)
	switch {
	case err != nil:
		return err
	case !axes.given:
		return fmt.Errorf("axes are missing")
	case !axes.known && axes.count < 0:
		c.set(0, c.dtype(0), nil)
		return nil
	case !axes.known:
		c.set(0, c.dtype(0), unknowns(len(x)+axes.count))
		return nil
	}
	out := Shape{}
	for i, next := 0, 0; i < len(x)+count; i++ {
		if slices.Contains(axes.list, i) {
			out = append(out, Size(1))
			continue
		}
		out = append(out, x[next])
		next++
	}
	c.set(0, c.dtype(0), out)
	return nil
}

func inferTranspose(c *call) error {
	x, perm := c.shape(0), c.Ints("perm")
	var out Shape
	switch {
	case x == nil && len(perm) > 0:
		out = unknowns(len(perm))
	case x == nil:
	case len(perm) == 0:
		out = append(Shape{}, x...)
		slices.Reverse(out)
	default:
		out = Shape{}
		seen := make([]bool, len(x))
		for _, p := range perm {
			if p < 0 || p >= int64(len(x)) || seen[p] || len(perm) != len(x) {
				return fmt.Errorf("perm %v is no permutation of %d axes", perm, len(x))
			}
			seen[p] = true
			out = append(out, x[p])
		}
	}
	c.set(0, c.dtype(0), out)
	return nil
}

func inferExpand(c *call) error {
	if err := c.wantType(1, Int64); err != nil {
		return err
	}
	target := c.elems(1)
	if target == nil {
		c.set(0, c.dtype(0), nil)
		return nil
	}
	want := make(Shape, len(target))
	for i, e := range target {
		want[i] = e.dim()
	}
	out, err := Broadcast(c.shape(0), want)
	if err != nil {
		return fmt.Errorf("cannot expand %v to %v", c.shape(0), want)
	}
	c.set(0, c.dtype(0), out)
	return nil
}

func inferTile(c *call) error {
	if err := c.wantType(1, Int64); err != nil {
		return err
	}
	x, repeats := c.shape(0), c.elems(1)
	switch {
	case x == nil:
		c.set(0, c.dtype(0), nil)
		return nil
	case repeats == nil:
		c.set(0, c.dtype(0), unknowns(len(x)))
		return nil
	case len(repeats) != len(x):
		return fmt.Errorf("%d repeats for %d axes", len(repeats), len(x))
	}
	out := make(Shape, len(x))
	for i := range x {
		out[i] = x[i].Times(repeats[i].dim())
	}
	c.set(0, c.dtype(0), out)
	return nil
}

func inferTrilu(c *call) error {
	if err := c.wantRank(0, 2, maxRank); err != nil {
		return err
	}
	c.set(0, c.dtype(0), c.shape(0))
	return nil
}

// inferBlocks has [N,C·b²,H,W] and [N,C,H·b,W·b], the first for DepthToSpace.
func inferBlocks(c *call) error {
	if err := c.wantRank(0, 4, 4); err != nil {
		return err
	}
	b := c.Int("blocksize", 0)
	if b <= 0 || b > math.MaxInt16 {
		return fmt.Errorf("attribute blocksize is %d", b)
	}
	x, side, area := c.shape(0), Size(b), Size(b*b)
	switch {
	case x == nil:
		c.set(0, c.dtype(0), unknowns(4))
	case c.Op == "DepthToSpace":
		c.set(0, c.dtype(0), Shape{x[0], x[1].Over(area), x[2].Times(side), x[3].Times(side)})
	default:
		c.set(0, c.dtype(0), Shape{x[0], x[1].Times(area), x[2].Over(side), x[3].Over(side)})
	}
	return nil
}
