package onnx

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Arithmetic on symbolic sizes. A size is read as a polynomial in named sizes
// with coefficients that are not negative, such as 2*B*S+P+3, and written back
// with its names and terms sorted, so that equal sizes have equal names.

// Bounds of a polynomial and of its name: a graph from outside could multiply
// sums until memory is gone. No model's shapes come near them.
const (
	maxTerms = 32
	maxName  = 1024
)

// poly has a coefficient for each product of names ("B*S"); that of "" is the
// constant term. No coefficient is 0.
type poly map[string]int64

// Plus returns the size of d and e laid end to end.
func (d Dim) Plus(e Dim) Dim {
	p, ok := d.poly()
	q, ok2 := e.poly()
	if !ok || !ok2 {
		return d.orZero(e)
	}
	for m, c := range q {
		if !p.add(m, c) {
			return Unknown
		}
	}
	return p.dim()
}

// orZero keeps x+0 = x for an x that has no polynomial.
func (d Dim) orZero(e Dim) Dim {
	switch {
	case d.Size == 0:
		return e
	case e.Size == 0:
		return d
	}
	return Unknown
}

// Minus returns what is left of d when e is taken away, if that is certainly
// not negative whatever the symbols stand for: P+S less P is S, and S+3 less 1
// is S+2, but S less 1 is Unknown.
func (d Dim) Minus(e Dim) Dim {
	if d.Same(e) {
		return Size(0)
	}
	p, ok := d.poly()
	q, ok2 := e.poly()
	if !ok || !ok2 {
		if e.Size == 0 {
			return d
		}
		return Unknown
	}
	for m, c := range q {
		if p[m] < c {
			return Unknown
		}
		if p[m] -= c; p[m] == 0 {
			delete(p, m)
		}
	}
	return p.dim()
}

// Times returns the size of d·e elements.
func (d Dim) Times(e Dim) Dim {
	if d.Size == 0 || e.Size == 0 {
		return Size(0)
	}
	p, ok := d.poly()
	q, ok2 := e.poly()
	switch {
	case ok && ok2:
	case d.Size == 1:
		return e
	case e.Size == 1:
		return d
	default:
		return Unknown
	}
	r := poly{}
	for m, c := range p {
		for n, k := range q {
			high, low := bits.Mul64(uint64(c), uint64(k))
			if high != 0 || low > math.MaxInt64 || !r.add(joinFactors(m, n), int64(low)) {
				return Unknown
			}
		}
	}
	return r.dim()
}

// Over returns d/e where that is a whole number whatever the symbols stand
// for, provided they are not 0: B*S over B is S, and 64*P+64*S over 64 is P+S.
func (d Dim) Over(e Dim) Dim {
	if e.Size == 1 {
		return d
	}
	p, ok := d.poly()
	q, ok2 := e.poly()
	if !ok || !ok2 || len(q) == 0 {
		return Unknown
	}
	if d.Same(e) {
		return Size(1)
	}
	if len(q) > 1 {
		return Unknown
	}
	r := poly{}
	for n, k := range q {
		for m, c := range p {
			rest, ok := cutFactors(m, n)
			if !ok || c%k != 0 {
				return Unknown
			}
			r.add(rest, c/k)
		}
	}
	return r.dim()
}

// add puts c·m to the sum; false when that does not fit.
func (p poly) add(m string, c int64) bool {
	if p[m] > math.MaxInt64-c || len(p) >= maxTerms {
		return false
	}
	if c != 0 {
		p[m] += c
	}
	return true
}

// dim writes the polynomial as a size, the constant term last.
func (p poly) dim() Dim {
	if len(p) == 0 {
		return Size(0)
	}
	if len(p) == 1 && p[""] != 0 {
		return Size(p[""])
	}
	terms := []string{}
	for _, m := range slices.Sorted(maps.Keys(p)) {
		switch c := p[m]; {
		case m == "":
			continue
		case c != 1:
			m = strconv.FormatInt(c, 10) + "*" + m
		case len(p) == 1 && isWrapped(m):
			m = m[1 : len(m)-1]
		}
		terms = append(terms, m)
	}
	if c := p[""]; c != 0 {
		terms = append(terms, strconv.FormatInt(c, 10))
	}
	return Sym(strings.Join(terms, "+"))
}

// poly reads a size; false when nothing is known of it.
func (d Dim) poly() (poly, bool) {
	switch {
	case d.Size > 0:
		return poly{"": d.Size}, true
	case d.Size == 0:
		return poly{}, true
	case d.Sym == "" || len(d.Sym) > maxName:
		return nil, false
	}
	p := poly{}
	for _, term := range splitTop(d.Sym, '+') {
		coef, names := int64(1), []string{}
		for _, factor := range splitTop(term, '*') {
			factor = strings.TrimSpace(factor)
			n, err := strconv.ParseInt(factor, 10, 64)
			switch {
			case err == nil && n > 0 && coef <= math.MaxInt64/n:
				coef *= n
			case isName(factor) && err != nil || isWrapped(factor):
				names = append(names, factor)
			default:
				return poly{"(" + d.Sym + ")": 1}, isWrapped("(" + d.Sym + ")")
			}
		}
		slices.Sort(names)
		if !p.add(strings.Join(names, "*"), coef) {
			return nil, false
		}
	}
	return p, true
}

// isName tells the names that stand for themselves. Others, such as the
// "floor(n/2)" and "s0 - 1" of some exporters, are handled as one opaque name
// in parentheses.
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r == '_' || r == '.' || r == ':' || '0' <= r && r <= '9' ||
			'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
}

// isWrapped tells whether one pair of parentheses holds all of s.
func isWrapped(s string) bool {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth <= 0 && i < len(s)-1 {
			return false
		}
	}
	return len(s) > 2 && s[0] == '(' && depth == 0
}

// splitTop cuts s at each sep that no parentheses hold.
func splitTop(s string, sep byte) (parts []string) {
	depth, from := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		case sep:
			if depth == 0 {
				parts, from = append(parts, s[from:i]), i+1
			}
		}
	}
	return append(parts, s[from:])
}

// joinFactors multiplies two products of names.
func joinFactors(m, n string) string {
	if m == "" || n == "" {
		return m + n
	}
	names := append(splitTop(m, '*'), splitTop(n, '*')...)
	slices.Sort(names)
	return strings.Join(names, "*")
}

// cutFactors divides the product m by n.
func cutFactors(m, n string) (string, bool) {
	if n == "" {
		return m, true
	}
	names := splitTop(m, '*')
	for _, f := range splitTop(n, '*') {
		i := slices.Index(names, f)
		if i < 0 {
			return "", false
		}
		names = slices.Delete(names, i, i+1)
	}
	return strings.Join(names, "*"), true
}
