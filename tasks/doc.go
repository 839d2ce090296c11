// Package tasks knows the tasks that prompts are tuned for: where their
// files lie, how a row becomes input text, which words stand for its classes,
// and how predictions are scored.
//
// Call [Open] first; it finds a [Task] in the table, or reads the YAML file
// that defines one, which [Definition] describes. [Task.Load] reads a
// split into [Example] values, whose Input and Target are text for the
// tokenizer. [Task.With] changes the template or the label words of a run.
//
// A class is predicted in one of two ways. By rank classification the model
// gives every label word a log-probability, [Verbalizer.Scores] joins them per
// class and [Best] picks one. By generation the model writes text and
// [Task.Postprocess] says which class it names, if any. [Evaluate] turns
// examples and predictions into a [Report] either way, by the task's metrics.
//
// Everything random here ([Permutation], [HoldOut], [PairedBootstrap]) is a
// pure function of a seed and a counter, the same on every platform.
//
// A task is a value in a table and a file format is a [Reader]; a new task is
// a new value, and only a new format needs new code.
package tasks
