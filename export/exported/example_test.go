package exported_test

import (
	"context"
	"fmt"
	"log"

	"softprompt/export/exported"
	"softprompt/models"
)

// A model that Optimum exported is cut down to an encoder of embeddings and a
// decoder without a cache.
func ExampleLoad() {
	ctx := context.Background()
	m, err := models.Open(ctx, "../testdata/exported/t5-merged-opset11", models.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	t5, err := exported.Load(ctx, m)
	if err != nil {
		log.Fatal(err)
	}
	defer t5.Close()
	for _, v := range append(t5.Encoder.Graph.Inputs, t5.Encoder.Graph.Outputs...) {
		fmt.Println(v)
	}
	for _, line := range t5.Notes {
		fmt.Println(line)
	}
	// Output:
	// inputs_embeds float32[B,E,16]
	// attention_mask int64[B,E]
	// last_hidden_state float32[B,E,16]
	// encoder_model.onnx: opset 11, inputs input_ids, attention_mask
	// encoder_model.onnx: brought from opset 11 to 18
	// encoder_model.onnx: Gather node /embed_tokens/Gather in embed_tokens.weight [96 16] became the input inputs_embeds
	// encoder_model.onnx: folded 196 nodes to 111
	// decoder_model_merged.onnx: opset 11, inputs encoder_attention_mask, input_ids, encoder_hidden_states, past_key_values.0.decoder.key, past_key_values.0.decoder.value, past_key_values.0.encoder.key, 6 more
	// decoder_model_merged.onnx: kept the else_branch of If node optimum::if, which reads no cache: 356 nodes
	// decoder_model_merged.onnx: left out the outputs besides logits: 8
	// decoder_model_merged.onnx: brought from opset 11 to 18
	// decoder_model_merged.onnx: folded 353 nodes to 193
	// decoder_model_merged.onnx: weights that encoder_model.onnx has too, and that are kept once: 1
}
