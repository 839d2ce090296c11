// Package ort runs ONNX models on ONNX Runtime.
//
// Call [Open] first: it finds and loads the runtime's library, once in a
// process. [Runtime.NewSession] makes a model ready to run on a [Device], and
// [Session.Run] runs it with tensors that the caller keeps from step to step:
//
//	rt, err := ort.Open(ort.Options{Log: log})
//	s, err := rt.NewSession(ctx, model, ort.Config{})
//	x, err := ort.FromFloats([]float32{1, 2, 3, 4}, 2, 2)
//	out := map[string]*ort.Tensor{"y": nil}
//	err = s.Run(ctx, map[string]*ort.Tensor{"x": x}, out)
//	fmt.Println(out["y"].Float32s())
//
// Inputs are checked against the model's own description before the runtime
// sees them, so an error names the input, what it is and what was wanted; what
// the runtime says itself is turned into one line that names the node, with
// advice where there is some.
//
// This package is the only one that knows the Go wrapper of ONNX Runtime
// (github.com/yalue/onnxruntime_go). What the wrapper lacks is in native.c.
package ort
