package ort_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"softprompt/onnx"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

func TestOpen(t *testing.T) {
	rt := orttest.Runtime(t)
	again, err := ort.Open(ort.Options{Library: rt.Library()})
	if err != nil || again != rt {
		t.Errorf("a second Open: %p %v, want %p", again, err, rt)
	}
	other := filepath.Join(t.TempDir(), "other.so")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ort.Open(ort.Options{Library: other}); err == nil || !strings.Contains(err.Error(), rt.Library()) {
		t.Errorf("another library: %v", err)
	}
	if _, err := ort.Open(ort.Options{Library: other + "x"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing library: %v", err)
	}
	r := rt.Report()
	if r.Library != rt.Library() || r.Version != rt.Version() || r.Threads < 1 || r.Threads > runtime.NumCPU() {
		t.Errorf("report %+v", r)
	}
	if !slices.Contains(r.Providers, "CPUExecutionProvider") {
		t.Errorf("providers %v", r.Providers)
	}
	if !strings.HasPrefix(rt.Version(), "1.") {
		t.Errorf("version %q", rt.Version())
	}
}

// weights writes a file that holds linear's weights at an offset, and returns
// the model that finds them there.
func weights(t testing.TB, file string, offset int64) *onnx.Model {
	t.Helper()
	w := onnx.Floats("w", []int64{2, 3}, []float32{1, 2, 3, 4, 5, 6})
	if err := os.WriteFile(file, append(make([]byte, offset), w.Data...), 0o644); err != nil {
		t.Fatal(err)
	}
	m := linear(t)
	m.Graph.Initializers[0] = &onnx.Tensor{
		Name: "w", Type: w.Type, Dims: w.Dims,
		External: &onnx.External{Location: filepath.Base(file), Offset: offset, Length: 24},
	}
	return m
}

// TestExternalData uses weights in place in a safetensors file: its data
// begins where the header ends, at any odd offset. The folder may be a link.
func TestExternalData(t *testing.T) {
	root := t.TempDir()
	dir, link := filepath.Join(root, "real"), filepath.Join(root, "link")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Symlink(dir, link)); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []int64{0, 7, 8 + 61} {
		for _, folder := range []string{dir, link} {
			m := weights(t, filepath.Join(dir, "model.safetensors"), offset)
			s := orttest.Session(t, m, ort.Config{Folder: folder})
			y := zeros(t, onnx.Float32, 1, 3)
			if err := s.Run(t.Context(), tensors{"x": floats(t, []int64{1, 2}, 1, 10)}, tensors{"y": y}); err != nil {
				t.Fatal(err)
			}
			if want := []float32{41, 52, 63}; !slices.Equal(y.Float32s(), want) {
				t.Errorf("offset %d: y = %v, want %v", offset, y.Float32s(), want)
			}
		}
	}
}

// newSession tries to make a session.
func newSession(t testing.TB, m *onnx.Model, cfg ort.Config) error {
	t.Helper()
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	s, err := orttest.Runtime(t).NewSession(t.Context(), data, cfg)
	if err == nil {
		s.Close()
	}
	return err
}

func TestBadExternalData(t *testing.T) {
	dir := t.TempDir()
	m := weights(t, filepath.Join(dir, "w.bin"), 7)
	for _, c := range []struct {
		name string
		e    onnx.External
		want string
	}{
		{"missing", onnx.External{Location: "v.bin", Length: 24}, "v.bin"},
		{"outside", onnx.External{Location: "../w.bin", Length: 24}, "path ../w.bin leaves the model's folder"},
		{"absolute", onnx.External{Location: filepath.Join(dir, "w.bin"), Length: 24}, "weight w: its path is absolute"},
		{"beyond the end", onnx.External{Location: "w.bin", Offset: 8, Length: 24}, "24 bytes at offset 8 are beyond the end of its file, which has 31"},
		{"wrong length", onnx.External{Location: "w.bin", Length: 20}, "its shape takes 24 bytes and the model says 20"},
	} {
		m.Graph.Initializers[0].External = &c.e
		err := newSession(t, m, ort.Config{Folder: dir})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if err := newSession(t, m, ort.Config{Folder: filepath.Join(dir, "nowhere")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

// raw makes a model of one node without the builder, which would refuse it.
func raw(op string, inputs ...onnx.Value) *onnx.Model {
	m := onnx.NewModel("test")
	n := &onnx.Node{Name: "encoder.3/node", Op: op, Outputs: []string{"y"}}
	if domain, name, ok := strings.Cut(op, ":"); ok {
		n.Domain, n.Op = domain, name
		m.Opset[domain] = 1
	}
	for _, v := range inputs {
		n.Inputs = append(n.Inputs, v.Name)
	}
	m.Graph.Inputs = inputs
	m.Graph.Nodes = []*onnx.Node{n}
	m.Graph.Outputs = []onnx.Value{{Name: "y", Type: inputs[0].Type}}
	return m
}

func TestBadModels(t *testing.T) {
	x := onnx.Value{Name: "x", Type: onnx.Float32, Shape: onnx.Shape{onnx.Sym("A"), onnx.Sym("B")}}
	ids := onnx.Value{Name: "ids", Type: onnx.Int64, Shape: onnx.Shape{onnx.Sym("B"), onnx.Sym("C")}}
	x2 := x
	x2.Name = "x2"
	brain, brain2 := x, x2
	brain.Type, brain2.Type = onnx.BFloat16, onnx.BFloat16
	newIR, newOpset := raw("Relu", x), raw("Relu", x)
	newIR.IRVersion, newOpset.Opset[""] = 99, 99
	for _, c := range []struct {
		name  string
		model *onnx.Model
		want  string
		hint  string
	}{
		{"operator", raw("Frobnicate", x), "node encoder.3/node: there is no operator Frobnicate in opset 18", "newer ONNX Runtime"},
		{"training operator", raw("com.microsoft:SoftmaxGrad", x, x2), "ONNX Runtime has no operator com.microsoft:SoftmaxGrad", "training"},
		{"kernel", raw("MatMul", brain, brain2), "node encoder.3/node: no kernel for MatMul of opset 13 with these types", "--precision"},
		{"types", raw("MatMul", x, ids), "node encoder.3/node: MatMul wants operands of one type, not float and int64", ""},
		{"version", newIR, "the model has IR version 99, and this ONNX Runtime reads up to", "newer"},
		{"opset", newOpset, "the model uses opset 99 of ai.onnx, and this ONNX Runtime reads up to", "newer"},
	} {
		err := newSession(t, c.model, ort.Config{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
		if h := hint.Of(err); !strings.Contains(h, c.hint) {
			t.Errorf("%s: hint %q, want one with %q", c.name, h, c.hint)
		}
	}
	rt := orttest.Runtime(t)
	for data, want := range map[string]string{"": "the model is empty", "version https://git-lfs": "not an ONNX model"} {
		if _, err := rt.NewSession(t.Context(), []byte(data), ort.Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("model %q: %v", data, err)
		}
	}
}

func TestClose(t *testing.T) {
	s := orttest.Session(t, linear(t), ort.Config{})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	err := s.Run(t.Context(), tensors{"x": zeros(t, onnx.Float32, 1, 2)}, tensors{"y": nil})
	if !errors.Is(err, ort.ErrClosed) {
		t.Errorf("a run after Close: %v", err)
	}
}

// TestCloseWaits closes a session while it runs.
func TestCloseWaits(t *testing.T) {
	s := orttest.Session(t, slow(t), ort.Config{Optimize: ort.LevelNone})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	ran, closed := make(chan error, 1), make(chan error, 1)
	x := zeros(t, onnx.Float32, 384, 384)
	go func() { ran <- s.Run(ctx, tensors{"x": x}, tensors{"y": nil}) }()
	time.Sleep(50 * time.Millisecond)
	go func() { closed <- s.Close() }()
	select {
	case <-closed:
		t.Error("Close did not wait for the run")
	case err := <-ran:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the run: %v", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestCancelledSession(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	data, err := linear(t).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := orttest.Runtime(t).NewSession(ctx, data, ort.Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestCancelLoading gives up on a model that takes the runtime long to read.
func TestCancelLoading(t *testing.T) {
	data, err := graph(t, func(b *onnx.Builder) {
		x := b.Input("x", onnx.Float32, onnx.Sym("N"))
		for range 30000 {
			x = b.Relu(x)
		}
		b.Output("y", x)
	}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	rt := orttest.Runtime(t)
	start := time.Now()
	s, err := rt.NewSession(t.Context(), data, ort.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	full := time.Since(start)

	ctx, cancel := context.WithTimeout(t.Context(), full/20)
	defer cancel()
	start = time.Now()
	if _, err := rt.NewSession(ctx, data, ort.Config{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if d := time.Since(start); d > full*2/3 {
		t.Errorf("it took %v of %v to give up", d, full)
	}
}
