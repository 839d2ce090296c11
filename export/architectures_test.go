package export

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	acts = prefixed("act-",
		"gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh",
		"gelu_pytorch_tanh", "hardswish", "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu", "relu2",
		"relu6", "sigmoid", "silu", "sqrtsoftplus", "swish", "tanh",
		"gated-relu", "gated-silu", "gated-gelu_fast", "gated-quick_gelu", "gated-relu2",
	)
)

func prefixed(prefix string, names ...string) []string {
	for i, n := range names {
		names[i] = prefix + n
	}
	return names
}

// TestArchitectures holds logits, loss and prompt gradient of every
// architecture in every format against transformers, and prints the largest
// error of logits, and of loss and gradient, in each.
func TestArchitectures(t *testing.T) {
	var table errorTable
	for _, arch := range slices.Concat(families, heads, acts) {
		for _, format := range formats {
			if format == "safetensors" || slices.Contains(families, arch) {
				dir := archDir(arch, format)
				table.check(t, arch, format, openArch(dir, archGolden(arch, dir)))
			}
		}
		standard := openArch(archDir(arch, ""), archGolden(arch, ""))
		table.check(t, arch, "standard", func(t *testing.T) *golden {
			g := standard(t)
			g.spec.Standard = true
			return g
		})
	}
	variants := table.checkExported(t)
	t.Logf("largest error of logits / of loss and prompt gradient, relative to the largest value\n\n%s\n%s",
		table.String(families, slices.Concat(formats, []string{"standard"}, variants)),
		table.flip().String([]string{"safetensors", "standard"}, slices.Concat(heads, acts)))
}

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

// openArch returns how to open a model of any kind, with the numbers to hold
// it against, for our own graphs with its weights.
func openArch(dir, numbers string) func(t *testing.T) *golden {
	return func(t *testing.T) *golden { return openWith(t, Open, dir, numbers) }
}

// openFunc is Open or OpenGraphs.
type openFunc func(context.Context, string, models.Options) (*Model, error)

func openWith(t *testing.T, open openFunc, dir, numbers string) *golden {
	t.Helper()
	m, err := open(t.Context(), "./"+filepath.ToSlash(dir), models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	spec, err := m.Spec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	spec.Method = prompt.PromptTuning(spec.Config.DModel)
	return &golden{t, openNumbers(t, numbers), spec}
}

func openNumbers(t *testing.T, path string) *models.Checkpoint {
	t.Helper()
	tensors, err := models.OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tensors.Close() })
	return tensors
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
	for _, arch := range slices.Concat(families, heads, acts) {
		want[arch] = true
	}
	for _, arch := range families {
		for _, format := range formats[1:] {
			want[arch+"/"+format] = true
		}
	}
	got := map[string]bool{}
	for _, pattern := range []string{"*/config.json", "*/*/config.json"} {
		files, err := filepath.Glob(filepath.Join("testdata", "arch", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			dir, _ := filepath.Rel(filepath.Join("testdata", "arch"), filepath.Dir(file))
			got[filepath.ToSlash(dir)] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
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
			g := openArch(dir, archGolden(test.arch, dir))(t)
			test.misread(&g.spec.Config)
			if logits, gradient := g.errors(); max(logits, gradient) <= 2*tolerance {
				t.Errorf("off by only %.1e in the logits and %.1e in the gradient", logits, gradient)
			}
		})
	}
}
