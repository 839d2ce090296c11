package export

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"softprompt/export/exported"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// graphsOf opens an exported model of testdata/exported and describes its
// graphs as they stand.
func graphsOf(t *testing.T, name string) Spec {
	t.Helper()
	m, err := models.Open(t.Context(), filepath.Join("testdata", "exported", name), models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	x, err := exported.Load(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return Spec{Config: m.Config, Graphs: x, Method: prompt.PromptTuning(m.Config.DModel)}
}

// exportedModels calls f with each exported model of a precision, and the
// architecture that it was exported from.
func exportedModels(t *testing.T, precisions map[string]bool, f func(t *testing.T, spec Spec, g *golden)) {
	data, err := os.ReadFile(filepath.Join("testdata", "exported", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ Name, Arch, Precision string }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	tested := 0
	for _, e := range all {
		if !precisions[e.Precision] {
			continue
		}
		tested++
		t.Run(e.Name, func(t *testing.T) {
			tensors, err := models.OpenSafetensors(filepath.Join("testdata", "arch", e.Arch, "golden.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { tensors.Close() })
			f(t, graphsOf(t, e.Name), &golden{t: t, tensors: tensors})
		})
	}
	if tested == 0 {
		t.Fatal("there is no such model")
	}
}

// TestExportedAsItStands trains on the graphs that others exported and holds
// loss and prompt gradient against PyTorch's.
func TestExportedAsItStands(t *testing.T) {
	exportedModels(t, map[string]bool{"fp32": true}, func(t *testing.T, spec Spec, g *golden) {
		m, err := Train(spec)
		if err != nil {
			t.Fatal(err)
		}
		out := orttest.Run(t, m, g.inputs(m))
		close(t, "loss", out["loss"], g.want("loss"))
		close(t, "grad.prompts", out["grad.prompts"], g.want("grad"))
		for _, n := range m.Graph.Nodes {
			if n.Block == "" && n.From == "" {
				t.Errorf("%v belongs to no block", n)
			}
		}
	})
}

// TestExportedLogits holds the logits of the same graphs against PyTorch's.
func TestExportedLogits(t *testing.T) {
	exportedModels(t, map[string]bool{"fp32": true}, func(t *testing.T, spec Spec, g *golden) {
		m := exportedLogits(t, spec)
		close(t, "logits", orttest.Run(t, m, g.inputs(m))["logits"], g.want("logits"))
	})
}

// exportedLogits returns the forward pass of a spec.
func exportedLogits(t *testing.T, spec Spec) *onnx.Model {
	t.Helper()
	b, err := newGraph("logits", spec)
	if err != nil {
		t.Fatal(err)
	}
	states, mask := b.encoder()
	labels := b.Input("labels", onnx.Int64, onnx.Sym("B"), onnx.Sym("T"))
	b.Output("logits", b.teacherForced(states, mask, labels))
	m, err := b.finish()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestBlockOf: exported nodes get the blocks that our own have.
func TestBlockOf(t *testing.T) {
	for _, c := range [][3]string{
		{"encoder", "/block.11/layer.0/SelfAttention/q/MatMul", "encoder.11.self-attention"},
		{"encoder", "/encoder/block.0/layer.1/DenseReluDense/wo/MatMul", "encoder.0.feed-forward"},
		{"decoder", "/decoder/block.3/layer.1/EncDecAttention/Softmax", "decoder.3.cross-attention"},
		{"decoder", "/decoder/block.3/layer.2/Add", "decoder.3.feed-forward"},
		{"decoder", "/decoder/block.3/layer.9/Add", "decoder.3"},
		{"decoder", "/lm_head/MatMul", "decoder"},
		{"encoder", "MatMul_17", "encoder"},
		{"encoder", "", "encoder"},
	} {
		if got := blockOf(c[0], c[1]); got != c[2] {
			t.Errorf("%s of the %s is in block %s, want %s", c[1], c[0], got, c[2])
		}
	}
}

// TestSharedTable: a table that encoder, decoder and head all read is in the
// graph once.
func TestSharedTable(t *testing.T) {
	for name, wants := range map[string]int{"t5-opset18": 1, "t5-merged": 1} {
		spec := graphsOf(t, name)
		m, err := Train(spec)
		if err != nil {
			t.Fatal(err)
		}
		tables, want := 0, spec.Graphs.Embedding.Table
		for _, w := range m.Graph.Initializers {
			if slices.Equal(w.Dims, want.Dims) && slices.Equal(w.Data, want.Data) {
				tables++
			}
		}
		if tables != wants {
			t.Errorf("%s: the table is there %d times, want %d", name, tables, wants)
		}
	}
}
