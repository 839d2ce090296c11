package onnx

import (
	"slices"
	"testing"
)

// TestDimPairs checks what two descriptions of an axis say together: as
// operands that broadcast, and as two sides of one size.
func TestDimPairs(t *testing.T) {
	for _, c := range []struct {
		d, e             string
		broadcast, unify string // "clash" when they cannot go together
	}{
		{"3", "3", "3", "3"},
		{"3", "4", "clash", "clash"},
		{"1", "4", "4", "clash"},
		{"1", "B", "B", "1"},
		{"1", "?", "?", "1"},
		{"1", "1", "1", "1"},
		{"0", "1", "0", "clash"},
		{"0", "B", "0", "0"},
		{"3", "B", "3", "3"},
		{"3", "?", "3", "3"},
		{"B", "B", "B", "B"},
		{"B", "?", "?", "B"},
		{"?", "?", "?", "?"},
	} {
		for _, swap := range []bool{false, true} {
			d, e := parseDim(c.d), parseDim(c.e)
			if swap {
				d, e = e, d
			}
			if got, ok := broadcastDim(d, e); ok != (c.broadcast != "clash") || ok && got != parseDim(c.broadcast) {
				t.Errorf("%v and %v broadcast to %v, %v, want %s", d, e, got, ok, c.broadcast)
			}
			if got, ok := unify(d, e); ok != (c.unify != "clash") || ok && got != parseDim(c.unify) {
				t.Errorf("%v and %v are %v, %v, want %s", d, e, got, ok, c.unify)
			}
		}
	}
	// Two names may or may not be one size.
	if got, ok := broadcastDim(Sym("B"), Sym("S")); !ok || got != Unknown {
		t.Errorf("two names broadcast to %v, %v", got, ok)
	}
	if got, ok := unify(Sym("B"), Sym("S")); !ok || got != Sym("B") {
		t.Errorf("two names are %v, %v", got, ok)
	}
}

// TestDimSame checks that only what is certain counts as equal.
func TestDimSame(t *testing.T) {
	for _, c := range []struct {
		d, e string
		want bool
	}{
		{"3", "3", true},
		{"3", "4", false},
		{"B", "B", true},
		{"B", "S", false},
		{"B", "3", false},
		{"?", "?", false},
		{"?", "3", false},
		{"?", "B", false},
	} {
		if d, e := parseDim(c.d), parseDim(c.e); d.Same(e) != c.want || e.Same(d) != c.want {
			t.Errorf("%s and %s: same %v, want %v", c.d, c.e, d.Same(e), c.want)
		}
	}
}

// TestMerge checks which descriptions can be of one value, and what they say
// together: the first one's names count, the second one fills gaps.
func TestMerge(t *testing.T) {
	value := func(word string) Value {
		f := NewInference(NewModel("merge"))
		v, _ := f.Value(define(t, f, "v", word))
		return v
	}
	for _, c := range []struct{ v, w, want string }{
		{"float32[B,?]", "float32[N,8]", "v float32[B,8]"},
		{"[…]", "float32[B]", "v float32[B]"},
		{"float32[B]", "[…]", "v float32[B]"},
		{"[?,?]", "int64[…]", "v int64[?,?]"},
		{"float32[3]", "float32[B]", "v float32[3]"},
		{"float32[]", "float32[]", "v float32[]"},
		{"float32[B]", "int64[B]", ""},
		{"float32[B]", "float32[B,1]", ""},
		{"float32[3]", "float32[4]", ""},
	} {
		v, w := value(c.v), value(c.w)
		before := slices.Clone(v.Shape)
		if ok := compatible(v, w); ok != (c.want != "") || ok != compatible(w, v) {
			t.Errorf("%s and %s: compatible %v", c.v, c.w, ok)
			continue
		}
		if c.want == "" {
			continue
		}
		if got := merge(v, w).String(); got != c.want {
			t.Errorf("%s and %s: got %s, want %s", c.v, c.w, got, c.want)
		}
		if !slices.Equal(v.Shape, before) {
			t.Errorf("merging changed %s to %v", c.v, v.Shape)
		}
	}
}

// TestPolyNames checks how names are taken apart at signs that no parentheses
// hold.
func TestPolyNames(t *testing.T) {
	for _, c := range []struct {
		text string
		sep  byte
		want []string
	}{
		{"a+b*c+1", '+', []string{"a", "b*c", "1"}},
		{"(a+b)*c", '+', []string{"(a+b)*c"}},
		{"(a+b)*c", '*', []string{"(a+b)", "c"}},
		{"a+", '+', []string{"a", ""}},
		{"", '+', []string{""}},
	} {
		if got := splitTop(c.text, c.sep); !slices.Equal(got, c.want) {
			t.Errorf("%q cut at %c: %q, want %q", c.text, c.sep, got, c.want)
		}
	}
	for text, want := range map[string]bool{
		"(a)": true, "((a)+b)": true, "(a)+(b)": false, "()": false, "a": false, "(a": false, "a)": false, "": false,
	} {
		if got := isWrapped(text); got != want {
			t.Errorf("%q: wrapped %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]bool{
		"batch_size": true, "B": true, "onnx::Dim.3": true, "n-1": false, "floor(n)": false, "é": false, "": false, "a b": false,
	} {
		if got := isName(text); got != want {
			t.Errorf("%q: a name %v, want %v", text, got, want)
		}
	}
	for _, c := range []struct{ m, n, product string }{
		{"", "", ""}, {"B", "", "B"}, {"", "S", "S"}, {"S", "B", "B*S"}, {"B*S", "B", "B*B*S"},
	} {
		if got := joinFactors(c.m, c.n); got != c.product {
			t.Errorf("%q times %q is %q, want %q", c.m, c.n, got, c.product)
		}
		if got, ok := cutFactors(c.product, c.n); !ok || got != c.m {
			t.Errorf("%q over %q is %q, %v, want %q", c.product, c.n, got, ok, c.m)
		}
	}
	if got, ok := cutFactors("B*S", "B*B"); ok {
		t.Errorf("B*S over B*B is %q", got)
	}
}

// TestPolyReads checks that the many ways to write one size are read as one.
func TestPolyReads(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"S + P", "P+S"},
		{"S*2+P", "P+2*S"},
		{"2*S*3", "6*S"},
		{"S+S+S", "3*S"},
		{"1+S+2", "S+3"},
		{"B * S", "B*S"},
		{"(n - 1)*B", "(n - 1)*B"},
		{"n - 1", "n - 1"},
		{"0*S", "0*S"},                   // not what this package writes: one name
		{"S+9223372036854775807+1", "?"}, // the sum does not fit
		{"9223372036854775807*2*S", "9223372036854775807*2*S"}, // nor does the product: one name
	} {
		if got := Sym(c.text).Times(Size(2)).Over(Size(2)); got.String() != c.want {
			t.Errorf("%q: got %v, want %s", c.text, got, c.want)
		}
	}
}

// TestOver checks divisions that leave a rest, or that could be by 0.
func TestOver(t *testing.T) {
	for _, c := range []struct{ d, e, want string }{
		{"12", "4", "3"},
		{"12", "5", "?"},
		{"12", "0", "?"},
		{"0", "4", "0"},
		{"0", "0", "?"},
		{"?", "1", "?"},
		{"?", "?", "?"},
		{"S", "S", "1"},
		{"P+S", "P+S", "1"},
		{"2*P+2*S", "P+S", "?"}, // sums are not divided by
		{"4*B*S", "2*S", "2*B"},
		{"4*B*S+2*S", "2*S", "2*B+1"},
		{"4*B*S+3*S", "2*S", "?"},
		{"B*B", "B", "B"},
		{"S", "S*S", "?"},
		{"8", "S", "?"},
	} {
		if got := parseDim(c.d).Over(parseDim(c.e)); got != parseDim(c.want) {
			t.Errorf("%s over %s is %v, want %s", c.d, c.e, got, c.want)
		}
	}
}
