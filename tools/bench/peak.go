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

// peak is the highest rate of matrix products that a library reached, in 10⁹
// operations a second.
type peak struct {
	GFLOPS  float64  `json:"gflops"`
	Shape   [3]int64 `json:"shape"` // of the product [m,k] × [k,n]
	Library string   `json:"library"`
	Int8    bool     `json:"int8,omitempty"` // of 8-bit integers, not of float32
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

// peakMain measures ONNX Runtime's matrix products in a process of their own
// and prints the peak of each type.
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
	var peaks []peak
	for _, int8 := range []bool{false, true} {
		best := peak{Library: "onnxruntime " + rt.Version(), Int8: int8}
		for _, shape := range peakShapes {
			seconds, err := timeProduct(ctx, rt, shape, *threads, int8)
			if err != nil {
				return err
			}
			if g := 2 * float64(shape[0]*shape[1]*shape[2]) / seconds / 1e9; g > best.GFLOPS {
				best.GFLOPS, best.Shape = g, shape
			}
		}
		peaks = append(peaks, best)
	}
	return json.NewEncoder(out).Encode(peaks)
}

// timeProduct returns the shortest time of one product whose right side is a
// weight, packed beforehand as the kernels like it best.
func timeProduct(ctx context.Context, rt *ort.Runtime, shape [3]int64, threads int, int8 bool) (float64, error) {
	graph, in, out, err := productGraph(shape, int8)
	if err != nil {
		return 0, err
	}
	data, err := graph.Marshal()
	if err != nil {
		return 0, err
	}
	s, err := rt.NewSession(ctx, data, ort.Config{Threads: threads, Prepack: true})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	var best float64
	for i := range 1 + peakRepeats { // the first warms up
		began := time.Now()
		if err := s.Run(ctx, map[string]*ort.Tensor{"x": in}, map[string]*ort.Tensor{"y": out}); err != nil {
			return 0, err
		}
		if t := time.Since(began).Seconds(); i == 1 || i > 1 && t < best {
			best = t
		}
	}
	return best, nil
}

// productGraph is a product x [m,k] × weight [k,n] = y [m,n] with tensors to
// run it on: of float32, or of unsigned by signed bytes into 32-bit sums, as
// quantised activations and weights are multiplied.
func productGraph(shape [3]int64, int8 bool) (graph *onnx.Model, in, out *ort.Tensor, err error) {
	m, k, n := shape[0], shape[1], shape[2]
	b := onnx.NewBuilder(onnx.NewModel("peak"))
	if int8 {
		x := b.Input("x", onnx.Uint8, onnx.Size(m), onnx.Size(k))
		w := b.Weight(&onnx.Tensor{Name: "w", Type: onnx.Int8, Dims: []int64{k, n}, Data: byteRamp(k * n)})
		zero := b.Const(&onnx.Tensor{Type: onnx.Uint8, Data: []byte{128}})
		b.Output("y", b.Op("MatMulInteger", []string{x, w, zero}))
	} else {
		x := b.Input("x", onnx.Float32, onnx.Size(m), onnx.Size(k))
		w := b.Weight(onnx.Floats("w", []int64{k, n}, ramp(k*n)))
		b.Output("y", b.MatMul(x, w))
	}
	if err := b.Err(); err != nil {
		return nil, nil, nil, err
	}
	if int8 {
		in, err = ort.FromONNX(&onnx.Tensor{Name: "x", Type: onnx.Uint8, Dims: []int64{m, k}, Data: byteRamp(m * k)})
	} else {
		in, err = ort.FromFloats(ramp(m*k), m, k)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	out, err = ort.NewTensor(b.Model.Graph.Outputs[0].Type, m, n)
	return b.Model, in, out, err
}

// ramp returns n numbers between −1 and 1.
func ramp(n int64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i%17)/8 - 1
	}
	return v
}

// byteRamp returns n bytes of all values.
func byteRamp(n int64) []byte {
	v := make([]byte, n)
	for i := range v {
		v[i] = byte(i % 251)
	}
	return v
}
