package export

import (
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
)

// errorTable is what TestArchitectures prints: errors by row and column.
type errorTable map[string]map[string]string

// set fills a cell.
func (e *errorTable) set(column, row, cell string) {
	if *e == nil {
		*e = errorTable{}
	}
	if (*e)[row] == nil {
		(*e)[row] = map[string]string{}
	}
	(*e)[row][column] = cell
}

// check runs a model and fills its cell.
func (e *errorTable) check(t *testing.T, column, row string, open func(t *testing.T) *golden) {
	t.Run(column+"/"+row, func(t *testing.T) {
		e.set(column, row, "failed")
		logits, gradient := open(t).errors()
		e.set(column, row, fmt.Sprintf("%.1e / %.1e", logits, gradient))
		if !(max(logits, gradient) <= tolerance) {
			t.Errorf("off by %.2g in the logits and %.2g in loss or gradient, relative", logits, gradient)
		}
	})
}

// flip exchanges rows and columns.
func (e errorTable) flip() errorTable {
	var out errorTable
	for row, cells := range e {
		for column, cell := range cells {
			out.set(row, column, cell)
		}
	}
	return out
}

// String lays the given columns and rows out, aligned; a cell that is not
// there stays blank.
func (e errorTable) String(columns, rows []string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\t%s\n", strings.Join(columns, "\t"))
	for _, row := range rows {
		fmt.Fprint(w, row)
		for _, column := range columns {
			fmt.Fprintf(w, "\t%s", e[row][column])
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return b.String()
}
