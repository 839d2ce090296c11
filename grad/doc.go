// Package grad derives gradients of ONNX graphs as ONNX graphs, and turns
// gradients into updates.
//
// Call [Reverse] to get, for a model with a loss, a model that also computes
// the loss' gradient in any of its inputs, weights or interior values:
//
//	m, err := grad.Reverse(model, "loss", []string{"prompt"})
//
// The result has the outputs of the given model and "grad.prompt". It holds
// nothing but ordinary operators, so whatever ONNX Runtime can run, on any
// execution provider, can be trained on. Then hand the gradients of each step
// to an [Optimizer] with the rule [Adafactor] or [AdamW].
//
// # How it works
//
// Reverse-mode differentiation walks the nodes backwards from the loss. For a
// node Y = f(X₀, X₁, …) it holds the gradient g of the loss in Y and makes
// that in each Xᵢ, the vector-Jacobian product (∂Y/∂Xᵢ)ᵀg; where a value is
// used more than once, what its uses give is summed. The table of
// derivatives.go says how for each operator, one formula an input. Around the
// walk:
//
//   - lift brings an older model to opset 18, so that the table knows one form
//     of each operator (lift.go).
//   - decompose writes operators that are short for many, such as attention,
//     as those many, whose interior values the gradient needs anyway
//     (decompose.go).
//   - save makes nodes hand out what they compute on the way and the formulas
//     read again, such as a norm's 1/σ (save.go).
//   - share makes equal nodes one (share.go), so that formulas can be written
//     as they stand in a book: x̂ of a norm may occur in those of the input,
//     the scale and the bias.
//
// No gradient is made that no trainable needs: formulas run only for inputs
// which a trainable reaches (activity.go), so a frozen weight costs nothing,
// and neither does what lies before the first trainable.
package grad
