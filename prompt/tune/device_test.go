package tune

import (
	"context"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/export"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// provider compiles a provider that takes no node.
func provider(t *testing.T, name string) ort.Device {
	t.Helper()
	wrapper, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	lib := filepath.Join(t.TempDir(), "libprovider.so")
	source := filepath.Join("..", "..", "onnx", "ort", "testdata", "provider.c")
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", lib, source, "-I", strings.TrimSpace(string(wrapper)), `-DNAME="`+name+`"`).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return ort.Device{Kind: "library", Library: lib}
}

// TestStandardOnALackingProvider: a device without ONNX Runtime's own operators
// gets graphs of standard ones, with the same gradient.
func TestStandardOnALackingProvider(t *testing.T) {
	var grads [2][]float32
	for i, device := range []ort.Device{{Kind: "cpu"}, provider(t, "LacksAll")} {
		f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", Device: device})
		standard, err := NeedsStandard(t.Context(), orttest.Runtime(t), device)
		if err != nil || standard != (i == 1) || f.spec.Standard != standard {
			t.Errorf("%v: standard operators %t, needed %t, %v", device, f.spec.Standard, standard, err)
		}
		bank := bankOf(t, f, randomPrompt(t, f, 3, 1))
		if _, err := f.Step(t.Context(), bank, someRows(t, f), StepOptions{Weights: []float32{1}}); err != nil {
			t.Fatal(err)
		}
		_, g := bank.Tensors()
		grads[i] = slices.Clone(g[0])
	}
	if diff, ok := near(grads[1], grads[0], 1e-5); !ok {
		t.Errorf("gradients differ by %.1e", diff)
	}
	if _, err := NeedsStandard(t.Context(), orttest.Runtime(t), ort.Device{Kind: "library", Library: "/nowhere/lib.so"}); err == nil {
		t.Error("a library that is not there was asked")
	}
}

// TestFloat16 makes a step in float16, which on the processor rounds weights and
// some results.
func TestFloat16(t *testing.T) {
	var losses [2]float64
	var grads [2][]float32
	for i, p := range []export.Precision{export.FP32, export.FP16} {
		f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", Precision: p, TF32: true})
		bank := bankOf(t, f, randomPrompt(t, f, 3, 1))
		res, err := f.Step(t.Context(), bank, someRows(t, f), StepOptions{Weights: []float32{1}})
		if err != nil {
			t.Fatal(err)
		}
		_, g := bank.Tensors()
		losses[i], grads[i] = res.Loss, slices.Clone(g[0])
	}
	if math.Abs(losses[1]-losses[0]) > 1e-3*losses[0] || losses[1] == losses[0] {
		t.Errorf("loss %g in float16, %g in float32", losses[1], losses[0])
	}
	if diff, ok := near(grads[1], grads[0], 5e-3); !ok {
		t.Errorf("gradients differ by %.1e", diff)
	}
}

// TestBFloat16OnAProcessor: there are no bfloat16 products, and the error says
// what to do.
func TestBFloat16OnAProcessor(t *testing.T) {
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", Precision: export.BF16})
	_, err := f.session(context.Background(), trainGraph, 1)
	if err == nil || !strings.Contains(err.Error(), "no kernel") || !strings.Contains(hint.Of(err), "--precision fp32") {
		t.Errorf("error %v, hint %q", err, hint.Of(err))
	}
}
