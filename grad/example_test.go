package grad_test

import (
	"fmt"
	"log"

	"softprompt/grad"
	"softprompt/onnx"
)

// A loss of prompt vectors [P,2] behind a frozen weight: what is added is what
// the prompt needs, and reads the weight as it lies.
func ExampleReverse() {
	b := onnx.NewBuilder(onnx.NewModel("example"))
	prompt := b.Input("prompt", onnx.Float32, onnx.Sym("P"), onnx.Size(2))
	w := b.Weight(onnx.Floats("w", []int64{3, 2}, []float32{1, 2, 3, 4, 5, 6}))
	b.Block = "head"
	scores := b.FusedMatMul(prompt, w, false, true, 1)
	b.Block = ""
	b.Output("loss", b.ReduceSum(b.Tanh(scores), false))
	if err := b.Err(); err != nil {
		log.Fatal(err)
	}
	m, err := grad.Reverse(b.Model, "loss", []string{prompt})
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range m.Graph.Nodes[len(b.Model.Graph.Nodes):] {
		fmt.Println(n.Op, n.Inputs, "→", n.Outputs[0])
	}
	fmt.Println(m.Graph.Outputs)
	// Output:
	// Shape [Tanh] → grad/Shape
	// Expand [const grad/Shape] → grad/Expand
	// Mul [Tanh Tanh] → grad/Mul
	// Mul [grad/Expand grad/Mul] → grad/Mul.1
	// Sub [grad/Expand grad/Mul.1] → grad/Sub
	// MatMul [grad/Sub w] → grad.prompt
	// [loss float32[] grad.prompt float32[P,2]]
}
