package grad_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"softprompt/grad"
	"softprompt/models"
)

// The committed numbers come from tools/reference/adafactor.py; the README
// beside them says how first parameters and gradients are computed.

func splitmix64(x uint64) uint64 {
	z := x + 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func goldenUniform(seed, i int) float32 {
	return float32(splitmix64(uint64(seed)<<32+uint64(i))>>40)/(1<<24) - 0.5
}

// goldenStart returns the first parameter [rows,cols].
func goldenStart(rows, cols int) []float32 {
	p := make([]float32, rows*cols)
	for i := range p {
		p[i] = 8 * goldenUniform(999, i)
	}
	return p
}

// goldenGrad returns the gradient [rows,cols] of step 1, 2, …
func goldenGrad(step, rows, cols int) []float32 {
	g := make([]float32, rows*cols)
	scale := int(splitmix64(uint64(step))%13) - 8
	for i := range g {
		if splitmix64(uint64(step)<<32+uint64(i))%16 != 0 {
			g[i] = float32(math.Ldexp(float64(goldenUniform(step, i)), scale+(i/cols)%5-2))
		}
	}
	return g
}

func openGolden(t *testing.T, name string) *models.Checkpoint {
	t.Helper()
	c, err := models.OpenSafetensors("testdata/golden/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func goldenFloats(t *testing.T, c *models.Checkpoint, name string) []float32 {
	t.Helper()
	v, err := c.Float32(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// goldenWords returns a tensor of 8-byte elements.
func goldenWords(t *testing.T, c *models.Checkpoint, name string) []uint64 {
	t.Helper()
	b, err := c.Bytes(name)
	if err != nil {
		t.Fatal(err)
	}
	words := make([]uint64, len(b)/8)
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return words
}

// wantClose fails if got is further from want than tolerance times want's
// largest absolute value.
func wantClose(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	var diff, largest float64
	for i := range want {
		diff = max(diff, math.Abs(float64(got[i])-float64(want[i])))
		largest = max(largest, math.Abs(float64(want[i])))
	}
	if !(diff <= tolerance*largest) {
		t.Errorf("%s: off by %.3g of the largest value %.3g, allowed %.3g", what, diff/largest, largest, tolerance)
	}
}

func TestGoldenGenerator(t *testing.T) {
	c := openGolden(t, "adafactor")
	wantClose(t, "first parameter", goldenStart(20, 64), goldenFloats(t, c, "initial.20x64"), 0)
	grads := goldenFloats(t, c, "gradients.20x64")
	for i, step := range []int{1, 2, 50} {
		wantClose(t, fmt.Sprint("gradient of step ", step), goldenGrad(step, 20, 64), grads[i*20*64:(i+1)*20*64], 0)
	}
}

// followGolden runs the optimiser over the run's 50 steps, comparing the
// parameters wherever they were kept, and returns the moments at the end.
func followGolden(t *testing.T, c *models.Checkpoint, run string, rule grad.Rule, rate float64, rows, cols int) map[string][]float32 {
	t.Helper()
	o, err := grad.NewOptimizer(rule, grad.Param{Name: "p", Shape: []int64{1, int64(rows), int64(cols)}})
	if err != nil {
		t.Fatal(err)
	}
	kept, params := goldenWords(t, c, run+".steps"), goldenFloats(t, c, run+".params")
	p := goldenStart(rows, cols)
	for step := 1; step <= 50; step++ {
		if _, err := o.Update(0, rate, [][]float32{p}, [][]float32{goldenGrad(step, rows, cols)}); err != nil {
			t.Fatal(err)
		}
		if len(kept) > 0 && kept[0] == uint64(step) {
			wantClose(t, fmt.Sprintf("parameters after step %d", step), p, params[:len(p)], 1e-6)
			kept, params = kept[1:], params[len(p):]
		}
	}
	if len(kept) > 0 {
		t.Errorf("steps %v were never compared", kept)
	}
	moments := map[string][]float32{}
	for _, m := range o.State().Tensors {
		moments[m.Name] = m.Data
	}
	return moments
}

func TestAdafactorFollowsReference(t *testing.T) {
	c := openGolden(t, "adafactor")
	for _, run := range []struct {
		rows, cols int
		first      int64
		row, col   string // the reference calls the shorter axis the row
	}{
		{20, 64, 0, "", ""},
		{20, 64, 1_100_000, "", ""},
		{130, 136, 0, "v_row", "v_col"},
		{130, 136, 1_100_000, "v_row", "v_col"},
		{136, 130, 0, "v_col", "v_row"},
	} {
		name := fmt.Sprintf("%dx%d.from%d", run.rows, run.cols, run.first)
		t.Run(name, func(t *testing.T) {
			rule := grad.DefaultAdafactor()
			rule.InitialStep = run.first
			moments := followGolden(t, c, name, rule, 0.3, run.rows, run.cols)
			if run.row == "" {
				wantClose(t, "v", moments["p.v"], goldenFloats(t, c, name+".v"), 1e-6)
			} else {
				wantClose(t, "row means", moments["p.v_row"], goldenFloats(t, c, name+"."+run.row), 1e-6)
				wantClose(t, "column means", moments["p.v_col"], goldenFloats(t, c, name+"."+run.col), 1e-6)
			}
		})
	}
}

func TestAdamWFollowsPyTorch(t *testing.T) {
	c := openGolden(t, "adamw")
	for _, run := range []string{"decay", "plain"} {
		t.Run(run, func(t *testing.T) {
			var s [5]float64 // rate, beta1, beta2, epsilon, weight decay
			for i, w := range goldenWords(t, c, run+".settings") {
				s[i] = math.Float64frombits(w)
			}
			rule := grad.AdamW{Beta1: s[1], Beta2: s[2], Epsilon: s[3], WeightDecay: s[4]}
			moments := followGolden(t, c, run, rule, s[0], 20, 64)
			wantClose(t, "m", moments["p.m"], goldenFloats(t, c, run+".exp_avg"), 1e-6)
			wantClose(t, "v", moments["p.v"], goldenFloats(t, c, run+".exp_avg_sq"), 1e-6)
		})
	}
}
