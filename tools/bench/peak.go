package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"time"

	"softprompt/onnx"
	"softprompt/onnx/ort"
)

// peak is the highest rate of float32 matrix products that a library reached.
type peak struct {
	GFLOPS  float64  `json:"gflops"`
	Shape   [3]int64 `json:"shape"` // of the product [m,k] × [k,n]
	Library string   `json:"library"`
}

// peakShapes are products [m,k] × [k,n] that fill the arithmetic units: those
// of T5's layers at some thousand positions, and two large squares.
var peakShapes = [][3]int64{
	{2048, 768, 3072},
	{3648, 512, 1024},
	{3648, 768, 2048},
	{2048, 2048, 2048},
	{4096, 4096, 4096},
}

// peakRepeats is how often each product runs: the best counts, since a peak is
// what the machine can do when nothing else disturbs it.
const peakRepeats = 8

// peakMain measures ONNX Runtime's matrix products in a process of their own.
func peakMain(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("peak", flag.ContinueOnError)
	threads := flags.Int("threads", 2, "threads of one operator")
	if err := flags.Parse(args); err != nil {
		return err
	}
	rt, err := ort.Open(ort.Options{})
	if err != nil {
		return err
	}
	best := peak{Library: "onnxruntime " + rt.Version()}
	for _, shape := range peakShapes {
		seconds, err := timeProduct(ctx, rt, shape, *threads)
		if err != nil {
			return err
		}
		if g := 2 * float64(shape[0]*shape[1]*shape[2]) / seconds / 1e9; g > best.GFLOPS {
			best.GFLOPS, best.Shape = g, shape
		}
	}
	return json.NewEncoder(out).Encode(best)
}

// timeProduct returns the shortest time of one product whose right side is a
// weight, packed beforehand as the kernels like it best.
func timeProduct(ctx context.Context, rt *ort.Runtime, shape [3]int64, threads int) (float64, error) {
	m, k, n := shape[0], shape[1], shape[2]
	b := onnx.NewBuilder(onnx.NewModel("peak"))
	x := b.Input("x", onnx.Float32, onnx.Size(m), onnx.Size(k))
	w := b.Weight(onnx.Floats("w", []int64{k, n}, ramp(k*n)))
	b.Output("y", b.MatMul(x, w))
	if err := b.Err(); err != nil {
		return 0, err
	}
	data, err := b.Model.Marshal()
	if err != nil {
		return 0, err
	}
	s, err := rt.NewSession(ctx, data, ort.Config{Threads: threads, Prepack: true})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	left, err := ort.FromFloats(ramp(m*k), m, k)
	if err != nil {
		return 0, err
	}
	right, err := ort.NewTensor(onnx.Float32, m, n)
	if err != nil {
		return 0, err
	}
	var best float64
	for i := range 1 + peakRepeats { // the first warms up
		began := time.Now()
		if err := s.Run(ctx, map[string]*ort.Tensor{"x": left}, map[string]*ort.Tensor{"y": right}); err != nil {
			return 0, err
		}
		if t := time.Since(began).Seconds(); i == 1 || i > 1 && t < best {
			best = t
		}
	}
	return best, nil
}

// ramp returns n numbers between −1 and 1.
func ramp(n int64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i%17)/8 - 1
	}
	return v
}
