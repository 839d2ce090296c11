package onnx_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"softprompt/onnx"
)

// A graph is written as plain expressions and checked once.
func ExampleBuilder() {
	b := onnx.NewBuilder(onnx.NewModel("example"))
	x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Sym("S"), onnx.Size(4))
	p := b.Input("prompt", onnx.Float32, onnx.Sym("B"), onnx.Sym("P"), onnx.Size(4))
	w := b.Weight(onnx.Floats("w", []int64{4, 2}, []float32{1, 2, 3, 4, 5, 6, 7, 8}))
	y := b.Relu(b.MatMul(b.Concat(1, p, x), w))
	b.Output("y", y)
	if err := b.Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(b.Model.Graph.Outputs[0])
	for _, n := range b.Model.Graph.Nodes {
		fmt.Println(n, b.Shape(n.Outputs[0]))
	}
	// Output:
	// y float32[B,P+S,2]
	// Concat node Concat [B,P+S,4]
	// MatMul node MatMul [B,P+S,2]
	// Relu node Relu [B,P+S,2]
	// Identity node Identity [B,P+S,2]
}

// What cannot be fails where it is made.
func ExampleBuilder_Err() {
	b := onnx.NewBuilder(onnx.NewModel("example"))
	b.Block = "encoder.3"
	x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(3))
	w := b.Weight(onnx.Floats("w", []int64{4, 1}, []float32{1, 2, 3, 4}))
	b.Output("y", b.MatMul(x, w))
	fmt.Println(b.Err())
	// Output:
	// MatMul node encoder.3/MatMul of (x float32[B,3], w float32[4,1]): inner sizes 3 and 4 differ
}

func ExampleModel_Save() {
	dir, err := os.MkdirTemp("", "onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	b := onnx.NewBuilder(onnx.NewModel("example"))
	b.Output("y", b.Scale(b.Input("x", onnx.Float32, onnx.Size(2)), 3))
	if err := b.Err(); err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "scale.onnx")
	if err := b.Model.Save(path); err != nil {
		log.Fatal(err)
	}

	m, err := onnx.Load(context.Background(), path)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	fmt.Println(m.Graph.Nodes[0], m.Graph.Inputs)
	// Output:
	// Mul node Mul [x float32[2]]
}

func ExampleDim_Plus() {
	length := onnx.Sym("P").Plus(onnx.Sym("S"))
	fmt.Println(length, length.Plus(onnx.Size(1)), length.Times(onnx.Size(2)), length.Minus(onnx.Sym("P")))
	// Output:
	// P+S P+S+1 2*P+2*S S
}
