package export

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// The models of testdata/arch and what transformers computed with them: its
// README says more. families come in every format, the others in one.
var (
	families = []string{"t5", "t5-11b", "t5-v1_1", "t5-lm-adapt", "flan-t5", "mt5", "umt5", "byt5"}
	formats  = []string{"safetensors", "sharded", "float16", "bfloat16", "mixed", "bin", "bin-sharded", "bin-old"}
	heads    = []string{
		"tied-unscaled", "untied-scaled", "untied-headless", "untied-claimed",
		"t5-saved-by-5", "t5-v1_1-saved-by-5", "umt5-tied", "mt5-defaults", "derived-act", "aliased",
	}
	acts = []string{
		"gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh",
		"gelu_pytorch_tanh", "hardswish", "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu", "relu2",
		"relu6", "sigmoid", "silu", "sqrtsoftplus", "swish", "tanh",
		"gated-relu", "gated-silu", "gated-gelu_fast", "gated-quick_gelu", "gated-relu2",
	}
)

// archDir returns the model folder of an architecture in a format.
func archDir(arch, format string) string {
	if format == "safetensors" {
		format = ""
	}
	return filepath.Join("testdata", "arch", arch, format)
}

// archGolden returns the file of numbers for a model folder: its own, or that
// of the architecture.
func archGolden(arch, dir string) string {
	own := filepath.Join(dir, "golden.safetensors")
	if _, err := os.Stat(own); err == nil {
		return own
	}
	return filepath.Join(archDir(arch, ""), "golden.safetensors")
}

// TestArchitectures holds logits, loss and prompt gradient of every
// architecture in every format against transformers, and prints the largest
// error of logits and of loss and gradient in each.
func TestArchitectures(t *testing.T) {
	table := map[string]map[string]string{} // by format and architecture
	check := func(arch, column, dir string, standard bool) {
		t.Run(arch+"/"+column, func(t *testing.T) {
			logits, gradient := openArch(t, dir, archGolden(arch, dir), standard).errors()
			if !(max(logits, gradient) <= tolerance) {
				t.Errorf("off by %.2g in the logits and %.2g in the gradient, relative", logits, gradient)
			}
			if table[column] == nil {
				table[column] = map[string]string{}
			}
			table[column][arch] = fmt.Sprintf("%.1e / %.1e", logits, gradient)
		})
	}
	for _, arch := range slices.Concat(families, heads, prefixed("act-", acts)) {
		for _, format := range formats {
			if format == "safetensors" || slices.Contains(families, arch) {
				check(arch, format, archDir(arch, format), false)
			}
		}
		check(arch, "standard", archDir(arch, ""), true)
	}
	t.Logf("largest error of logits / of loss and prompt gradient, relative to the largest value\n%s%s",
		grid(table, slices.Concat(formats, []string{"standard"}), families),
		grid(transpose(table), slices.Concat(heads, prefixed("act-", acts)), []string{"safetensors", "standard"}))
}

func prefixed(prefix string, names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, prefix+n)
	}
	return out
}

func transpose(table map[string]map[string]string) map[string]map[string]string {
	out := map[string]map[string]string{}
	for row, cells := range table {
		for column, cell := range cells {
			if out[column] == nil {
				out[column] = map[string]string{}
			}
			out[column][row] = cell
		}
	}
	return out
}

// grid writes cells by row and column, aligned.
func grid(cells map[string]map[string]string, rows, columns []string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\t%s\t\n", strings.Join(columns, "\t"))
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t", row)
		for _, column := range columns {
			fmt.Fprintf(w, "%s\t", cells[row][column])
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return b.String()
}

// openArch opens a model in any format, with the numbers to hold it against.
func openArch(t *testing.T, dir, numbers string, standard bool) *golden {
	t.Helper()
	m, err := Open(context.Background(), "./"+filepath.ToSlash(dir), models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	spec, err := m.Spec(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := models.OpenSafetensors(numbers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tensors.Close() })
	spec.Method, spec.Standard = prompt.PromptTuning(spec.Config.DModel), standard
	return &golden{t, tensors, spec}
}

// errors runs a training step and returns how far the logits, and the loss
// and the prompt's gradient are off, relative to their largest value.
func (g *golden) errors() (logits, gradient float64) {
	g.t.Helper()
	m, err := Train(g.spec)
	if err != nil {
		g.t.Fatal(err)
	}
	if n := len(m.Opset); g.spec.Standard && n != 1 {
		g.t.Errorf("the graph uses %d operator sets", n)
	}
	out := orttest.Run(g.t, m, g.inputs(showLogits(g.t, m)))
	return g.off(out, "logits", "logits"), max(g.off(out, "loss", "loss"), g.off(out, "grad.prompts", "grad"))
}

// showLogits makes the logits an output of a train graph, which has their
// largest for token_hits.
func showLogits(t *testing.T, m *onnx.Model) *onnx.Model {
	t.Helper()
	for _, n := range m.Graph.Nodes {
		if n.Op == "ArgMax" {
			m.Graph.Nodes = append(m.Graph.Nodes, &onnx.Node{Op: "Identity", Inputs: n.Inputs[:1], Outputs: []string{"logits"}})
			m.Graph.Outputs = append(m.Graph.Outputs, onnx.Value{Name: "logits", Type: onnx.Float32})
			return m
		}
	}
	t.Fatal("the train graph has no logits")
	return nil
}

// off returns the error of an output, relative to its largest value.
func (g *golden) off(out map[string]*onnx.Tensor, output, name string) float64 {
	g.t.Helper()
	if out[output] == nil {
		g.t.Fatalf("no output %s", output)
	}
	got, err := out[output].Float32s()
	if err != nil {
		g.t.Fatal(err)
	}
	want := g.want(name)
	if len(got) != len(want) {
		g.t.Fatalf("%s: %d values, want %d", output, len(got), len(want))
	}
	diff, scale := worst(got, want)
	return diff / scale
}

// TestArchitectureFolder keeps the tables above and the files in step, so that
// no architecture and no format can go missing.
func TestArchitectureFolder(t *testing.T) {
	want := map[string]bool{}
	for _, arch := range slices.Concat(families, heads, prefixed("act-", acts)) {
		want[arch] = true
	}
	for _, arch := range families {
		for _, format := range formats[1:] {
			want[arch+"/"+format] = true
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "arch", "*", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := filepath.Glob(filepath.Join("testdata", "arch", "*", "*", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, file := range slices.Concat(files, inner) {
		dir, _ := filepath.Rel(filepath.Join("testdata", "arch"), filepath.Dir(file))
		got[filepath.ToSlash(dir)] = true
	}
	if !maps.Equal(got, want) {
		for name := range want {
			if !got[name] {
				t.Errorf("%s is in the tables, but not in the folder", name)
			}
		}
		for name := range got {
			if !want[name] {
				t.Errorf("%s is in the folder, but not in the tables", name)
			}
		}
	}
}

// TestArchitecturesTellApart reads models as what they are not, by as little
// as possible: the numbers must not agree then.
func TestArchitecturesTellApart(t *testing.T) {
	act := func(name string) func(c *models.Config) { return func(c *models.Config) { c.Activation = name } }
	scale := func(c *models.Config) { c.ScaleDecoderOutputs = !c.ScaleDecoderOutputs }
	for _, test := range []struct {
		arch, as string
		misread  func(c *models.Config)
	}{
		{"act-gelu", "gelu_new", act("gelu_new")},
		{"act-gelu_new", "gelu", act("gelu")},
		{"act-gelu_10", "gelu", act("gelu")},
		{"act-quick_gelu", "gelu", act("gelu")},
		{"act-silu", "hardswish", act("hardswish")},
		{"act-hardswish", "silu", act("silu")},
		{"act-mish", "silu", act("silu")},
		{"act-relu6", "relu", act("relu")},
		{"act-leaky_relu", "relu", act("relu")},
		{"act-gated-relu2", "relu", act("relu")},
		{"act-laplace", "sigmoid", act("sigmoid")},
		{"act-sqrtsoftplus", "relu", act("relu")},
		{"act-gated-silu", "mish", act("mish")},
		{"t5", "unscaled", scale},
		{"umt5", "scaled", scale},
		{"untied-claimed", "scaled", scale},
		{"umt5", "t5", func(c *models.Config) { c.PerLayerBias = false }},
		{"t5-v1_1", "tied", func(c *models.Config) { c.TieWordEmbeddings = true }},
		{"flan-t5", "of a larger epsilon", func(c *models.Config) { c.LayerNormEpsilon = 1e-2 }},
		{"byt5", "of nearer distances", func(c *models.Config) { c.MaxDistance = 20 }},
	} {
		t.Run(test.arch+" as "+test.as, func(t *testing.T) {
			dir := archDir(test.arch, "")
			g := openArch(t, dir, archGolden(test.arch, dir), false)
			test.misread(&g.spec.Config)
			if logits, gradient := g.errors(); max(logits, gradient) <= 2*tolerance {
				t.Errorf("off by only %.1e in the logits and %.1e in the gradient", logits, gradient)
			}
		})
	}
}
