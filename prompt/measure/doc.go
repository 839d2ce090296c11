// Package measure says where the time of a training step goes and what a
// reduced precision costs.
//
// Call [Profile] with the settings of a run for the budget of its step: by kind
// of work, by operator and by block of the model. It makes real steps, those of
// [tune.Stepper], under ONNX Runtime's profiler. [ParseTrace] and [NewBudget]
// are its halves, for traces that are there already.
//
// Call [Precision] for the error that reduced products put into each layer's
// activations and gradients, and [Accuracy] for what is left of it after
// tuning, over several seeds. [Compare] does the first for any two graphs of
// one model.
package measure
