package export

import (
	"os"
	"path/filepath"
	"testing"

	"softprompt/export/exported"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// TestExportedBeside: weights in files beside an exported graph are used where
// they lie, and small constants are in the graph.
func TestExportedBeside(t *testing.T) {
	for name, files := range map[string]int{"t5-merged-external": 2, "t5-v1_1-external": 2, "t5-merged": 0} {
		spec := graphsOf(t, name)
		m, err := Train(spec)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, w := range m.Graph.Initializers {
			if w.External == nil {
				if files > 0 && len(w.Data) >= 1<<12 {
					t.Errorf("%s: %s of %d bytes was copied into the graph", name, w.Name, len(w.Data))
				}
				continue
			}
			found[w.External.Location] = true
			data, err := w.Read(m.Dir)
			if err != nil {
				t.Fatal(err)
			}
			if w.Name == "shared.weight" && string(data) != string(spec.Graphs.Embedding.Table.Data) {
				t.Errorf("%s: %s does not lie at %+v", name, w.Name, w.External)
			}
		}
		if len(found) != files {
			t.Errorf("%s: weights lie in %v, want %d files", name, found, files)
		}
		names, err := weightFiles([]*onnx.Model{m})
		if err != nil {
			t.Fatal(err)
		}
		for from, to := range names {
			if from != to {
				t.Errorf("%s: the copy of %s would be called %s", name, from, to)
			}
		}
	}
}

// TestExportedInCache: an exported model is used from the Hugging Face hub's
// cache, where its files are links to blobs.
func TestExportedInCache(t *testing.T) {
	const name, arch = "t5-merged-external", "t5"
	repo := filepath.Join(t.TempDir(), "models--org--"+name)
	blobs, snapshot := filepath.Join(repo, "blobs"), filepath.Join(repo, "snapshots", "0123456789abcdef")
	for _, dir := range []string{blobs, snapshot} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(filepath.Join("testdata", "exported", name))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join("testdata", "exported", name, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(blobs, "etag-of-"+f.Name()), data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..", "..", "blobs", "etag-of-"+f.Name()), filepath.Join(snapshot, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	m, err := models.Open(t.Context(), snapshot, models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	x, err := exported.Load(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	graph, err := Train(Spec{Config: m.Config, Graphs: x, Method: prompt.PromptTuning(m.Config.DModel)})
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(graph.Dir) != "blobs" {
		t.Errorf("weights are looked for in %s", graph.Dir)
	}
	tensors, err := models.OpenSafetensors(filepath.Join("testdata", "arch", arch, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tensors.Close() })
	g := &golden{t: t, tensors: tensors}
	close(t, "grad.prompts", orttest.Run(t, graph, g.inputs(graph))["grad.prompts"], g.want("grad"))
}
