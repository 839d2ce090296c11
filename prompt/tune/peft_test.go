package tune

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"softprompt/export"
	"softprompt/grad"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// TestPEFT takes 20 AdamW steps from the same prompt on the same batches as
// PEFT did (tools/reference/peft_losses.py; dropout 0, no z-loss, mean loss)
// and finds its losses and its final prompt.
func TestPEFT(t *testing.T) {
	models := map[string]string{
		"v1_0-2x2": "../../export/testdata/golden/v1_0-2x2",
		"v1_1-2x2": "../../export/testdata/golden/v1_1-2x2",
		"tiny":     "tiny",
	}
	for name, ref := range models {
		t.Run(name, func(t *testing.T) { followPEFT(t, name, ref) })
	}
}

func followPEFT(t *testing.T, name, ref string) {
	ctx := context.Background()
	golden, err := models.OpenSafetensors(filepath.Join("testdata", "golden", "peft", name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	m, err := export.Open(ctx, ref, models.Options{CacheDir: cache()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	f, err := Freeze(ctx, orttest.Runtime(t), m, FreezeOptions{Method: "prompt-tuning", Device: ort.Device{Kind: "cpu"}, NoTokenizer: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	start, err := golden.Float32("prompt")
	if err != nil {
		t.Fatal(err)
	}
	bank := bankOf(t, f, prompt.New(start, len(start)/m.Config.DModel, m.Config.DModel))

	settings := doubles(t, golden, "settings") // learning rate, β1, β2, ε, weight decay
	rule := grad.AdamW{Beta1: settings[1], Beta2: settings[2], Epsilon: settings[3], WeightDecay: settings[4]}
	values, grads := bank.Tensors()
	o, err := grad.NewOptimizer(rule, grad.Param{Name: "prompt", Shape: []int64{1, int64(bank.Length), int64(m.Config.DModel)}})
	if err != nil {
		t.Fatal(err)
	}
	want, err := golden.Float32("losses")
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for step, loss := range want {
		rows, tokens := goldenRows(t, golden, step)
		res, err := f.Step(ctx, bank, rows, StepOptions{Weights: []float32{1 / float32(tokens)}})
		if err != nil {
			t.Fatal(err)
		}
		off := math.Abs(res.Loss-float64(loss)) / float64(loss)
		if worst = max(worst, off); off > 1e-4 {
			t.Fatalf("step %d: loss %.7f, PEFT has %.7f, relative %.1e", step, res.Loss, loss, off)
		}
		if _, err := o.Update(0, settings[0], values, grads); err != nil {
			t.Fatal(err)
		}
	}
	final, err := golden.Float32("final_prompt")
	if err != nil {
		t.Fatal(err)
	}
	diff, ok := near(values[0], final, 1e-3)
	if !ok {
		t.Errorf("the final prompt differs, relative %.1e", diff)
	}
	t.Logf("losses within %.1e of PEFT's over %d steps, final prompt within %.1e", worst, len(want), diff)
}

// doubles reads a float64 tensor.
func doubles(t *testing.T, c *models.Checkpoint, name string) []float64 {
	t.Helper()
	return read(t, c, name, onnx.Float64).must(t)
}

// raw is a tensor of a golden file.
type raw struct{ *onnx.Tensor }

func read(t *testing.T, c *models.Checkpoint, name string, dtype onnx.DType) raw {
	t.Helper()
	info, ok := c.Lookup(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	data, err := c.Bytes(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw{&onnx.Tensor{Name: name, Type: dtype, Dims: info.Shape, Data: data}}
}

func (r raw) must(t *testing.T) []float64 {
	t.Helper()
	v, err := r.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// goldenRows returns the rows of a step and the number of their targets.
func goldenRows(t *testing.T, c *models.Checkpoint, step int) (rows []Row, tokens int) {
	t.Helper()
	slice := func(name string) (out [][]int64) {
		tensor := read(t, c, name, onnx.Int64)
		all, err := tensor.Int64s()
		if err != nil {
			t.Fatal(err)
		}
		b, n := int(tensor.Dims[1]), int(tensor.Dims[2])
		for i := range b {
			out = append(out, all[(step*b+i)*n:][:n])
		}
		return out
	}
	ids, mask, labels := slice("input_ids"), slice("attention_mask"), slice("labels")
	for i := range ids {
		r := Row{Key: uint64(i)}
		for j, id := range ids[i] {
			if mask[i][j] == 1 {
				r.IDs = append(r.IDs, id)
			}
		}
		for _, l := range labels[i] {
			if l >= 0 {
				r.Target = append(r.Target, l)
			}
		}
		tokens += len(r.Target)
		rows = append(rows, r)
	}
	return rows, tokens
}
