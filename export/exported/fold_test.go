package exported_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	"softprompt/onnx"
)

// TestFolded: in what Optimum exports no shape of the main path is computed at
// run time: every Reshape goes to a constant shape. (PyTorch's newer exporter
// joins rows and heads, whose sizes are not.) It prints how many nodes are left.
func TestFolded(t *testing.T) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "model\tencoder\tbefore\tdecoder\tbefore\tShape\tReshape\tExpand\t")
	for _, f := range manifest(t) {
		x := load(t, filepath.Join(fixtures, f.Name))
		count := map[string]int{}
		for _, m := range []*onnx.Model{x.Encoder, x.Decoder} {
			constant := map[string]bool{}
			for _, c := range m.Graph.Initializers {
				constant[c.Name] = true
			}
			for _, n := range m.Graph.Nodes {
				count[n.Op]++
				if n.Op == "Reshape" && !constant[n.Input(1)] && f.Exporter != "dynamo" {
					t.Errorf("%s: %v computes its shape", f.Name, n)
				}
				if n.Op == "Constant" || n.Op == "Identity" {
					t.Errorf("%s: %v is left", f.Name, n)
				}
			}
		}
		before := nodesOf(t, filepath.Join(fixtures, f.Name, filepath.FromSlash(x.EncoderFile)))
		decoder := nodesOf(t, filepath.Join(fixtures, f.Name, filepath.FromSlash(x.DecoderFile)))
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", f.Name, len(x.Encoder.Graph.Nodes), before, len(x.Decoder.Graph.Nodes), decoder, count["Shape"], count["Reshape"], count["Expand"])
	}
	w.Flush()
	t.Logf("nodes after and before surgery\n%s", table.String())
}

// nodesOf counts the nodes of a file; of an If, those of its smaller branch.
func nodesOf(t testing.TB, path string) int {
	t.Helper()
	m, err := onnx.Load(t.Context(), path)
	fatal(t, err)
	defer m.Close()
	total := 0
	for _, n := range m.Graph.Nodes {
		inner := 0
		for _, a := range n.Attrs {
			if a.G != nil && (inner == 0 || len(a.G.Nodes) < inner) {
				inner = len(a.G.Nodes)
			}
		}
		total += 1 + inner
	}
	return total
}
