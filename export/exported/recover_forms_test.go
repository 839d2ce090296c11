package exported

import (
	"encoding/binary"
	"math"

	"softprompt/models"
	"softprompt/onnx"
)

// Ways to write a product with a weight.

func transposed(a *author, x, name string) string {
	return a.MatMul(x, a.Transpose(a.weight(name), 1, 0))
}

func fusedMatMul(a *author, x, name string) string {
	return a.FusedMatMul(x, a.weight(name), false, true, 1)
}

func gemm(a *author, x, name string) string {
	shape := a.shape(name)
	y := a.Gemm(a.ReshapeTo(x, -1, shape[1]), a.weight(name), false, true)
	return a.Reshape(y, a.Concat(0, a.SizesOf(x, 0, 2), a.Ints(shape[0])))
}

func half(a *author, x, name string) string {
	values, in, out := a.turnedData(name)
	data := []byte{}
	for _, v := range values {
		data = binary.LittleEndian.AppendUint16(data, models.Float32ToFloat16(v))
	}
	w := a.keep(name, &onnx.Tensor{Type: onnx.Float16, Dims: []int64{in, out}, Data: data})
	return a.MatMul(x, a.Cast(w, onnx.Float32))
}

// quantise returns a weight as bytes [in,out] around the zero point 128, with
// one scale or one a column, of numbers between −1 and 1.
func (a *author) quantise(name string, byChannel bool) (w, scale, zero string) {
	values, in, out := a.turnedData(name)
	scales, zeros := []float32{1. / 127}, []byte{128}
	if byChannel {
		scales, zeros = make([]float32, out), make([]byte, out)
		for i := range scales {
			scales[i], zeros[i] = 1./127-float32(i)*1e-7, byte(127+i%2)
		}
	}
	data := make([]byte, len(values))
	for i, v := range values {
		c := i % int(out) % len(scales)
		data[i] = byte(max(0, min(255, int(math.Round(float64(v)/float64(scales[c])))+int(zeros[c]))))
	}
	dims := []int64{}
	if byChannel {
		dims = []int64{out}
	}
	w = a.keep(name, &onnx.Tensor{Type: onnx.Uint8, Dims: []int64{in, out}, Data: data})
	scale = a.keep(name+" scale", onnx.Floats("", dims, scales))
	zero = a.keep(name+" zero", &onnx.Tensor{Type: onnx.Uint8, Dims: dims, Data: zeros})
	return w, scale, zero
}

func dequantised(byChannel bool) func(a *author, x, name string) string {
	return func(a *author, x, name string) string {
		w, scale, zero := a.quantise(name, byChannel)
		return a.MatMul(x, a.Op("DequantizeLinear", []string{w, scale, zero}, onnx.IntAttr("axis", 1)))
	}
}

func integerMatMul(a *author, x, name string) string {
	w, scale, zero := a.quantise(name, false)
	q := a.OpN("DynamicQuantizeLinear", 3, []string{x})
	y := a.Op("MatMulInteger", []string{q[0], w, q[2], zero})
	return a.Mul(a.Cast(y, onnx.Float32), a.Mul(q[1], scale))
}

func dynamicMatMul(a *author, x, name string) string {
	w, scale, zero := a.quantise(name, true)
	return a.Op("com.microsoft.DynamicQuantizeMatMul", []string{x, w, scale, zero})
}

func integerToFloat(a *author, x, name string) string {
	w, scale, zero := a.quantise(name, true)
	q := a.OpN("DynamicQuantizeLinear", 3, []string{x})
	return a.Op("com.microsoft.MatMulIntegerToFloat", []string{q[0], w, q[1], scale, q[2], zero})
}

// nBits writes blocks of 16 numbers a row, the last one filled up.
func nBits(bits int64, zeroPoints bool) func(a *author, x, name string) string {
	const block = 16
	return func(a *author, x, name string) string {
		shape := a.shape(name)
		rows, cols := shape[0], shape[1]
		values := pseudo(name, rows*cols)
		blocks := (cols + block - 1) / block
		perByte := 8 / bits
		data, scales, zeros := make([]byte, rows*blocks*block/perByte), make([]float32, rows*blocks), make([]byte, rows*((blocks*bits+7)/8))
		middle := float64(int(1) << (bits - 1))
		for i := range scales {
			scales[i] = float32(1 / (middle - 1))
		}
		for i := range zeros {
			zeros[i] = 0x88
			if bits == 8 {
				zeros[i] = 128
			}
		}
		for r := range rows {
			for c := range cols {
				q := byte(math.Round(float64(values[r*cols+c])*(middle-1)) + middle)
				at := (r*blocks*block + c/block*block + c%block)
				if bits == 4 {
					q <<= 4 * (at % 2)
				}
				data[at/perByte] |= q
			}
		}
		inputs := []string{
			x,
			a.keep(name, &onnx.Tensor{Type: onnx.Uint8, Dims: []int64{rows, blocks, block / perByte}, Data: data}),
			a.keep(name+" scale", onnx.Floats("", []int64{rows, blocks}, scales)),
		}
		if zeroPoints {
			inputs = append(inputs, a.keep(name+" zero", &onnx.Tensor{Type: onnx.Uint8, Dims: []int64{int64(len(zeros))}, Data: zeros}))
		}
		return a.Op("com.microsoft.MatMulNBits", inputs,
			onnx.IntAttr("K", cols), onnx.IntAttr("N", rows), onnx.IntAttr("bits", bits), onnx.IntAttr("block_size", block))
	}
}

// Ways to write a norm.

func reciprocalNorm(a *author, x, scale string) string {
	mean := a.ReduceMean(a.Mul(x, x), true, -1)
	root := a.Sqrt(a.Add(a.FloatOf(a.config.LayerNormEpsilon, onnx.Float32), mean))
	return a.Mul(a.Mul(a.Reciprocal(root), x), a.Identity(a.weight(scale)))
}

func scaledFirstNorm(a *author, x, scale string) string {
	mean := a.ReduceMean(a.Mul(x, x), true, -1)
	return a.Div(a.Mul(x, a.weight(scale)), a.Pow(a.Add(mean, a.FloatOf(a.config.LayerNormEpsilon, onnx.Float32)), a.FloatOf(0.5, onnx.Float32)))
}

func simplifiedNorm(a *author, x, scale string) string {
	y, _ := a.RMSNorm(x, a.weight(scale), a.config.LayerNormEpsilon)
	return y
}

func doubleNorm(a *author, x, scale string) string {
	wide := a.Op("Cast", []string{x}, onnx.IntAttr("to", int64(onnx.Float64)))
	f := func(v float64) string { return a.FloatOf(v, onnx.Float64) }
	mean := a.ReduceMean(a.Pow(wide, f(2)), true, -1)
	y := a.Div(wide, a.Sqrt(a.Add(mean, f(a.config.LayerNormEpsilon))))
	return a.Mul(a.weight(scale), a.Op("Cast", []string{y}, onnx.IntAttr("to", int64(onnx.Float32))))
}

// activationForms writes each activation as PyTorch's exporter does.
var activationForms = map[string]func(a *author, x string) string{
	"relu":       func(a *author, x string) string { return a.Relu(x) },
	"relu2":      func(a *author, x string) string { return a.Pow(a.Relu(x), a.float(2)) },
	"relu6":      func(a *author, x string) string { return a.Op("Clip", []string{x, a.float(0), a.float(6)}) },
	"leaky_relu": func(a *author, x string) string { return a.Op("LeakyRelu", []string{x}, onnx.FloatAttr("alpha", 0.01)) },

	"gelu": erfGelu,
	"gelu_10": func(a *author, x string) string {
		return a.Op("Clip", []string{erfGelu(a, x), a.float(-10), a.float(10)})
	},
	"gelu_new":   func(a *author, x string) string { return a.FastGelu(x) },
	"quick_gelu": func(a *author, x string) string { return a.Mul(x, a.Sigmoid(a.Mul(x, a.float(1.702)))) },

	"silu":      func(a *author, x string) string { return a.Mul(x, a.Sigmoid(x)) },
	"hardswish": func(a *author, x string) string { return a.Op("HardSwish", []string{x}) },
	"mish":      func(a *author, x string) string { return a.Mul(x, a.Tanh(a.Op("Softplus", []string{x}))) },

	"sigmoid": func(a *author, x string) string { return a.Sigmoid(x) },
	"tanh":    func(a *author, x string) string { return a.Tanh(x) },
	"laplace": func(a *author, x string) string {
		return a.Mul(a.Add(a.Erf(a.Div(a.Sub(x, a.float(0.707107)), a.float(0.282095*math.Sqrt2))), a.float(1)), a.float(0.5))
	},
	"sqrtsoftplus": func(a *author, x string) string { return a.Sqrt(a.Op("Softplus", []string{x})) },
	"linear":       func(a *author, x string) string { return a.Identity(x) },
}

func (a *author) float(v float64) string { return a.FloatOf(v, onnx.Float32) }

func erfGelu(a *author, x string) string {
	return a.Mul(a.Mul(x, a.Add(a.Erf(a.Div(x, a.float(math.Sqrt2))), a.float(1))), a.float(0.5))
}
