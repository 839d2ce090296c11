package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"softprompt/models"
	"softprompt/models/hub/hubtest"
	"softprompt/onnx/ort/orttest"
	"softprompt/tasks"
)

var update = flag.Bool("update", false, "write the outputs that scripts compare with anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"softprompt": main})
}

// TestScript runs the stories in testdata/script. They find in their
// environment
//
//	$DATA         a folder with a small part of SST-2
//	$SMALL        a file of settings for a run of a second on it
//	$TINY         the folder of the embedded model
//	$OLD_RUNTIME  an ONNX Runtime of 2021, as far as its version goes
//	$EXPORTED     a folder of exported ONNX models, each in a folder
//	$HOSTILE      a folder of files that are no weights, or worse
//	$HF_ENDPOINT  a hub, with the models that newHub puts there
//	$HF_HOME      a cache of the script's own
//
// and have the commands of commands_test.go.
func TestScript(t *testing.T) {
	home := newHome(t)
	data := filepath.Join(t.TempDir(), "data")
	writeData(t, data, 96, 24)
	small := filepath.Join(t.TempDir(), "small.yaml")
	if err := os.WriteFile(small, []byte(smallSettings(data)), 0o644); err != nil {
		t.Fatal(err)
	}
	exported := absolute(t, "../../export/testdata/exported")
	h := newHub(t, home.tiny, exported)
	vars := append(home.env, "DATA="+data, "SMALL="+small, "TINY="+home.tiny, "OLD_RUNTIME="+oldRuntime(t),
		"EXPORTED="+exported, "HOSTILE="+absolute(t, "../../models/testdata/hostile"), "ADAPTERS="+absolute(t, "../../prompt/testdata/adapters"), "HF_ENDPOINT="+h.URL)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Vars = append(append(e.Vars, vars...), "HF_HOME="+filepath.Join(e.WorkDir, "hf"))
			return nil
		},
		Cmds: commands,

		UpdateScripts: *update,
	})
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// newHub starts a hub with
//
//	acme/tiny       the embedded model
//	acme/onnx       a ByT5 that is exported ONNX alone
//	acme/gated      a model whose licence must be accepted: with the token "yes"
//	acme/changed    one whose weights are not what the hub says
//	acme/bert       another architecture
func newHub(t *testing.T, tiny, exported string) *hubtest.Hub {
	t.Helper()
	h := hubtest.New()
	t.Cleanup(h.Close)
	for repo, dir := range map[string]string{
		"acme/tiny": tiny, "acme/onnx": filepath.Join(exported, "byt5"),
		"acme/gated": tiny, "acme/changed": tiny,
	} {
		if _, err := h.AddDir(repo, dir); err != nil {
			t.Fatal(err)
		}
	}
	h.Add("acme/bert", map[string]string{"config.json": `{"model_type": "bert"}`, "model.safetensors": "\x02\x00\x00\x00\x00\x00\x00\x00{}"})
	h.Gate("acme/gated", "yes")
	h.Break("storage", "acme/changed", -1, hubtest.Corrupt)
	return h
}

// home is what programs of a test share.
type home struct {
	env  []string
	tiny string // the embedded model, unpacked
}

// newHome gives programs that run in other folders what they would not find:
// ONNX Runtime, from where this process has it, and one cache with the tiny
// model unpacked and widened.
func newHome(t *testing.T) home {
	t.Helper()
	cache := t.TempDir()
	m, err := models.Open(context.Background(), "tiny", models.Options{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Float32File(context.Background()); err != nil {
		t.Fatal(err)
	}
	return home{[]string{
		"ONNXRUNTIME_SHARED_LIBRARY_PATH=" + orttest.Runtime(t).Library(),
		"SOFTPROMPT_CACHE=" + cache,
	}, m.Dir}
}

// writeData writes a folder with the first rows of SST-2 as it travels with
// the project.
func writeData(t *testing.T, dir string, train, validation int) {
	t.Helper()
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		split tasks.Split
		rows  int
	}{{tasks.Train, train}, {tasks.Validation, validation}} {
		examples, err := task.Load(context.Background(), part.split, tasks.LoadOptions{Limit: part.rows})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		b.WriteString("sentence\tlabel\n")
		for _, e := range examples {
			fmt.Fprintf(&b, "%s\t%d\n", strings.TrimPrefix(e.Input, "sentence: "), e.Label)
		}
		if err := os.WriteFile(filepath.Join(dir, task.Files[part.split].Name), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// smallSettings is a run of a second.
func smallSettings(data string) string {
	return fmt.Sprintf(`task: sst2
data: %q
template: "{sentence}"
verbalizer: negative=terrible;positive=great
max_input: 32
length: 4
steps: 4
batch: 8
train_rows: 64
held_out: 16
eval_every: 2
log_every: 2
micro_batch: 8
workers: 1
threads: 1
`, data)
}

// oldRuntime compiles a library that says it is an old ONNX Runtime.
func oldRuntime(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "libonnxruntime.so")
	src := filepath.Join("..", "..", "onnx", "ort", "testdata", "old.c")
	if msg, err := exec.Command("cc", "-shared", "-fPIC", "-o", out, src).CombinedOutput(); err != nil {
		t.Fatalf("compiling %s: %v\n%s", src, err, msg)
	}
	return out
}
