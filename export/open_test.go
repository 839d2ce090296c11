package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// exportedNames returns the folders of testdata/exported, with the
// architecture and the precision of each.
func exportedNames(t *testing.T) (list []struct{ Name, Arch, Precision string }) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "exported", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &list); err != nil || len(list) == 0 {
		t.Fatal("reading the manifest: ", err)
	}
	return list
}

type opener func(context.Context, string, models.Options) (*Model, error)

func openAs(t *testing.T, open opener, dir string, opts models.Options) *Model {
	t.Helper()
	m, err := open(t.Context(), "./"+filepath.ToSlash(dir), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestOpenRecovers: every exported model opens as the checkpoint that it was
// exported from: the same fingerprint, embeddings and head. Quantised weights
// are others.
func TestOpenRecovers(t *testing.T) {
	cache := t.TempDir()
	for _, f := range exportedNames(t) {
		t.Run(f.Name, func(t *testing.T) {
			opts := models.Options{CacheDir: cache}
			m := openAs(t, Open, filepath.Join("testdata", "exported", f.Name), opts)
			if m.Graphs != nil || !slices.ContainsFunc(m.Explain(), func(s string) bool { return strings.HasPrefix(s, "route: weights recovered") }) {
				t.Fatalf("weights were not recovered:\n%s", strings.Join(m.Explain(), "\n"))
			}
			if dir := filepath.Join(cache, "recovered"); filepath.Dir(m.Checkpoint.Path) != dir {
				t.Errorf("the weights lie in %s, want %s", m.Checkpoint.Path, dir)
			}
			again := openAs(t, Open, filepath.Join("testdata", "exported", f.Name), opts)
			if again.Checkpoint.Path != m.Checkpoint.Path {
				t.Errorf("the weights were recovered twice, to %s and %s", m.Checkpoint.Path, again.Checkpoint.Path)
			}
			original := openAs(t, Open, filepath.Join("testdata", "arch", f.Arch), opts)
			want, err := original.Fingerprint()
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Fingerprint()
			if err != nil {
				t.Fatal(err)
			}
			quantised := strings.Contains(f.Precision, "int8")
			if err := want.Matches(got); (err == nil) == quantised {
				t.Errorf("%s: %v", f.Precision, err)
			}
			spec, err := m.Spec(t.Context())
			if err != nil || spec.Weights == nil || spec.Graphs != nil {
				t.Errorf("spec with weights %v, graphs %v: %v", spec.Weights, spec.Graphs, err)
			}
			if quantised {
				return
			}
			if spec.Config != original.Config {
				a, b := spec.Config, original.Config
				a.ScaleStated, b.ScaleStated = true, true
				if a != b {
					t.Errorf("configuration %+v, want %+v", a, b)
				}
			}
		})
	}
}

// spoiled copies an exported model with another config.json, which the graphs
// do not keep.
func spoiled(t *testing.T, name, old, with string) string {
	t.Helper()
	from, dir := filepath.Join("testdata", "exported", name), filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(data, []byte(old), []byte(with), 1)
	if bytes.Equal(changed, data) {
		t.Fatalf("%s does not say %s", path, old)
	}
	if err := os.WriteFile(path, changed, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestOpenKeepsGraphs: what cannot be recovered is used as it stands, and
// says why; it has embeddings and a fingerprint all the same.
func TestOpenKeepsGraphs(t *testing.T) {
	dir := spoiled(t, "t5-opset18", `"dense_act_fn": "relu"`, `"dense_act_fn": "gelu"`)
	var log bytes.Buffer
	opts := models.Options{CacheDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, nil))}
	m, err := Open(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	const reason = "computes relu, wanted gelu by config.json"
	if m.Graphs == nil || m.Checkpoint != nil {
		t.Fatal("the graphs were not kept")
	}
	if text := strings.Join(m.Explain(), "\n"); !strings.Contains(text, "route: the graphs as they stand: ") || !strings.Contains(text, reason) {
		t.Errorf("explained as\n%s", text)
	}
	if !strings.Contains(log.String(), reason) {
		t.Errorf("logged as %s", log.String())
	}
	row, rows, err := m.Embedding()
	if err != nil || rows != m.Config.VocabSize || len(row(rows-1)) != m.Config.DModel {
		t.Errorf("%d rows of embeddings, %v", rows, err)
	}
	print, err := m.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	asked := openAs(t, OpenGraphs, filepath.Join("testdata", "exported", "t5-opset18"), opts)
	other, err := asked.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Matches(print); err == nil || !strings.Contains(err.Error(), "gelu") {
		t.Errorf("a model of gelu passes as one of relu: %v", err)
	}
	if _, err := os.Stat(filepath.Join(opts.CacheDir, "recovered")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written to the cache: %v", err)
	}
	spec, err := m.Spec(t.Context())
	if err != nil || spec.Graphs != m.Graphs || spec.Weights != nil {
		t.Errorf("spec %+v, %v", spec, err)
	}
	if _, err := Score(spec); err != nil {
		t.Error(err)
	}
}

// TestOpenGraphs: graphs are kept on demand, where there are any.
func TestOpenGraphs(t *testing.T) {
	opts := models.Options{CacheDir: t.TempDir()}
	m := openAs(t, OpenGraphs, filepath.Join("testdata", "exported", "t5-hub"), opts)
	if m.Graphs == nil || !strings.Contains(strings.Join(m.Explain(), "\n"), "its graphs were asked for") {
		t.Errorf("explained as %v", m.Explain())
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := m.Close(); err != nil {
		t.Error("closing twice: ", err)
	}
	_, err := OpenGraphs(t.Context(), "./testdata/arch/t5", opts)
	if err == nil || !strings.Contains(err.Error(), "no graphs of its own") || hint.Of(err) == "" {
		t.Errorf("a checkpoint: %v", err)
	}
}

// TestOpenFails: what is neither is refused, and nothing is left open or
// written.
func TestOpenFails(t *testing.T) {
	cache := t.TempDir()
	opts := models.Options{CacheDir: cache}
	for name, c := range map[string]struct {
		dir  string
		ctx  func(context.Context) context.Context
		want string
	}{
		"another width": {dir: spoiled(t, "t5-opset18", `"d_model": 16`, `"d_model": 24`), want: "24"},
		"stopped": {dir: "./testdata/exported/t5-opset18", ctx: func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx
		}, want: "canceled"},
		"a file that is cut short": {dir: cut(t, "t5-opset18", "encoder_model.onnx"), want: "encoder_model.onnx"},
		"no external data":         {dir: without(t, "t5-v1_1-external", "_data"), want: "external data"},
	} {
		ctx := t.Context()
		if c.ctx != nil {
			ctx = c.ctx(ctx)
		}
		m, err := Open(ctx, c.dir, opts)
		if err == nil {
			m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(cache, "recovered")); len(left) != 0 {
		t.Errorf("left in the cache: %v", left)
	}
}

// cut copies an exported model and cuts one of its files short.
func cut(t *testing.T, name, file string) string {
	dir := spoiled(t, name, "{", "{ ")
	if err := os.Truncate(filepath.Join(dir, file), 1000); err != nil {
		t.Fatal(err)
	}
	return dir
}

// without copies an exported model but for the files with such an end.
func without(t *testing.T, name, end string) string {
	dir := spoiled(t, name, "{", "{ ")
	files, _ := filepath.Glob(filepath.Join(dir, "*"+end))
	if len(files) == 0 {
		t.Fatalf("%s has no file *%s", name, end)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestExplainCheckpoint: checkpoints say what they are, too.
func TestExplainCheckpoint(t *testing.T) {
	for dir, want := range map[string][]string{
		"t5":              {"safetensors checkpoint: model.safetensors", "head: tied to the embedding, of states scaled by d_model^-0.5"},
		"t5-v1_1/sharded": {"safetensors checkpoint: model.safetensors.index.json with 4 shards", "head: its own, lm_head.weight"},
		"t5/bin":          {"pytorch checkpoint: pytorch_model.bin"},
		"t5/mixed":        {"F16", "F32"},
	} {
		m := openAs(t, Open, filepath.Join("testdata", "arch", filepath.FromSlash(dir)), models.Options{CacheDir: t.TempDir()})
		text := strings.Join(m.Explain(), "\n")
		for _, w := range append(want, "route: softprompt's own graphs") {
			if !strings.Contains(text, w) {
				t.Errorf("%s is explained as\n%s\nwithout %q", dir, text, w)
			}
		}
	}
}
