package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestMany: the quotient is that of the rounds, and the table says it.
func TestMany(t *testing.T) {
	m := &manyReport{Size: "small", Prompts: 5, Rows: 15, Together: []float64{2.2, 3.3, 1.2}, Alone: []float64{2, 3, 1}}
	v := m.verdict()
	if !v.Met || v.Measured < 1.0999 || v.Measured > 1.1001 || v.Wanted != 1.15 || v.Where != "small" {
		t.Errorf("%+v", v)
	}
	m.Together[0] = 3
	if v := m.verdict(); v.Met || v.Measured < 1.1999 {
		t.Errorf("%+v", v)
	}
	var out bytes.Buffer
	m.table().text(&out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := strings.Fields(lines[len(lines)-1])
	if len(last) < 5 || last[0] != "5" || last[1] != "3" || last[len(last)-1] != "1.20" {
		t.Errorf("%q", lines)
	}
}
