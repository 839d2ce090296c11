package grad

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
)

// TestExportedModels goes through every T5 that Optimum, Transformers.js and
// ONNX Runtime's optimiser wrote for package export: the gradient of an
// encoder's last_hidden_state in its embeddings, and of a decoder's logits in
// its embeddings and in what the encoder hands it.
func TestExportedModels(t *testing.T) {
	root := filepath.Join("..", "export", "testdata", "exported")
	counts := map[string]int{}
	runtime, usual := runtimes(t, filepath.Join("testdata", "backend", "outcomes.txt"))
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err != nil || filepath.Ext(path) != ".onnx" || strings.Contains(name, "with_past") {
			return err
		}
		rel := filepath.ToSlash(must(filepath.Rel(root, path))(t))
		want := "agrees"
		switch {
		case strings.Contains(rel, "int8"):
			want = "DynamicQuantizeLinear: " + errRounds.Error()
		case strings.Contains(rel, "-optimized-t5/"): // RelativePositionBias
			want = "no kernel of the operator"
		}
		t.Run(rel, func(t *testing.T) {
			m := must(onnx.Load(t.Context(), path))(t)
			defer m.Close()
			got := differentiate(t, withoutPast(m))
			if runtime != usual && strings.Contains(got, "no kernel") {
				got = "no kernel in " + runtime // products in float64, before 1.31
			} else if got != want {
				t.Errorf("%s; want %s", got, want)
			}
			counts[got]++
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("exported T5 graphs against differences in float64: %v", counts)
	if runtime == usual && counts["agrees"] < 60 {
		t.Errorf("no more than %d graphs in %s that have a gradient", counts["agrees"], root)
	}
}

// differentiate says that the gradient agrees with differences, or why there
// is none.
func differentiate(t *testing.T, m *onnx.Model) string {
	m = cast(t, m, 0)
	wrt := cutEmbeddings(m)
	feed(m)
	if decodes(m) {
		wrt = append(wrt, "encoder_hidden_states")
	}
	if len(wrt) == 0 {
		return "no embeddings"
	}
	r, err := Reverse(withSum(t, m, nil), total, wrt)
	if err != nil {
		var at *nodeError
		if errors.As(err, &at) {
			return opName(at.node) + ": " + at.err.Error()
		}
		return err.Error()
	}
	if slices.ContainsFunc(m.Graph.Inputs, func(v onnx.Value) bool { return v.Type == onnx.Float16 }) {
		if _, err := open(t, r); err != nil {
			return err.Error()
		}
		m = cast(t, m, onnx.Float32)
		r = must(Reverse(withSum(t, m, nil), total, wrt))(t)
	}
	p, why := newProbe(t, m, nil)
	if p == nil {
		return "no kernel " + why
	}
	want, got := must(p.run(t, p.forward))(t), must(p.run(t, must(open(t, r))(t)))(t)
	y := m.Graph.Outputs[0].Name
	near(t, "the output of the derived graph", values(t, got[y]), values(t, want[y]), 1e-4)

	// Fused operators have kernels for float32 only, their parts for float64.
	m = must(decompose(must(lift(cast(t, withSum(t, m, nil), onnx.Float64)))(t), total, wrt))(t)
	m.Graph.Outputs = m.Graph.Outputs[:1]
	prune(m.Graph)
	if p, why = newProbe(t, m, wrt); p == nil {
		return "no kernel " + why
	}
	p.singles = 6
	if o := p.compare(t); o.what != passed {
		return o.what + ": " + o.why
	}
	return "agrees"
}

func decodes(m *onnx.Model) bool {
	return slices.ContainsFunc(m.Graph.Inputs, func(v onnx.Value) bool { return v.Name == "encoder_hidden_states" })
}

// withoutPast drops the keys and values that a decoder hands on, and takes the
// branch of a merged one that has none yet.
func withoutPast(m *onnx.Model) *onnx.Model {
	m = clone(m)
	g := m.Graph
	if last := g.Nodes[len(g.Nodes)-1]; last.Op == "If" {
		branch := last.Attr("else_branch").G
		g.Nodes = append(g.Nodes[:len(g.Nodes)-1], branch.Nodes...)
		g.Initializers = append(g.Initializers, branch.Initializers...)
		g.Outputs = branch.Outputs
		g.Inputs = slices.DeleteFunc(g.Inputs, func(v onnx.Value) bool {
			return strings.HasPrefix(v.Name, "past_key_values") || v.Name == "use_cache_branch"
		})
	}
	g.Outputs = g.Outputs[:1]
	prune(g)
	return m
}

// prune drops the nodes that the outputs do not need.
func prune(g *onnx.Graph) {
	needed := map[string]bool{}
	for _, v := range g.Outputs {
		needed[v.Name] = true
	}
	var kept []*onnx.Node
	for _, n := range slices.Backward(g.Nodes) {
		if slices.ContainsFunc(n.Outputs, func(y string) bool { return needed[y] }) {
			kept = append(kept, n)
			for _, x := range n.Uses() {
				needed[x] = true
			}
		}
	}
	slices.Reverse(kept)
	g.Nodes = kept
}

// cutEmbeddings makes the rows that input_ids read from the table inputs of
// the graph.
func cutEmbeddings(m *onnx.Model) (names []string) {
	g := m.Graph
	ids := map[string]bool{"input_ids": true}
	tables := map[string]*onnx.Tensor{}
	for _, x := range g.Initializers {
		tables[x.Name] = x
	}
	rows := map[string]int64{} // width of what was read
	types := map[string]onnx.DType{}
	var kept []*onnx.Node
	for _, n := range g.Nodes {
		x, y := n.Input(0), n.Output(0)
		switch table := tables[x]; {
		case ids[x] && slices.Contains([]string{"Reshape", "Cast", "Identity"}, n.Op):
			ids[y] = true
		case n.Op == "Gather" && ids[n.Input(1)] && table != nil:
			rows[y], types[y] = table.Dims[1], table.Type
			if !table.Type.IsFloat() {
				break // dequantised next
			}
			names = append(names, y)
			continue
		case n.Op == "DequantizeLinear" && rows[x] > 0:
			rows[y], types[y] = rows[x], onnx.Float32
			names = append(names, y)
			continue
		}
		kept = append(kept, n)
	}
	g.Nodes = kept
	for _, y := range names {
		g.Inputs = append(g.Inputs, onnx.Value{Name: y, Type: types[y], Shape: onnx.Shape{onnx.Sym("batch_size"), onnx.Unknown, onnx.Size(rows[y])}})
	}
	return names
}

// feed gives the graph's inputs examples: two sentences, the second shorter.
func feed(m *onnx.Model) {
	random := rand.New(rand.NewPCG(5, 6))
	const batch, length, target = 2, 6, 3
	for _, v := range m.Graph.Inputs {
		dims := []int64{batch, length}
		if decodes(m) && v.Name != "encoder_hidden_states" && v.Name != "encoder_attention_mask" {
			dims[1] = target
		}
		var x *onnx.Tensor
		if v.Type.IsFloat() {
			dims = append(dims, v.Shape[2].Size)
			x = floats(onnx.Float64, dims, normal(random, int(dims[0]*dims[1]*dims[2])))
		} else {
			n := make([]int64, dims[0]*dims[1])
			for i := range n {
				n[i] = 1 + int64(i)%7
				if strings.Contains(v.Name, "mask") {
					n[i] = 1
				}
			}
			if strings.Contains(v.Name, "mask") {
				n[len(n)-1] = 0
			}
			x = onnx.Longs("", dims, n)
		}
		x.Name = "example." + v.Name
		m.Graph.Initializers = append(m.Graph.Initializers, x)
	}
}
