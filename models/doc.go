// Package models resolves a model reference to configuration, weights and
// tokenizer. Call [Open] with `tiny` (embedded in the binary), a folder in
// Hugging Face's layout (config.json, weights, tokenizer) or a name on the
// Hugging Face hub such as google/t5-base-lm-adapt, which is downloaded once:
//
//	m, err := models.Open(ctx, "tiny", models.Options{})
//	defer m.Close()
//	tok, err := m.Tokenizer()
//	weights, err := m.Float32File(ctx)
//
// A [Model] has been checked when Open returns it: the configuration makes
// sense and every weight that a T5 of that configuration needs is there with
// the right shape. Weights are mapped, never read as a whole, so opening a
// model of many gigabytes costs milliseconds and no memory.
//
// Files from outside are hostile until checked: sizes are held against the
// file, offsets against each other, shard names against their folder. A
// pytorch_model.bin is a program for Python; [OpenPyTorch] takes tensors and
// dictionaries from it and runs nothing. Every error names the file and what
// was expected of it.
//
// A [Fingerprint] tells models apart, not files: a prompt keeps the one of the
// model it was tuned for, and the same model in another precision passes.
package models
