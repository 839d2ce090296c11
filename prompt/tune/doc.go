// Package tune runs prompt tuning: it puts a frozen model, a task and a method
// together, trains, evaluates and predicts.
//
// Call [Train] with [Settings], for which [Defaults] gives the paper's and
// [DefaultsOf] those of another method, to make a run folder; [Resume] goes on
// with one that stopped. [TrainAll] tunes several prompts in one pass.
// [NewPredictor] puts a prompt to use. [NewPlan] says beforehand what a run
// would take, and [Stepper] makes its steps alone, for package measure.
//
// Below them lies [Frozen], a model with a session for each of its graphs, and
// [Bank], K prompts side by side: [Frozen.Step] computes a loss and gradients,
// [Frozen.Score] rates candidate answers, [Frozen.Generate] writes text. The
// trainer, the evaluation and a server all use these three, so that no two of
// them can disagree about how a prompt meets a model.
//
// A run is a pure function of its settings: the order of the rows, dropout and
// the initial prompt are drawn by counters from the seed. So a run that was
// killed goes on from its last saved state to the same bytes.
package tune
