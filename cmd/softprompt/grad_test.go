package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
)

// smallModel writes a model from elsewhere: loss = Σ tanh(x·w)², x [2,3] an
// input and w [3,2] a weight.
func smallModel(t *testing.T, path string) (x, w []float32) {
	t.Helper()
	x, w = []float32{0.5, -1, 0.25, 0.75, 0.1, -0.3}, []float32{0.2, -0.4, 0.6, 0.1, -0.5, 0.3}
	b := onnx.NewBuilder(onnx.NewModel("small"))
	h := b.Tanh(b.MatMul(b.Input("x", onnx.Float32, onnx.Sym("N"), onnx.Size(3)), b.Weight(onnx.Floats("w", []int64{3, 2}, w))))
	b.Output("loss", b.ReduceSum(b.Mul(h, h), false, 0, 1))
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.Model.Save(path); err != nil {
		t.Fatal(err)
	}
	return x, w
}

// lossOf is the model's, computed here.
func lossOf(x, w []float32) float64 {
	sum := 0.0
	for i := range 2 {
		for j := range 2 {
			dot := 0.0
			for k := range 3 {
				dot += float64(x[3*i+k]) * float64(w[2*k+j])
			}
			sum += math.Tanh(dot) * math.Tanh(dot)
		}
	}
	return sum
}

// TestGrad derives the gradient of a model from a file, runs what was written,
// and holds it against quotients of differences.
func TestGrad(t *testing.T) {
	for _, flags := range [][]string{nil, {"--external"}} {
		dir := t.TempDir()
		file, out := filepath.Join(dir, "small.onnx"), filepath.Join(dir, "grad.onnx")
		x, w := smallModel(t, file)
		var got struct {
			File      string
			Nodes     int
			WithGrad  int `json:"nodes_with_gradient"`
			Gradients []string
		}
		result(t, &got, append([]string{"grad", file, "--loss", "loss", "--wrt", "x,w", "--out", out}, flags...)...)
		if got.File != out || got.WithGrad <= got.Nodes || !slices.Equal(got.Gradients, []string{"grad.x", "grad.w"}) {
			t.Errorf("result %+v", got)
		}
		if _, err := os.Stat(out + "_data"); (err == nil) != (flags != nil) {
			t.Errorf("flags %v: weights beside the model: %v", flags, err)
		}
		found := runFile(t, out, map[string]*onnx.Tensor{"x": onnx.Floats("", []int64{2, 3}, x)})
		if loss := floats(t, found["loss"])[0]; math.Abs(float64(loss)-lossOf(x, w)) > 1e-5 {
			t.Errorf("loss %v, want %v", loss, lossOf(x, w))
		}
		for name, values := range map[string][]float32{"grad.x": x, "grad.w": w} {
			for i, g := range floats(t, found[name]) {
				const step = 1e-3
				old := values[i]
				values[i] = old + step
				above := lossOf(x, w)
				values[i] = old - step
				below := lossOf(x, w)
				values[i] = old
				if want := (above - below) / (2 * step); math.Abs(float64(g)-want) > 1e-4 {
					t.Errorf("%s[%d] is %v, by differences %v", name, i, g, want)
				}
			}
		}
	}
}

// TestGradSays shows the result to people, and says what cannot be derived.
func TestGradSays(t *testing.T) {
	dir := t.TempDir()
	file, out := filepath.Join(dir, "small.onnx"), filepath.Join(dir, "grad.onnx")
	smallModel(t, file)
	s := succeed(t, "", "grad", file, "--loss", "loss", "--wrt", "x", "--out", out)
	if !strings.HasPrefix(s.stdout, out+": ") || !strings.Contains(s.stdout, " of them for the gradient\n  grad.x float32[N,3]\n") {
		t.Errorf("printed %q", s.stdout)
	}
	for _, c := range []struct{ loss, wrt, file, says string }{
		{"loss", "y", file, "y"},
		{"lost", "x", file, "lost"},
		{"x", "w", file, "x"},
		{"loss", "x", filepath.Join(dir, "nowhere.onnx"), "nowhere.onnx"},
	} {
		other := filepath.Join(dir, "other.onnx")
		s := call(t, "", "grad", c.file, "--loss", c.loss, "--wrt", c.wrt, "--out", other)
		if s.code != exitFailure || !strings.Contains(s.stderr, "error: ") || !strings.Contains(s.stderr, c.says) {
			t.Errorf("loss %s in %s: code %d, %q", c.loss, c.wrt, s.code, s.stderr)
		}
		if _, err := os.Stat(other); err == nil {
			t.Error("a file was written in spite of the error")
		}
	}
}
