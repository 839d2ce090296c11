package exported_test

import (
	"context"
	"fmt"

	"softprompt/export/exported"
	"softprompt/models"
)

// The weights of an exported model are found by what its graphs compute.
func ExampleRecoverFiles() {
	ctx := context.Background()
	m, err := models.Open(ctx, "../testdata/exported/t5-v1_1-optimized-t5", models.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	found, err := exported.RecoverFiles(ctx, m)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer found.Close()
	for _, note := range found.Notes {
		fmt.Println(note)
	}
	// Output:
	// encoder_model.onnx: opset 18, written by onnxruntime.transformers, nodes: 25
	// decoder_model.onnx: opset 18, written by onnxruntime.transformers, nodes: 400
	// encoder: 21 weights in layers 0 to 1 found by structure (6 float32, 15 float32 [in,out]); names agree for 14 and say nothing of 7
	// decoder: 32 weights in layers 0 to 1 found by structure (8 float32, 24 float32 [in,out]); names agree for 31 and say nothing of 1
}
