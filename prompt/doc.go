// Package prompt holds soft prompts as plain values: what they are, where they
// start, how they lie in files.
//
// Call [LoadFile] to read a prompt from a run folder, a .safetensors or a .npy
// file, and [Save] to write one:
//
//	p, err := prompt.LoadFile("runs/sst2")
//	err = p.CheckModel(fingerprint, config, tokenizer)
//	rows, length, width, err := p.Matrix() // [P,d]
//
// [ParseInit] reads how a prompt is to be initialised, as --init has it, and
// [Neighbours] says which words a tuned prompt's vectors lie nearest to. A
// [Method] describes how a prompt acts on the model; [Methods] lists those that
// there are, [NewMethod] makes one for a model, and [PromptTuning] is the one of
// Lester et al. (2021).
//
// Everything random comes from [Rand], which is keyed by a seed and a path of
// numbers and has no hidden state, so that a run can be replayed to the bit.
package prompt
