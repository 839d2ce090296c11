package measure

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/export"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt/tune"
)

func profile(t *testing.T, s tune.Settings, o ProfileOptions) *Budget {
	t.Helper()
	o.Run = options()
	b, err := Profile(t.Context(), orttest.Runtime(t), s, o)
	if err != nil {
		t.Fatal(err)
	}
	addsUp(t, b)
	return b
}

func kind(b *Budget, k Kind) Line {
	for _, l := range b.Kinds {
		if l.Name == string(k) {
			return l
		}
	}
	return Line{}
}

// TestProfile: the budget of a real step, in floats and in integers.
func TestProfile(t *testing.T) {
	s := madeUp()
	shape := ProfileOptions{Input: 6, Targets: 2, Steps: 2}
	exact := profile(t, s, shape)
	if exact.Steps != 2 || exact.Passes != 2 || exact.Millis <= 0 {
		t.Errorf("%d steps of %d passes take %v ms", exact.Steps, exact.Passes, exact.Millis)
	}
	s.Precision = "int8"
	integers := profile(t, s, shape)
	for name, b := range map[string]*Budget{"fp32": exact, "int8": integers} {
		for _, k := range []Kind{Float32Products, Elementwise, Norms, Copies, RuntimeOwn, GoOwn} {
			if l := kind(b, k); l.Millis <= 0 || (l.GFLOPS > 0) != (k == Float32Products) {
				t.Errorf("%s: %s is %+v", name, k, l)
			}
		}
		if l := kind(b, Other); l != (Line{}) {
			t.Errorf("%s: %+v", name, l)
		}
		for _, k := range []Kind{Int8Products, Quantising} {
			if got := kind(b, k).Millis > 0; got != (name == "int8") {
				t.Errorf("%s: %s: %v", name, k, got)
			}
		}
		checkBlocks(t, b)
	}
	all := kind(exact, Float32Products)
	some := kind(integers, Float32Products)
	if rest := kind(integers, Int8Products); !near(all.ops, some.ops+rest.ops) {
		t.Errorf("%v operations in float32, %v and %v with integers", all.ops, some.ops, rest.ops)
	}
}

// checkBlocks wants each layer of the tiny model to take its time both ways,
// but for the sub-layer that no gradient of the prompt's reaches.
func checkBlocks(t *testing.T, b *Budget) {
	t.Helper()
	seen := map[string]bool{}
	for _, l := range b.Blocks {
		seen[l.Name] = true
		if !strings.Contains(l.Name, ".") {
			continue
		}
		if l.Forward <= 0 || (l.Backward > 0) != (l.Name != "decoder.0.self-attention") {
			t.Errorf("block %+v", l)
		}
	}
	for _, name := range []string{"encoder", "encoder.3.feed-forward", "decoder.0.cross-attention", "head"} {
		if !seen[name] {
			t.Errorf("no block %s in %v", name, b.Blocks)
		}
	}
}

// TestProfileCountsTheGraph: the operations that the trace tells are those that
// the graph's shapes give.
func TestProfileCountsTheGraph(t *testing.T) {
	s := madeUp()
	b := profile(t, s, ProfileOptions{Input: 6, Targets: 2, Steps: 1})
	m, err := export.Train(tinySpec(t))
	if err != nil {
		t.Fatal(err)
	}
	f := onnx.NewInference(m)
	sizes := map[string]int64{"B": 2, "S": 6, "T": 2, "K": 1, "P": 3}
	for _, v := range m.Graph.Inputs {
		fixed := v
		fixed.Shape = nil
		for _, d := range v.Shape {
			if !d.Known() {
				d = onnx.Size(sizes[d.Sym])
			}
			fixed.Shape = append(fixed.Shape, d)
		}
		f.Set(fixed)
	}
	want := 0.0
	for _, n := range m.Graph.Nodes {
		if err := f.Node(n); err != nil {
			t.Fatal(err)
		}
		left, _ := f.Value(n.Input(0))
		out, _ := f.Value(n.Output(0))
		k := Kernel{Op: n.Op}
		if !products[n.Op] {
			continue
		}
		in, ok := left.Shape.Sizes()
		made, known := out.Shape.Sizes()
		if !ok || !known {
			t.Fatalf("%v has shapes %v and %v", n, left.Shape, out.Shape)
		}
		k.Inputs, k.Outputs = []Operand{float(in...)}, []Operand{float(made...)}
		want += 2 * work(k, n) // two passes of two rows
	}
	if got := kind(b, Float32Products).ops; got != want {
		t.Errorf("%v operations a step, want %v", got, want)
	}
}

// TestProfileOfATask measures rows at their own lengths, and leaves nothing
// behind.
func TestProfileOfATask(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	s := smallRun(t)
	s.Dropout = 0.1
	b := profile(t, s, ProfileOptions{Steps: 1})
	if b.Passes != 1 || kind(b, Float32Products).GFLOPS <= 0 {
		t.Errorf("%+v", b)
	}
	left, err := filepath.Glob(filepath.Join(tmp, "softprompt-profile-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestProfileRefuses(t *testing.T) {
	rt := orttest.Runtime(t)
	for name, c := range map[string]struct {
		change func(*tune.Settings, *ProfileOptions)
		want   string
	}{
		"no steps":     {func(_ *tune.Settings, o *ProfileOptions) { o.Steps = 0 }, "0 steps"},
		"no tokens":    {func(_ *tune.Settings, o *ProfileOptions) { o.Input = 0 }, "0 input"},
		"no model":     {func(s *tune.Settings, _ *ProfileOptions) { s.Model = "nowhere" }, "nowhere"},
		"no task":      {func(s *tune.Settings, _ *ProfileOptions) { s.Task, s.MaxInput, s.MaxTarget = "sst3", 9, 9 }, "sst3"},
		"no precision": {func(s *tune.Settings, _ *ProfileOptions) { s.Precision = "fp4" }, "fp4"},
		"no rate":      {func(s *tune.Settings, _ *ProfileOptions) { s.LearningRate = 0 }, "--learning-rate"},
	} {
		s, o := madeUp(), ProfileOptions{Input: 3, Targets: 2, Steps: 1, Run: options()}
		c.change(&s, &o)
		if _, err := Profile(t.Context(), rt, s, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Profile(ctx, rt, madeUp(), ProfileOptions{Input: 3, Targets: 2, Steps: 1, Run: options()})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestReadTrace(t *testing.T) {
	dir := t.TempDir()
	if _, err := readTrace(dir); err == nil || !strings.Contains(err.Error(), "0 traces") {
		t.Errorf("no trace: %v", err)
	}
	data, err := os.ReadFile("testdata/trace.json")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"trace_a.json", "trace_b.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		runs, err := readTrace(dir)
		if i == 0 && (err != nil || len(runs) != 2) {
			t.Errorf("%d runs, %v", len(runs), err)
		}
		if i == 1 && (err == nil || !strings.Contains(err.Error(), "2 traces")) {
			t.Errorf("two traces: %v", err)
		}
	}
}
