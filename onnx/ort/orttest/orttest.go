// Package orttest runs models in tests, on the real ONNX Runtime.
//
// Call [Run] for one model and one set of inputs, or [Session] to run a model
// more than once. A test never passes without the runtime: when its library is
// missing the helpers fail the test and say where it was looked for.
package orttest

import (
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
)

// Runtime opens ONNX Runtime.
func Runtime(t testing.TB) *ort.Runtime {
	t.Helper()
	rt, err := ort.Open(ort.Options{})
	fatal(t, err)
	return rt
}

// Session makes a session of a model, closed when the test ends. External data
// is looked for in model.Dir unless cfg names a folder.
func Session(t testing.TB, model *onnx.Model, cfg ort.Config) *ort.Session {
	t.Helper()
	rt := Runtime(t)
	data, err := model.Marshal()
	fatal(t, err)
	if cfg.Folder == "" {
		cfg.Folder = model.Dir
	}
	s, err := rt.NewSession(t.Context(), data, cfg)
	fatal(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// Run runs a model once and returns all its outputs. The graph runs as it is,
// without the runtime's optimizations.
func Run(t testing.TB, model *onnx.Model, inputs map[string]*onnx.Tensor) map[string]*onnx.Tensor {
	t.Helper()
	s := Session(t, model, ort.Config{Optimize: ort.LevelNone})
	in := map[string]*ort.Tensor{}
	for name, c := range inputs {
		x, err := ort.FromONNX(c)
		fatal(t, err)
		in[name] = x
	}
	out := map[string]*ort.Tensor{}
	for _, v := range s.Outputs() {
		out[v.Name] = nil
	}
	fatal(t, s.Run(t.Context(), in, out))
	results := map[string]*onnx.Tensor{}
	for name, y := range out {
		results[name] = y.ONNX(name)
	}
	return results
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if h := hint.Of(err); h != "" {
		t.Fatalf("%v (%s)", err, h)
	}
	t.Fatal(err)
}
