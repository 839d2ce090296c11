package onnx_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// Shapes are inferred with symbols, through the arithmetic that exporters
// compute them with.
func ExampleInferShapes() {
	m := onnx.NewModel("example")
	g := m.Graph
	g.Inputs = []onnx.Value{{Name: "x", Type: onnx.Float32, Shape: onnx.Shape{onnx.Sym("B"), onnx.Sym("S"), onnx.Size(8)}}}
	g.Initializers = []*onnx.Tensor{onnx.Longs("heads", []int64{3}, []int64{-1, 2, 4}), onnx.Longs("first", []int64{1}, []int64{0})}
	g.Nodes = []*onnx.Node{
		{Op: "Shape", Inputs: []string{"x"}, Outputs: []string{"sizes"}},
		{Op: "Gather", Inputs: []string{"sizes", "first"}, Outputs: []string{"batch"}},
		{Op: "Concat", Inputs: []string{"batch", "heads"}, Outputs: []string{"target"}, Attrs: []onnx.Attr{onnx.IntAttr("axis", 0)}},
		{Op: "Reshape", Inputs: []string{"x", "target"}, Outputs: []string{"y"}},
	}
	g.Outputs = []onnx.Value{{Name: "y"}}
	if err := onnx.InferShapes(m); err != nil {
		log.Fatal(err)
	}
	fmt.Println(g.Values)
	fmt.Println(g.Outputs)
	// Output:
	// [sizes int64[3] batch int64[1] target int64[4]]
	// [y float32[B,S,2,4]]
}

// Elems tells what is known of the elements of a vector of sizes, which is
// what a gradient needs to undo a concatenation.
func ExampleBuilder_Elems() {
	b := onnx.NewBuilder(onnx.NewModel("example"))
	p := b.Input("prompt", onnx.Float32, onnx.Sym("B"), onnx.Sym("P"), onnx.Size(4))
	x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Sym("S"), onnx.Size(4))
	sizes := b.ShapeOf(b.Concat(1, p, x))
	fmt.Println(b.Elems(sizes), b.Elems(b.Sub(sizes, b.ShapeOf(x))))
	fmt.Println(b.Elems(b.Ints(2, -1)), b.Elems(x) == nil)
	// Output:
	// [B P+S 4] [0 P 0]
	// [2 ?] true
}

func ExampleBroadcast() {
	scores := onnx.Shape{onnx.Sym("B"), onnx.Size(12), onnx.Sym("S"), onnx.Sym("S")}
	mask := onnx.Shape{onnx.Sym("B"), onnx.Size(1), onnx.Size(1), onnx.Sym("S")}
	fmt.Println(onnx.Broadcast(scores, mask))
	fmt.Println(onnx.Broadcast(scores, onnx.Fixed(8, 1, 1)))
	// Output:
	// [B,12,S,S] <nil>
	// […] shapes [[B,12,S,S] [8,1,1]] do not broadcast: sizes of axis -3 clash
}

func ExampleDim_Minus() {
	total := onnx.Sym("P+S")
	fmt.Println(total.Minus(onnx.Sym("P")), total.Minus(onnx.Size(1)), onnx.Size(5).Minus(onnx.Size(2)))
	// Output:
	// S ? 3
}

func ExampleDim_Over() {
	joined := onnx.Sym("B").Times(onnx.Sym("S")).Times(onnx.Size(64))
	fmt.Println(joined, joined.Over(onnx.Size(8)), joined.Over(onnx.Sym("B")), joined.Over(onnx.Size(7)))
	// Output:
	// 64*B*S 8*B*S 64*S ?
}

// What ONNX asks of every model is checked, and the error says where.
func ExampleValidate() {
	b := onnx.NewBuilder(onnx.NewModel("example"))
	b.Block = "decoder.1"
	b.Output("y", b.FastGelu(b.Input("x", onnx.Float32, onnx.Sym("B"))))
	delete(b.Model.Opset, onnx.Microsoft)
	err := onnx.Validate(b.Model)
	fmt.Println(err)
	fmt.Println("hint:", hint.Of(err))
	// Output:
	// node 0 of 2 (com.microsoft.FastGelu node decoder.1/FastGelu): the model has no operator set for domain "com.microsoft"
	// hint: add the domain to the model's opset imports
}

// Weights can lie in a file of their own, which Load maps into memory.
func ExampleModel_SaveExternal() {
	dir, err := os.MkdirTemp("", "onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	b := onnx.NewBuilder(onnx.NewModel("example"))
	table := b.Weight(onnx.Floats("table", []int64{100, 8}, make([]float32, 800)))
	b.Output("y", b.Gather(table, b.Input("ids", onnx.Int64, onnx.Sym("B")), 0))
	if err := b.Err(); err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "m.onnx")
	if err := b.Model.SaveExternal(path); err != nil {
		log.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range files {
		fmt.Println(filepath.Base(f))
	}

	m, err := onnx.Load(context.Background(), path)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	fmt.Println(m.Graph.Initializers[0].Name, len(m.Graph.Initializers[0].Data), "bytes")
	// Output:
	// m.onnx
	// m.onnx_data
	// table 3200 bytes
}

// A model read from memory leaves tensors of other files where they are.
func ExampleUnmarshal() {
	m := onnx.NewModel("example")
	m.Graph.Initializers = []*onnx.Tensor{{
		Name: "w", Type: onnx.Float32, Dims: []int64{2}, External: &onnx.External{Location: "weights.bin", Offset: 4},
	}}
	data, err := m.Marshal()
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "weights.bin"), []byte("head\x00\x00\x80\x3f\x00\x00\x00\x40"), 0o600); err != nil {
		log.Fatal(err)
	}

	m, err = onnx.Unmarshal(data, dir)
	if err != nil {
		log.Fatal(err)
	}
	w := m.Graph.Initializers[0]
	w.Data, err = w.Read(m.Dir)
	w.External = nil
	fmt.Println(w.Shape(), err)
	fmt.Println(w.Float32s())
	// Output:
	// [2] <nil>
	// [1 2] <nil>
}
