package export

import (
	"path/filepath"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// TestONNXAD: the training step of our own graphs with the weights of an
// exported model gives the loss and the prompt's gradient that onnx-ad gets of
// the exported files, int8 ones by their dequantised weights. Package
// exported's test of the same name compares the graphs as they stand.
func TestONNXAD(t *testing.T) {
	compared, largest := 0, 0.0
	for _, f := range exportedFixtures(t) {
		t.Run(f.Name, func(t *testing.T) {
			g := f.open(t, Open)
			m, err := Train(g.spec)
			if err != nil {
				t.Fatal(err)
			}
			out := orttest.Run(t, m, g.inputs(m))
			theirs := &golden{t, openNumbers(t, filepath.Join("testdata", "exported", f.Name, "onnx_ad.safetensors")), g.spec}
			for output, name := range map[string]string{"loss": "loss", "grad.prompts": "prompt_grad"} {
				got, err := out[output].Float32s()
				if err != nil {
					t.Fatal(err)
				}
				want, err := theirs.tensor(name, onnx.Float32).Float32s()
				if err != nil {
					t.Fatal(err)
				}
				diff, scale := worst(got, want)
				if !(diff <= tolerance*scale) {
					t.Errorf("%s is off by %.1e", output, diff/scale)
				}
				largest = max(largest, diff/scale)
			}
			compared++
		})
	}
	t.Logf("%d exported models train as onnx-ad says, the largest relative difference is %.1e", compared, largest)
	if compared < 50 {
		t.Errorf("only %d models were compared", compared)
	}
}
