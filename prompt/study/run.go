package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"softprompt/models"
	"softprompt/onnx/atomicfile"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// OutcomeFile in a variant's folder is its outcome: with it, the variant is
// done.
const OutcomeFile = "outcome.json"

// Options says where a study goes and who is told.
type Options struct {
	Select
	Out     string
	Begin   func(v Variant, done bool) // before each variant
	Report  func(v Variant, e tune.Event)
	Log     *slog.Logger
	Open    models.Options
	Version string
}

// Outcome is what became of a variant.
type Outcome struct {
	Name      string            `json:"name"`
	Choice    map[string]string `json:"choice,omitempty"`
	Runs      []*tune.Result    `json:"runs"` // one a seed
	Mean      float64           `json:"mean"` // of the reported scores
	Deviation float64           `json:"deviation"`
	Transfer  []Transferred     `json:"transfer,omitempty"`
	Ensemble  *tune.Ensembled   `json:"ensemble,omitempty"`
}

// Transferred is how the prompts of a variant score on another task.
type Transferred struct {
	Target
	Scores    []float64 `json:"scores"` // one a seed
	Mean      float64   `json:"mean"`
	Deviation float64   `json:"deviation"`
}

// Run makes the runs of a study that are not made yet, seeds in one pass, and
// scores them. If ctx ends, what was reached is kept and the error wraps
// [tune.ErrStopped] where a run was under way; another call goes on.
func Run(ctx context.Context, rt *ort.Runtime, f *File, opts Options) ([]Outcome, error) {
	variants, err := f.Variants(opts.Select)
	if err != nil {
		return nil, err
	}
	plan := f.plan(opts.Full)
	var out []Outcome
	for _, v := range variants {
		dir := filepath.Join(opts.Out, v.Name)
		o, err := finished(dir)
		if opts.Begin != nil && err == nil {
			opts.Begin(v, o != nil)
		}
		if err == nil && o == nil {
			o, err = plan.make(ctx, rt, v, dir, opts)
		}
		if err != nil {
			return out, fmt.Errorf("study %s, %s: %w", f.Name, v.Name, err)
		}
		out = append(out, *o)
	}
	return out, nil
}

// finished returns the outcome of a variant, nil where it has none yet.
func finished(dir string) (*Outcome, error) {
	path := filepath.Join(dir, OutcomeFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var o Outcome
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return &o, nil
}

// make makes a variant's runs, or goes on with them, and scores them.
func (p Plan) make(ctx context.Context, rt *ort.Runtime, v Variant, dir string, opts Options) (*Outcome, error) {
	atomicfile.Sweep(filepath.Join(dir, OutcomeFile)) // of a study that was killed while it wrote
	results, err := train(ctx, rt, v, dir, opts)
	if err != nil {
		return nil, err
	}
	o := &Outcome{Name: v.Name, Choice: v.Choice, Runs: results}
	var scores []float64
	var dirs []string
	for i, r := range results {
		scores = append(scores, r.Validation.Tuned)
		dirs = append(dirs, filepath.Join(dir, v.Runs[i].Name))
	}
	o.Mean, o.Deviation = tasks.Spread(scores)
	use := tune.PredictOptions{Open: opts.Open}
	from := tasks.LoadOptions{Data: v.Runs[0].Settings.Data}
	for _, t := range p.Transfer {
		x, err := transfer(ctx, rt, t, dirs, from, use)
		if err != nil {
			return nil, err
		}
		o.Transfer = append(o.Transfer, *x)
	}
	if p.Ensemble {
		e, err := tune.NewEnsemble(ctx, rt, dirs, use)
		if err != nil {
			return nil, err
		}
		defer e.Close()
		if o.Ensemble, err = e.ScoreSplit(ctx, tasks.Validation, from); err != nil {
			return nil, err
		}
	}
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return nil, err
	}
	return o, atomicfile.Write(filepath.Join(dir, OutcomeFile), append(data, '\n'))
}

// train makes the runs of a variant: in one pass, but for methods of which a
// pass has one.
func train(ctx context.Context, rt *ort.Runtime, v Variant, dir string, opts Options) ([]*tune.Result, error) {
	told := tune.Options{Log: opts.Log, Open: opts.Open, Version: opts.Version}
	if opts.Report != nil {
		told.Report = func(e tune.Event) { opts.Report(v, e) }
	}
	if prompt.CheckShared(v.Runs[0].Settings.Method, len(v.Runs)) == nil {
		told.Out = dir
		return startOrGoOn(dir, func() ([]*tune.Result, error) { return tune.TrainAll(ctx, rt, v.Runs, told) },
			func() ([]*tune.Result, error) { return tune.ResumeAll(ctx, rt, told) })
	}
	var all []*tune.Result
	for _, r := range v.Runs {
		told.Out = filepath.Join(dir, r.Name)
		if opts.Report != nil {
			told.Report = func(e tune.Event) { e.Run = r.Name; opts.Report(v, e) }
		}
		one, err := startOrGoOn(told.Out, func() ([]*tune.Result, error) {
			res, err := tune.Train(ctx, rt, r.Settings, told)
			return []*tune.Result{res}, err
		}, func() ([]*tune.Result, error) { return tune.ResumeAll(ctx, rt, told) })
		if err != nil {
			return nil, err
		}
		one[0].Name = r.Name
		all = append(all, one...)
	}
	return all, nil
}

// startOrGoOn starts runs, or goes on with those whose settings a folder has. A
// start that was killed may have left a folder without any.
func startOrGoOn(dir string, start, goOn func() ([]*tune.Result, error)) ([]*tune.Result, error) {
	for _, file := range []string{tune.ConfigFile, tune.RunsFile} {
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			return goOn()
		}
	}
	return start()
}

// transfer scores prompts on another task.
func transfer(ctx context.Context, rt *ort.Runtime, t Target, dirs []string, from tasks.LoadOptions, use tune.PredictOptions) (*Transferred, error) {
	x := &Transferred{Target: Target{t.Task, string(t.split())}}
	use.Task, use.Data = t.Task, from.Data
	for _, dir := range dirs {
		p, err := tune.NewPredictor(ctx, rt, dir, use)
		if err != nil {
			return nil, err
		}
		ev, err := p.ScoreSplit(ctx, t.split(), from, false)
		p.Close()
		if err != nil {
			return nil, fmt.Errorf("scoring %s on %s %s: %w", dir, t.Task, t.split(), err)
		}
		x.Scores = append(x.Scores, ev.Score)
	}
	x.Mean, x.Deviation = tasks.Spread(x.Scores)
	return x, nil
}
