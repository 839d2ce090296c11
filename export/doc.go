// Package export writes T5 as ONNX graphs.
//
// Call [Train], [Score], [Encode] or [Decode] with a [Spec]: a configuration,
// the weights and a method. All four come from one description of T5, which
// reads top to bottom as the model computes: stack.go (embeddings, layers),
// attention.go, cross.go, position.go, head.go (logits and loss). What differs
// is what is asked of it:
//
//	graph   inputs                                         outputs
//	Train   input_ids, attention_mask, prompt_index,       loss, example_loss, token_hits,
//	        the method's, labels, label_weights, dropout   grad.<input> for each trainable
//	        (or candidates, right, row_weights)
//	Score   the same up to the method's, candidate_ids     log_probability
//	Encode  the same up to the method's                    cross.<i>.key, cross.<i>.value, encoder_mask
//	Decode  input_ids, cross.…, encoder_mask, past.…,      logits, present.…
//	        past_mask, beam_index
//
// Sizes in shapes: B rows, S input tokens, P prompt length, K prompts, E = P+S,
// T target tokens, C candidates of a row, N label sequences (B, or B·C with
// candidates), L cached positions, d d_model, h heads, V vocabulary.
//
// Weights stay where they are: a graph refers to them as external data in
// their own files, in Hugging Face's [out,in] layout, and no graph transposes
// one. The gradient is not written here: [Train] hands the forward graph to
// package grad. Passes over the finished graph follow: products of integers
// (int8.go), then operators of the standard domain alone (lower.go).
package export
