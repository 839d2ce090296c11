package onnx

import (
	"maps"
	"slices"
)

// What the tests in package onnx_test need to see. They stand outside because
// they run models, and package ort imports this one.

// Operators lists what inference has rules for.
func Operators() []string { return slices.Sorted(maps.Keys(operators)) }

// Evaluate gives a size its number when each symbol has the given one.
func (d Dim) Evaluate(sizes map[string]int64) (int64, bool) {
	p, ok := d.poly()
	if !ok {
		return 0, false
	}
	sum := int64(0)
	for m, c := range p {
		for _, name := range splitTop(m, '*') {
			if name == "" {
				continue
			}
			n, ok := sizes[name]
			if !ok {
				return 0, false
			}
			c *= n
		}
		sum += c
	}
	return sum, true
}
