package export_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"softprompt/export"
	"softprompt/models"
)

// A model that exists as exported ONNX alone opens like any other.
func ExampleOpen() {
	cache, err := os.MkdirTemp("", "softprompt")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(cache)
	m, err := export.Open(context.Background(), "./testdata/exported/t5-hub", models.Options{CacheDir: cache})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	for _, line := range m.Explain() {
		if !strings.Contains(line, cache) {
			fmt.Println(line)
		}
	}
	// Output:
	// exported ONNX: onnx/encoder_model.onnx, onnx/decoder_model_merged.onnx
	// route: weights recovered, so that softprompt's own graphs are used with them
	// onnx/encoder_model.onnx: opset 18, written by pytorch, nodes: 129
	// onnx/decoder_model_merged.onnx: opset 18, written by optimum-onnx, nodes: 1
	// onnx/decoder_model_merged.onnx: kept the else_branch of If node optimum::if, which reads no cache: 282 nodes
	// onnx/decoder_model_merged.onnx: left out 8 outputs besides logits
	// encoder: 19 weights in layers 0 to 1 found by structure (7 float32, 12 float32 [in,out]); every name agrees
	// decoder: 30 weights in layers 0 to 1 found by structure (10 float32, 20 float32 [in,out]); every name agrees
	// head: tied to the embedding, of states scaled by d_model^-0.5
}
