package onnx

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The symbols of the property tests, and what they stand for in turn.
var symbols = []string{"B", "S", "P", "past_length"}

func drawSizes(t *rapid.T) map[string]int64 {
	sizes := map[string]int64{}
	for _, s := range symbols {
		sizes[s] = rapid.Int64Range(1, 6).Draw(t, s)
	}
	return sizes
}

// drawDim draws a known size, a symbol, a sum, a product or Unknown.
func drawDim(t *rapid.T, name string) Dim {
	return rapid.Custom(func(t *rapid.T) Dim {
		sym := rapid.SampledFrom(symbols)
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return Size(rapid.Int64Range(0, 6).Draw(t, "size"))
		case 1:
			return Unknown
		case 2:
			return Sym(sym.Draw(t, "a")).Plus(Sym(sym.Draw(t, "b")))
		case 3:
			return Sym(sym.Draw(t, "a")).Times(Sym(sym.Draw(t, "b"))).Plus(Size(rapid.Int64Range(0, 3).Draw(t, "more")))
		}
		return Sym(sym.Draw(t, "a"))
	}).Draw(t, name)
}

// TestDimArithmetic checks the laws of sums and products, and that arithmetic
// on symbols agrees with arithmetic on what they stand for.
func TestDimArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawDim(t, "a"), drawDim(t, "b"), drawDim(t, "c")
		equal := func(law string, x, y Dim) {
			if x != y {
				t.Fatalf("%s: %v and %v (a=%v, b=%v, c=%v)", law, x, y, a, b, c)
			}
		}
		equal("a+b = b+a", a.Plus(b), b.Plus(a))
		equal("a+(b+c) = (a+b)+c", a.Plus(b.Plus(c)), a.Plus(b).Plus(c))
		equal("ab = ba", a.Times(b), b.Times(a))
		if a != Unknown && b != Unknown && c != Unknown {
			equal("a(bc) = (ab)c", a.Times(b.Times(c)), a.Times(b).Times(c))
			equal("a(b+c) = ab+ac", a.Times(b.Plus(c)), a.Times(b).Plus(a.Times(c)))
			equal("(a+b)−b = a", a.Plus(b).Minus(b), a)
		}
		sizes := drawSizes(t)
		x, okX := a.Evaluate(sizes)
		y, okY := b.Evaluate(sizes)
		for op, r := range map[string]struct {
			dim    Dim
			number func() int64
		}{
			"plus":  {a.Plus(b), func() int64 { return x + y }},
			"minus": {a.Minus(b), func() int64 { return x - y }},
			"times": {a.Times(b), func() int64 { return x * y }},
		} {
			if got, ok := r.dim.Evaluate(sizes); ok && okX && okY && got != r.number() {
				t.Fatalf("%v %s %v = %v = %d, want %d with %v", a, op, b, r.dim, got, r.number(), sizes)
			}
		}
		if got, ok := a.Over(b).Evaluate(sizes); ok && okX && okY && got*y != x {
			t.Fatalf("%v over %v = %v = %d, but %d/%d with %v", a, b, a.Over(b), got, x, y, sizes)
		}
	})
}

// TestDimNames checks how sizes are written, also those that others named.
func TestDimNames(t *testing.T) {
	for _, c := range []struct{ got, want Dim }{
		{Sym("S").Plus(Sym("P")), Sym("P+S")},
		{Sym("S").Plus(Size(3)).Plus(Size(-0)), Sym("S+3")},
		{Sym("S").Plus(Sym("S")), Sym("2*S")},
		{Sym("S").Times(Sym("B")).Times(Size(4)), Sym("4*B*S")},
		{Size(2).Plus(Size(3)), Size(5)},
		{Unknown.Plus(Size(0)), Unknown},
		{Unknown.Times(Size(0)), Size(0)},
		{Unknown.Plus(Sym("S")), Unknown},
		{Sym("S").Minus(Size(1)), Unknown},
		{Sym("S").Plus(Size(1)).Minus(Size(1)), Sym("S")},
		{Sym("P+S").Minus(Sym("P")), Sym("S")},
		{Size(3).Minus(Size(5)), Unknown},
		{Sym("B*S").Over(Sym("B")), Sym("S")},
		{Sym("B").Over(Sym("S")), Unknown},
		{Sym("P+S").Times(Size(64)).Over(Size(64)), Sym("P+S")},
		{Size(7).Over(Size(2)), Unknown},
		{Sym("S").Over(Size(0)), Unknown},
		// Hugging Face writes sums with spaces.
		{Sym("past_length + 1").Plus(Size(1)), Sym("past_length+2")},
		// What is no sum or product of names is one name.
		{Sym("floor(n/2)").Plus(Sym("S")), Sym("(floor(n/2))+S")},
		{Sym("floor(n/2)").Plus(Sym("S")).Minus(Sym("S")), Sym("floor(n/2)")},
		{Sym("a - b*c").Over(Sym("c")), Unknown},
		{Sym("a)(b").Plus(Sym("c")), Unknown},
		{Sym("-1").Plus(Size(1)), Sym("(-1)+1")},
		{Size(1 << 62).Plus(Size(1 << 62)), Unknown},
		{Size(1 << 62).Times(Size(4)), Unknown},
		{Sym("S").Times(Size(1 << 62)).Times(Size(4)), Unknown},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// TestDimBounds squares a sum again and again: it must become Unknown before
// it becomes large.
func TestDimBounds(t *testing.T) {
	for _, d := range []Dim{Sym("a"), Sym("a+b"), Sym("a+b+c+1")} {
		for range 64 {
			d = d.Times(d)
			if len(d.Sym) > maxTerms*2*maxName {
				t.Fatalf("a name of %d bytes", len(d.Sym))
			}
		}
		if d != Unknown {
			t.Errorf("still %d bytes long", len(d.Sym))
		}
	}
	if d := Sym(strings.Repeat("x", maxName+1)).Plus(Size(1)); d != Unknown {
		t.Error("a very long name was added to")
	}
}

// TestBroadcastAgrees broadcasts symbolic shapes, and the numbers that they
// stand for.
func TestBroadcastAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := drawSizes(t)
		var symbolic, numbers []Shape
		for i := range rapid.IntRange(1, 3).Draw(t, "operands") {
			s, n := Shape{}, Shape{}
			for j := range rapid.IntRange(0, 3).Draw(t, "rank") {
				d := drawDim(t, fmt.Sprintf("operand %d axis %d", i, j))
				s = append(s, d)
				v, ok := d.Evaluate(sizes)
				if !ok {
					v = rapid.Int64Range(0, 4).Draw(t, "stands for")
				}
				n = append(n, Size(v))
			}
			symbolic, numbers = append(symbolic, s), append(numbers, n)
		}
		got, err := Broadcast(symbolic...)
		want, clash := Broadcast(numbers...)
		if clash != nil {
			return // symbols may not know
		}
		if err != nil {
			t.Fatalf("%v: %v, but %v broadcast", symbolic, err, numbers)
		}
		if len(got) != len(want) {
			t.Fatalf("%v: got %v, want %v", symbolic, got, want)
		}
		for i, d := range got {
			if v, ok := d.Evaluate(sizes); ok && v != want[i].Size {
				t.Fatalf("%v: got %v, want %v with %v", symbolic, got, want, sizes)
			}
		}
	})
}

// TestSliceAgrees slices an axis of symbolic size, and the number that it
// stands for.
func TestSliceAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := drawSizes(t)
		place := func(name string) (symbolic, number elem) {
			if rapid.Bool().Draw(t, name+" known") {
				e := elem{known: true, num: rapid.SampledFrom([]int64{0, 1, 2, 5, -1, -3, End, -End}).Draw(t, name)}
				return e, e
			}
			e := elemOf(drawDim(t, name))
			n, ok := e.dim().Evaluate(sizes)
			if !ok {
				n = rapid.Int64Range(-3, 8).Draw(t, name+" stands for")
			}
			return e, elem{known: true, num: n}
		}
		d := drawDim(t, "size")
		n, ok := d.Evaluate(sizes)
		if !ok {
			n = 4
		}
		b, exact := bound{}, bound{}
		b.start, exact.start = place("start")
		b.end, exact.end = place("end")
		step := rapid.SampledFrom([]int64{1, 1, -1, 2}).Draw(t, "step")
		b.step = number(step)
		_, want := sliceSpan(n, exact.start.num, exact.end.num, step)
		if got, ok := sliceSize(d, b).Evaluate(sizes); ok && got != want {
			t.Fatalf("%v[%+v:%+v:%d] has %d, want %d with %v", d, b.start, b.end, step, got, want, sizes)
		}
	})
}

// TestSliceSpan compares with what stepping through the elements gives.
func TestSliceSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 6).Draw(t, "n")
		start := rapid.Int64Range(-9, 9).Draw(t, "start")
		end := rapid.Int64Range(-9, 9).Draw(t, "end")
		step := rapid.SampledFrom([]int64{1, 2, 3, End, -1, -2, -3, -End}).Draw(t, "step")
		place := func(i int64) int64 {
			if i < 0 {
				i += n
			}
			return i
		}
		want := int64(0)
		for i := range n { // every element that a step from start hits before end
			from, to := place(start), place(end)
			if step > 0 {
				from, to = max(from, 0), min(to, n)
			} else {
				from, to = min(from, n-1), max(to, -1)
			}
			if off := i - from; off%step == 0 && off/step >= 0 && (step > 0 && i < to || step < 0 && i > to) {
				want++
			}
		}
		if _, got := sliceSpan(n, start, end, step); got != want {
			t.Fatalf("%d[%d:%d:%d] has %d elements, want %d", n, start, end, step, got, want)
		}
	})
}

// TestReshapeAgrees reshapes symbolic shapes to targets that fit what the
// symbols stand for.
func TestReshapeAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := drawSizes(t)
		var shape, target []Dim
		total := int64(1)
		for i := range rapid.IntRange(1, 3).Draw(t, "rank") {
			d := drawDim(t, fmt.Sprintf("axis %d", i))
			n, ok := d.Evaluate(sizes)
			if !ok || n == 0 {
				d, n = Size(2), 2
			}
			shape, total = append(shape, d), total*n
		}
		// The target has some of the sizes, in another order, and one open.
		rest := total
		for i, d := range rapid.Permutation(shape).Draw(t, "order") {
			if rapid.Bool().Draw(t, fmt.Sprintf("take %d", i)) {
				n, _ := d.Evaluate(sizes)
				target, rest = append(target, d), rest/n
			}
		}
		open := rapid.IntRange(0, len(target)).Draw(t, "open")
		b := NewBuilder(NewModel("reshape"))
		x := b.Input("x", Float32, shape...)
		parts := []string{}
		for i := range len(target) + 1 {
			switch {
			case i == open:
				parts = append(parts, b.Ints(-1))
			case i < open:
				parts = append(parts, b.ShapeOf(b.Input(fmt.Sprintf("like%d", i), Float32, target[i])))
			default:
				parts = append(parts, b.ShapeOf(b.Input(fmt.Sprintf("like%d", i), Float32, target[i-1])))
			}
		}
		got := b.Shape(b.Reshape(x, b.Concat(0, parts...)))
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
		if len(got) != len(target)+1 {
			t.Fatalf("got %v for target %v", got, target)
		}
		if n, ok := got[open].Evaluate(sizes); ok && n != rest {
			t.Fatalf("%v to %v: got %v, want %d with %v", Shape(shape), target, got, rest, sizes)
		}
	})
}
