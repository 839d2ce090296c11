// Package exported reads T5 models that were exported to ONNX, as Optimum and
// Transformers.js write them: encoder_model.onnx with decoder_model.onnx or
// decoder_model_merged.onnx.
//
// Call [RecoverFiles] with an opened model. It finds the weights of a T5 in the
// graphs, so that package export's own graphs can be used with them; package
// export calls it and, where that cannot be done, [Load].
//
// Recovery goes by structure, from the output of a graph back to its token ids
// (recover_walk.go). Where exporters differ in how they write something, such
// as a norm or an activation, it does not compare nodes but computes a few
// numbers with them (recover_eval.go). The files are called recover*.go.
//
// Load keeps the graphs. What it returns is the same model after
// surgery: an encoder that takes embeddings in place of token ids, so that a
// prompt can be laid before them, and a decoder without a cache. Both hold one
// form of each operator (opset 18 or newer), float32 throughout, and constants
// where exporters leave arithmetic on shapes; neither holds a graph in a node.
// The steps, in order, one a file:
//
//	part.go    a file is opened, and its inputs and outputs say what it is
//	branch.go  of a merged decoder the branch without a cache is kept
//	widen.go   float16 becomes float32
//	unfuse.go  operators that only GPUs have are written in others
//	embed.go   the lookup of embeddings is cut out
//	fold.go    what is constant or does nothing is folded away
//	check.go   what is left is held against what is wanted
//
// A model that is anything else is refused by name: an operator that is not
// known, a branch that is taken at run time, lengths that are fixed or read
// from the ids.
package exported
