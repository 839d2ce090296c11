package exported

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// exportedFixture is an exported model of testdata/exported, as its
// manifest.json has it.
type exportedFixture struct {
	Name, Arch, Precision string
	dir                   string
}

const fixtureDir = "../testdata/exported"

func eachFixture(t *testing.T, test func(t *testing.T, f exportedFixture)) {
	data, err := os.ReadFile(filepath.Join(fixtureDir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []exportedFixture
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("the manifest is empty")
	}
	for i := range list {
		list[i].dir = filepath.Join(fixtureDir, list[i].Name)
	}
	for _, f := range list {
		t.Run(f.Name, func(t *testing.T) { test(t, f) })
	}
}

// openFolder opens a model folder, exported or not.
func openFolder(t testing.TB, path string) *models.Model {
	t.Helper()
	m, err := models.Open(t.Context(), "./"+filepath.ToSlash(path), models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func recovered(t testing.TB, m *models.Model) *Recovery {
	t.Helper()
	r, err := RecoverFiles(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestRecoverFixtures: every exported model gives back the weights that it was
// exported from: bit by bit in float32, rounded in float16, and dequantised as
// ONNX Runtime does where it was quantised.
func TestRecoverFixtures(t *testing.T) {
	eachFixture(t, func(t *testing.T, f exportedFixture) {
		m := openFolder(t, f.dir)
		original := openFolder(t, filepath.Join("../testdata/arch", f.Arch))
		r := recovered(t, m)
		for _, n := range r.Notes {
			t.Log(n)
			if strings.Contains(n, "speak against") {
				t.Error("names contradict the structure")
			}
		}
		ck, err := r.Checkpoint(t.Context(), t.TempDir(), "m", nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		m.Config = r.Config
		if err := m.Adopt(ck); err != nil {
			t.Fatal(err)
		}
		want := original.Config
		if quantised := strings.Contains(f.Precision, "int8"); quantised {
			want.TieWordEmbeddings = m.Config.TieWordEmbeddings // the head is quantised on its own
		}
		if m.Config.TieWordEmbeddings != want.TieWordEmbeddings || m.Config.ScaleDecoderOutputs != want.ScaleDecoderOutputs {
			t.Errorf("tied %t, scaled %t; wanted %t, %t", m.Config.TieWordEmbeddings, m.Config.ScaleDecoderOutputs, want.TieWordEmbeddings, want.ScaleDecoderOutputs)
		}
		dequantised := r.byRuntime(t)
		for _, w := range r.weights {
			if w.Name == headWeight && m.Config.TieWordEmbeddings {
				continue
			}
			got, err := ck.Float32(w.Name)
			if err != nil {
				t.Fatal(err)
			}
			name := w.Name
			if name == headWeight {
				name = original.Config.HeadName()
			}
			exact, err := original.Checkpoint.Float32(name)
			if err != nil {
				t.Fatal(err)
			}
			if w.quantum != nil {
				sameNumbers(t, w.Name, got, dequantised[w.Name])
				near(t, w.Name, got, exact)
				continue
			}
			if w.tensor.Type == onnx.Float16 {
				exact = rounded(exact)
			}
			sameNumbers(t, w.Name, got, exact)
		}
	})
}

// rounded returns the numbers as a conversion to float16 leaves them.
func rounded(values []float32) []float32 {
	out := slices.Clone(values)
	for i, v := range values {
		out[i] = models.Float16ToFloat32(models.Float32ToFloat16(v))
	}
	return out
}

func sameNumbers(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d numbers, want %d", name, len(got), len(want))
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: number %d is %v, want %v", name, i, got[i], want[i])
		}
	}
}

// near fails unless quantised numbers are what the exact ones round to: half a
// step of 7 bits off, at most, in units of the largest.
func near(t *testing.T, name string, got, exact []float32) {
	t.Helper()
	largest := 0.0
	for _, v := range exact {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i := range got {
		if off := math.Abs(float64(got[i]) - float64(exact[i])); off > 1.01*largest/127 {
			t.Fatalf("%s: number %d is %v, too far from %v", name, i, got[i], exact[i])
		}
	}
}

// byRuntime returns what ONNX Runtime's DequantizeLinear makes of the quantised
// weights, with scales and zero points that it finds by the quantiser's names.
func (r *Recovery) byRuntime(t *testing.T) map[string][]float32 {
	t.Helper()
	constants := map[string]*onnx.Tensor{}
	for i, m := range r.read {
		for _, c := range m.Graph.Initializers {
			constants[fmt.Sprint(i, c.Name)] = c
		}
	}
	b := onnx.NewBuilder(onnx.NewModel("dequantise"))
	for _, w := range r.weights {
		if w.quantum == nil {
			continue
		}
		base, ok := strings.CutSuffix(w.tensor.Name, "_quantized")
		if !ok {
			t.Fatalf("%s is not named as the quantiser names tensors", w.tensor.Name)
		}
		inputs := make([]string, 3)
		for i, end := range []string{"_quantized", "_scale", "_zero_point"} {
			file := 0
			if constants[fmt.Sprint(1, base+"_quantized")] == w.tensor {
				file = 1
			}
			c := *constants[fmt.Sprint(file, base+end)]
			c.Name = w.Name + end
			inputs[i] = b.Weight(&c)
		}
		y := b.Op("DequantizeLinear", inputs, onnx.IntAttr("axis", 1))
		if w.turned {
			y = b.Transpose(y, 1, 0)
		}
		b.Output(w.Name, y)
	}
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	if len(b.Model.Graph.Nodes) == 0 {
		return out
	}
	for name, x := range orttest.Run(t, b.Model, nil) {
		v, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		out[name] = v
	}
	return out
}

// TestRecoverIgnoresNames: the walk finds the same weights when every value
// and node of a graph is called something else.
func TestRecoverIgnoresNames(t *testing.T) {
	eachFixture(t, func(t *testing.T, f exportedFixture) {
		m := openFolder(t, f.dir)
		a := recovered(t, m)
		x := &T5{}
		t.Cleanup(func() { x.Close() })
		var graphs []*onnx.Model
		for i, as := range []role{encoder, decoder} {
			p, err := x.open(t.Context(), m, m.Files.Weights[i], as)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.settle(); err != nil {
				t.Fatal(err)
			}
			graphs = append(graphs, nameless(p.model))
		}
		b, err := Recover(m.Config, graphs[0], graphs[1])
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range a.weights {
			if !bytes.Equal(b.weights[i].tensor.Data, w.tensor.Data) || b.weights[i].turned != w.turned {
				t.Errorf("%s is %s, by names %s", w.Name, b.weights[i].tensor.Name, w.tensor.Name)
			}
		}
		for _, n := range b.Notes {
			if strings.Contains(n, "agree") && !strings.Contains(n, "names agree for 0") {
				t.Error(n)
			}
		}
	})
}

// nameless returns a graph whose names say nothing but of its inputs and its
// output, with its nodes' order kept.
func nameless(m *onnx.Model) *onnx.Model {
	out, g := *m, *m.Graph
	out.Graph = &g
	names := map[string]string{"": ""}
	for _, list := range [][]onnx.Value{g.Inputs, g.Outputs} {
		for _, v := range list {
			names[v.Name] = v.Name
		}
	}
	name := func(old string) string {
		if names[old] == "" && old != "" {
			names[old] = fmt.Sprintf("v%d", len(names)*7919%10007)
		}
		return names[old]
	}
	g.Values = nil
	g.Initializers, g.Nodes = nil, nil
	for _, t := range m.Graph.Initializers {
		c := *t
		c.Name = name(t.Name)
		g.Initializers = append(g.Initializers, &c)
	}
	for _, n := range m.Graph.Nodes {
		c := *n
		c.Name, c.Inputs, c.Outputs = "", nil, nil
		for _, x := range n.Inputs {
			c.Inputs = append(c.Inputs, name(x))
		}
		for _, y := range n.Outputs {
			c.Outputs = append(c.Outputs, name(y))
		}
		g.Nodes = append(g.Nodes, &c)
	}
	return &out
}
