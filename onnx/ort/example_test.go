package ort_test

import (
	"context"
	"fmt"
	"log"

	"softprompt/onnx"
	"softprompt/onnx/ort"
)

// A model is built, made into a session, and run twice with the same tensors.
func Example() {
	b := onnx.NewBuilder(onnx.NewModel("squares"))
	x := b.Input("x", onnx.Float32, onnx.Sym("N"))
	b.Output("y", b.Mul(x, x))
	if err := b.Err(); err != nil {
		log.Fatal(err)
	}
	model, err := b.Model.Marshal()
	if err != nil {
		log.Fatal(err)
	}

	rt, err := ort.Open(ort.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	s, err := rt.NewSession(ctx, model, ort.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	in, err := ort.FromFloats([]float32{1, 2, 3}, 3)
	if err != nil {
		log.Fatal(err)
	}
	out, err := ort.NewTensor(onnx.Float32, 3)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		err := s.Run(ctx, map[string]*ort.Tensor{"x": in}, map[string]*ort.Tensor{"y": out})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.Inputs()[0].Shape, out.Float32s())
		in.Float32s()[0] = 5
	}
	// Output:
	// [N] [1 4 9]
	// [N] [25 4 9]
}
