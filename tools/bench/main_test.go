package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// benchCache gives the program a cache in which the model of a size lies, and
// has its other roles played by this binary.
func benchCache(t *testing.T, size string, tensors []models.NamedTensor) (dir string) {
	t.Helper()
	cache := t.TempDir()
	t.Setenv("SOFTPROMPT_CACHE", cache)
	t.Setenv(roleVariable, "itself")
	t.Setenv(ort.LibraryVariable, orttest.Runtime(t).Library()) // for processes elsewhere
	dir = filepath.Join(cache, "bench", "t5-v1_1-"+size)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(testModel(t), dir); err != nil {
		t.Fatal(err)
	}
	if tensors != nil {
		writeBatches(t, dir, tensors)
	}
	return dir
}

// small is what testTensors has.
var small = []string{"-prompt", "3", "-input", "4", "-targets", "2", "-batch", "2", "-threads", "1", "-rounds", "2", "-warmup", "1", "-starts", "1", "-text-batches", "8", "-eval-rows", "4", "-eval-rounds", "1"}

// fakePython writes a program that stands in for the interpreter. As PEFT's
// and transformers' peer it runs softprompt's own, so that both find the same;
// what it is asked to make it copies from a folder.
func fakePython(t *testing.T, made string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "python")
	text := fmt.Sprintf(`#!/bin/sh
case $3 in
tools/bench/peak.py) echo '{"peak": {"gflops": 1e9, "shape": [1, 2, 3], "library": "torch 2"}, "versions": {"torch": "2.0", "peft": "0.1"}}' ;;
tools/reference/bench_peft.py) shift 5; exec '%[1]s' step $(echo "$@" | sed 's/--max-length [0-9]*//') ;;
tools/reference/bench_transformers.py) shift 3; sed -u s/rank-shared/rank/ | '%[1]s' evaluate $(echo "$@" | sed 's/--words [0-9]*//') ;;
tools/reference/make_model.py) echo "making $4 for $*" >&2; test "$4" != huge && cp -r '%[2]s' "$5" ;;
*) echo "unknown script $3" >&2; exit 9 ;;
esac
`, exe, made)
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return program
}

// TestBench measures a small model with both sides' real processes, from the
// command line to the file.
func TestBench(t *testing.T) {
	benchCache(t, "mini", nil)
	out := filepath.Join(t.TempDir(), "result.json")
	var stdout, stderr bytes.Buffer
	args := append([]string{"-sizes", "mini", "-peers", "softprompt,peft", "-python", fakePython(t, ""), "-boolq", boolqFile(t), "-out", out}, small...)
	if err := benchMain(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Peaks) != 3 || r.Peaks[2].Library != "torch 2" || r.Peaks[0].GFLOPS <= 0 || !r.Peaks[1].Int8 || r.Peaks[1].GFLOPS <= 0 || r.best(false).GFLOPS != 1e9 {
		t.Errorf("peaks %+v", r.Peaks)
	}
	if r.Versions["torch"] != "2.0" || r.Versions["peft"] != "0.1" || r.Versions["onnxruntime"] == "" || r.Versions["go"] == "" {
		t.Errorf("versions %v", r.Versions)
	}
	if len(r.Sizes) != 1 || r.Sizes[0].Parameters != 11_278_080 || r.Sizes[0].FLOPs.Forward <= 0 || r.Sizes[0].FLOPs.Backward <= 0 {
		t.Fatalf("sizes %+v", r.Sizes)
	}
	peers := r.Sizes[0].Peers
	if len(peers) != 2 || peers[0].Name != "softprompt" || peers[1].Name != "peft" {
		t.Fatalf("peers %+v", peers)
	}
	for _, p := range peers {
		if len(p.Seconds) != 2 || len(p.Losses) != 3 || p.Losses[2] >= p.Losses[0] || p.peak() < 10<<20 || p.Hello.Threads != 1 {
			t.Errorf("peer %+v", p)
		}
	}
	if len(r.Starts) != 2 || r.Starts[0].Name != "softprompt" || len(r.Starts[1].First) != 1 || r.Starts[0].First[0] <= r.Starts[0].Steps[0] {
		t.Errorf("starts %+v", r.Starts)
	}
	if len(r.Texts) != 2 || r.Texts[1].Text != "BoolQ" {
		t.Fatalf("texts %+v", r.Texts)
	}
	for _, x := range r.Texts {
		own, longest, full := x.Runs[0], x.Runs[1], x.Runs[2]
		if x.Rows != 16 || len(own.Seconds) != 8 || len(longest.Seconds) != 8 || len(full.Seconds) != 2 || len(full.Losses) != 3 || own.Loss < 1 {
			t.Errorf("%s: %+v", x.Text, x)
		}
	}
	if e := r.Eval; e.Rows != 4 || len(e.Runs) != 5 || e.SameChoice != 1 || e.SameText != 1 || e.Difference != 0 || e.Length < 1 {
		t.Errorf("evaluation %+v", e)
	}
	if m := r.Many; len(m.Together) != 2 || len(m.Alone) != 2 || m.Rows != 5 {
		t.Errorf("several prompts: %+v", m)
	}
	if len(r.Goals) != 3+1+4+3+1 {
		t.Errorf("goals %+v", r.Goals)
	}
	for _, want := range []string{"mini, softprompt", "mini, PEFT", "start beyond a step", "mini, BoolQ", "greedy decoding against transformers", "batch 2, prompt 3, input 4, targets 2, dropout 0, 1 threads;", "median of 2 interleaved rounds after 1."} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &stdout)
		}
	}
	for _, want := range []string{"mini: loading peft\n", "mini: round 0 of 2: softprompt ", "mini: round 2 of 2: peft ", "wrote " + out} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("progress lacks %q:\n%s", want, &stderr)
		}
	}
}

// TestBenchAlone runs without Python, in Markdown, and keeps no file.
func TestBenchAlone(t *testing.T) {
	benchCache(t, "mini", nil)
	t.Chdir(t.TempDir()) // where the default file would go
	var stdout bytes.Buffer
	args := append([]string{"-sizes", "mini", "-peers", "softprompt,softprompt-int8", "-only", "steps,start", "-markdown", "-out", "none", "-python", "/nowhere"}, small...)
	if err := benchMain(t.Context(), args, &stdout, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| mini, softprompt | float32 | ", "| mini, softprompt | int8 | ", "| furthest loss from float32 | mini | int8 | ≤ 0.05 | ", "| start beyond a step | mini | int8 | ≤ 4 s | "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("printed no %q:\n%s", want, &stdout)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestBenchFails names what is missing.
func TestBenchFails(t *testing.T) {
	dir := benchCache(t, "mini", nil)
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"flags", "unknown argument", []string{"mini"}},
		{"no interpreter", "/nowhere", append([]string{"-sizes", "mini", "-peers", "peft", "-python", "/nowhere"}, small...)},
		{"no BoolQ", "no-boolq.jsonl", append([]string{"-sizes", "mini", "-only", "text", "-boolq", "/nowhere/no-boolq.jsonl", "-peers", "softprompt"}, small...)},
		{"no tokenizer", "no tokenizer.json or spiece.model in /nowhere", append([]string{"-sizes", "mini", "-only", "eval", "-tokenizer", "/nowhere", "-peers", "softprompt"}, small...)},
		{"a model that cannot be made", "making a T5 of size huge: exit status 1; it said:\n  making huge for ", append([]string{"-sizes", "huge", "-peers", "softprompt", "-python", fakePython(t, dir)}, small...)},
	} {
		err := benchMain(t.Context(), c.args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// TestModelDir makes a model once for each shape.
func TestModelDir(t *testing.T) {
	made := testModel(t)
	t.Setenv("SOFTPROMPT_CACHE", t.TempDir())
	asked := 0
	interpreter := func() (string, error) {
		asked++
		return fakePython(t, made), nil
	}
	for range 2 {
		dir, err := modelDir(t.Context(), "mini", shape{3, 4, 2, 2}, interpreter)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, batchesFile)); err != nil || filepath.Base(dir) != "t5-v1_1-mini" {
			t.Errorf("folder %s: %v", dir, err)
		}
	}
	if asked != 1 {
		t.Errorf("it was made %d times", asked)
	}
	if _, err := modelDir(t.Context(), "mini", shape{5, 4, 2, 2}, interpreter); err != nil || asked != 2 {
		t.Errorf("another shape: made %d times in all, %v", asked, err)
	}
	no := func() (string, error) { return "", io.ErrUnexpectedEOF }
	if _, err := modelDir(t.Context(), "other", shape{3, 4, 2, 2}, no); err != io.ErrUnexpectedEOF {
		t.Errorf("no interpreter: %v", err)
	}
}

// TestPython asks make for the interpreter, at the root of the tree alone.
func TestPython(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := python(t.Context(), io.Discard); err == nil || !strings.Contains(hint.Of(err), "root of the source tree") {
		t.Errorf("elsewhere: %v, hint %q", err, hint.Of(err))
	}
	if err := os.MkdirAll(scripts, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"bench_peft.py": "", "Makefile": "python:\n\t@echo installing >&2\n\t@echo /some/python\n"} {
		if err := os.WriteFile(filepath.Join(scripts, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var progress bytes.Buffer
	if got, err := python(t.Context(), &progress); err != nil || got != "/some/python" || progress.String() != "installing\n" {
		t.Errorf("interpreter %q, progress %q, %v", got, &progress, err)
	}
	if err := os.WriteFile(filepath.Join(scripts, "Makefile"), []byte("python:\n\t@false\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := python(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "making the Python environment") {
		t.Errorf("make fails: %v", err)
	}
}

// TestProfile prints where the time of a step goes.
func TestProfile(t *testing.T) {
	// The shape that profile measures, of the tiny model: one batch of it.
	const p, b, s, n = 100, 16, 128, 4
	zeros := func(count int) []byte { return make([]byte, 4*count) }
	ids := func(count, last int) []byte {
		out := make([]byte, 0, 4*count)
		for i := range count {
			id := uint32(3 + i%100)
			if (i+1)%last == 0 {
				id = 1
			}
			out = binary.LittleEndian.AppendUint32(out, id)
		}
		return out
	}
	benchCache(t, "mini", []models.NamedTensor{
		{Name: "prompt", DType: models.F32, Shape: []int64{p, 256}, Data: zeros(p * 256)},
		{Name: "input_ids", DType: "I32", Shape: []int64{1, b, s}, Data: ids(b*s, s)},
		{Name: "labels", DType: "I32", Shape: []int64{1, b, n}, Data: ids(b*n, n)},
	})
	var out bytes.Buffer
	if err := profileMain(t.Context(), []string{"-size", "mini", "-steps", "1", "-threads", "1", "-nodes", "3"}, &out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"operator ", "\nFusedMatMul ", "operator and shapes of its inputs"} {
		if !strings.Contains(text, want) {
			t.Errorf("the profile lacks %q:\n%s", want, text)
		}
	}
	if !strings.HasSuffix(text, "in kernels, mean of 1 steps\n") {
		t.Errorf("it ends with\n%s", text)
	}
	_, shapes, _ := strings.Cut(text, "operator and shapes of its inputs")
	if shapes, _, _ = strings.Cut(shapes, "\n\n"); strings.Count(shapes, "\n") != 3 {
		t.Errorf("want 3 lines of shapes, got\n%s", shapes)
	}
}

// TestRoles: each role refuses flags that it does not have.
func TestRoles(t *testing.T) {
	for _, role := range []string{"step", "evaluate", "peak", "profile"} {
		if err := dispatch(t.Context(), []string{role, "-nonsense"}); err == nil || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("%s: %v", role, err)
		}
	}
	if err := dispatch(t.Context(), []string{"-rounds", "0"}); err == nil || !strings.Contains(err.Error(), "-rounds 0") {
		t.Errorf("the driver: %v", err)
	}
}

// TestPeak keeps the best of its products.
func TestPeak(t *testing.T) {
	defer func(shapes [][3]int64) { peakShapes = shapes }(peakShapes)
	peakShapes = [][3]int64{{2, 2, 2}, {256, 256, 256}}
	var out bytes.Buffer
	if err := peakMain(t.Context(), []string{"-threads", "1"}, &out); err != nil {
		t.Fatal(err)
	}
	var both []peak
	if err := json.Unmarshal(out.Bytes(), &both); err != nil || len(both) != 2 || both[0].Int8 || !both[1].Int8 {
		t.Fatalf("peaks %+v, %v", both, err)
	}
	for _, p := range both {
		if p.Shape != peakShapes[1] || p.GFLOPS < 0.1 || !strings.HasPrefix(p.Library, "onnxruntime 1.") {
			t.Errorf("peak %+v", p)
		}
	}
}

// TestThisMachine knows what it runs on, and keeps its name to itself.
func TestThisMachine(t *testing.T) {
	m := thisMachine()
	if m.Cores < 1 || m.Memory < 64<<20 || !strings.Contains(m.OS, "/") || m.slug() == "" {
		t.Errorf("machine %+v", m)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if host, err := os.Hostname(); err == nil && len(host) > 3 && strings.Contains(string(data), host) {
		t.Errorf("%s has the machine's name", data)
	}
}
