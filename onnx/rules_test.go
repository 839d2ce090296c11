package onnx

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ruleCase is a node whose operands are given in words, and what its rule must
// make of them. The tables stand beside the rules, in infer_*_test.go.
type ruleCase struct {
	op string
	// operands are separated by spaces: float32[B,S,8] is a value, […] one of
	// unknown rank, {2,-1} a constant int64 vector, =3 a constant scalar,
	// <B,4> a vector whose elements are known symbolically, and - none.
	operands string
	attrs    []Attr
	want     string // the results, separated by spaces, or what an error says
	opset    int64  // 18 if not given
}

// checkRules runs a table.
func checkRules(t *testing.T, cases []ruleCase) {
	t.Helper()
	for _, c := range cases {
		m := NewModel("rule")
		if c.opset != 0 {
			m.Opset[""] = c.opset
		}
		f := NewInference(m)
		n := &Node{Op: c.op, Attrs: c.attrs}
		if rest, ok := strings.CutPrefix(c.op, "ms."); ok {
			n.Domain, n.Op = Microsoft, rest
		}
		if operators[opName(n)].infer == nil {
			t.Errorf("%s: there is no such rule", c.op)
		}
		for i, word := range strings.Fields(c.operands) {
			n.Inputs = append(n.Inputs, define(t, f, "in"+strconv.Itoa(i), word))
		}
		what := c.op + " of " + c.operands
		if c.opset != 0 {
			what += " at opset " + strconv.FormatInt(c.opset, 10)
		}
		results := strings.Fields(c.want)
		fails := slices.ContainsFunc(results, func(word string) bool { return !strings.HasSuffix(word, "]") })
		if fails {
			results = results[:1]
		}
		for i := range results {
			n.Outputs = append(n.Outputs, "out"+strconv.Itoa(i))
		}
		err := f.Node(n)
		if fails {
			if err == nil || !strings.HasSuffix(err.Error(), "): "+c.want) {
				t.Errorf("%s: error %v, want %s", what, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		var got []string
		for _, o := range n.Outputs {
			v, _ := f.Value(o)
			got = append(got, v.Type.String()+v.Shape.String())
		}
		if !slices.Equal(got, results) {
			t.Errorf("%s: got %s, want %s", what, strings.Join(got, " "), c.want)
		}
	}
}

// define records what a word describes under a name, and returns the name.
func define(t *testing.T, f *Inference, name, word string) string {
	t.Helper()
	body := strings.Trim(word, "{}<>=")
	switch word[0] {
	case '-':
		return ""
	case '=':
		f.SetConst(Longs(name, nil, parseNumbers(t, body)))
		return name
	case '{':
		n := parseNumbers(t, body)
		f.SetConst(Longs(name, []int64{int64(len(n))}, n))
		return name
	case '<':
		dims := parseShape(body)
		f.Set(Value{Name: name, Type: Int64, Shape: Fixed(int64(len(dims)))})
		for _, d := range dims {
			f.elems[name] = append(f.elems[name], parseElem(d.String()))
		}
		return name
	}
	kind, shape, _ := strings.Cut(word, "[")
	v := Value{Name: name}
	for d := range DType(len(dtypes)) {
		if d.String() == kind {
			v.Type = d
		}
	}
	if v.Type == Undefined && kind != "" {
		t.Fatalf("%s: no type %q", word, kind)
	}
	if shape != "…]" {
		v.Shape = parseShape(strings.TrimSuffix(shape, "]"))
	}
	f.Set(v)
	return name
}

func parseShape(s string) Shape {
	out := Shape{}
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		out = append(out, parseDim(word))
	}
	return out
}

func parseDim(s string) Dim {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		return Size(n)
	}
	if s == "?" {
		return Unknown
	}
	return Sym(s)
}

func parseNumbers(t *testing.T, s string) []int64 {
	t.Helper()
	out := []int64{}
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// parseElem reads an element: a number, also a negative one, or a size.
func parseElem(s string) elem {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return number(n)
	}
	return elemOf(parseDim(s))
}

// text writes an element as parseElem reads it.
func (e elem) text() string {
	if e.known {
		return strconv.FormatInt(e.num, 10)
	}
	return e.dim().String()
}
