package export

import (
	"fmt"
	"strings"

	"softprompt/onnx/hint"
)

// Precision says in what numbers the products of a graph are computed. It is a
// pass over the finished graph, gradient and all; inputs, outputs, the residual
// stream, norms, softmax and loss stay float32.
type Precision string

// The precisions.
const (
	FP32 Precision = "fp32"
	INT8 Precision = "int8" // frozen weights a channel, activations a row: the processor's integer units
	FP16 Precision = "fp16" // for cards
	BF16 Precision = "bf16" // for cards
)

var precisions = []string{string(FP32), string(INT8), string(FP16), string(BF16)}

// ParsePrecision reads fp32, int8, fp16 or bf16; "" is fp32.
func ParsePrecision(s string) (Precision, error) {
	if s == "" {
		return FP32, nil
	}
	for _, p := range precisions {
		if s == p {
			return Precision(s), nil
		}
	}
	return "", hint.Wrap(fmt.Errorf("there is no precision %q", s), "precisions: %s", strings.Join(precisions, ", "))
}
