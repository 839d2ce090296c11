package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"softprompt/export"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// trainCmd tunes a prompt.
type trainCmd struct {
	Out         string `placeholder:"DIR" help:"Folder of the run, which must not exist yet."`
	Resume      string `placeholder:"DIR" help:"Go on with the run in this folder."`
	Config      string `placeholder:"FILE" help:"YAML file of settings, the keys as the flags with _ for -; flags go before it."`
	PrintConfig bool   `help:"Print every setting and where its value came from, and train nothing."`
	DryRun      bool   `help:"Print memory, steps and an estimate of the time, and train nothing."`
	Seeds       int    `placeholder:"N" help:"Tune N prompts at once, of the seeds from --seed on."`

	settingFlags
}

// Help has the examples.
func (trainCmd) Help() string {
	return `The result is a run folder: the best prompt, its settings, a log and a plot.
Ctrl+C saves and stops; --resume goes on.

    softprompt train --model tiny --task sst2 --out runs/sst2
    softprompt train --model ./my-t5 --task sst2 --length 20 --steps 2000 --out runs/mine
    softprompt train --model ./my-t5 --task my-task.yaml --out runs/own
    softprompt train --config runs/sst2/config.yaml --seed 2 --out runs/sst2-2
    softprompt train --resume runs/sst2

Several tasks, several seeds or both share one pass through the model. Each run has a
folder of its own below --out.

    softprompt train --task boolq,cb,rte --data ./superglue --out runs/three
    softprompt train --task sst2 --seeds 5 --out runs/sst2`
}

// Run tunes, resumes, plans or prints.
func (c *trainCmd) Run(ctx context.Context, ui *tui) error {
	if c.Resume != "" {
		if flags := c.given(); len(flags) > 0 || c.Out != "" || c.Config != "" || c.PrintConfig || c.DryRun || c.Seeds != 0 {
			return usagef("--resume goes on with the settings of the run and takes no others")
		}
		return c.resume(ctx, ui)
	}
	runs, err := c.runs()
	if err != nil {
		return err
	}
	first := runs[0]
	if len(runs) > 1 && (c.PrintConfig || c.DryRun) {
		return usagef("--print-config and --dry-run are of one run, and this is %d: name one task and no --seeds", len(runs))
	}
	switch {
	case c.PrintConfig:
		return c.printConfig(ctx, ui, first.Settings, first.from)
	case c.DryRun:
		return c.plan(ctx, ui, first.Settings)
	case c.Out == "":
		return usagef("missing --out, the folder to put the run in")
	}
	named := make([]tune.Named, len(runs))
	for i, r := range runs {
		named[i] = r.Named
	}
	return c.train(ctx, ui, named, c.Out, func(rt *ort.Runtime, opts tune.Options) ([]*tune.Result, error) {
		if len(named) > 1 {
			return tune.TrainAll(ctx, rt, named, opts)
		}
		r, err := tune.Train(ctx, rt, first.Settings, opts)
		return []*tune.Result{r}, err
	})
}

// resume goes on with the run, or the runs, of a folder.
func (c *trainCmd) resume(ctx context.Context, ui *tui) error {
	folders, err := tune.RunFolders(c.Resume)
	if err != nil {
		return err
	}
	var named []tune.Named
	for _, dir := range folders {
		s, err := tune.ReadSettings(dir)
		if err != nil {
			return err
		}
		named = append(named, tune.Named{Name: filepath.Base(dir), Settings: s})
	}
	return c.train(ctx, ui, named, c.Resume, func(rt *ort.Runtime, opts tune.Options) ([]*tune.Result, error) {
		return tune.ResumeAll(ctx, rt, opts)
	})
}

// train runs to the end and shows it.
func (c *trainCmd) train(ctx context.Context, ui *tui, runs []tune.Named, dir string, run func(*ort.Runtime, tune.Options) ([]*tune.Result, error)) error {
	rt, err := ort.Open(ort.Options{Log: ui.log})
	if err != nil {
		return err
	}
	s := runs[0].Settings
	threads := s.Threads
	if threads == 0 {
		threads = ort.Threads()
	}
	what := plural(s.Length, "vector")
	if s.Method != prompt.MethodPromptTuning {
		what = s.Method
	}
	ui.note("tuning %s for %s on %s: %d steps, device %s, %d threads, ONNX Runtime %s",
		what, s.Model, subjects(runs), s.Steps, s.Device, threads, rt.Version())
	if s.Choose == tune.ChooseValidation {
		ui.note("the best step is chosen on the validation rows that are reported, as the paper does: the score will flatter")
	}
	told := false
	planned := func(s tune.Settings) {
		if !told {
			ui.note("%s", passes(s, threads))
		}
		told = true
	}
	report, done := ui.progress(s)
	results, err := run(rt, tune.Options{Out: dir, Report: report, Planned: planned, Log: ui.log, Open: ui.opening(), Version: programVersion()})
	done()
	if err != nil {
		return resumable(err, dir)
	}
	for _, r := range results {
		if err := drawCurve(filepath.Dir(r.Prompt)); err != nil {
			ui.warn("the prompt is tuned, but its curve could not be drawn: %v", err)
		}
		if w := r.Validation.Warning; w != "" {
			ui.warn("%s%s", prefix(r.Name), w)
		}
		if advice := advise(r); advice != "" {
			ui.note("%s%s", prefix(r.Name), advice)
		}
	}
	switch {
	case len(results) > 1 && ui.json:
		return ui.emit(results)
	case len(results) > 1:
		ui.showResults(results, dir)
	case ui.json:
		return ui.emit(results[0])
	default:
		ui.showResult(results[0], dir)
	}
	return nil
}

// passes says how a batch goes through the model.
func passes(s tune.Settings, threads int) string {
	workers, precision := max(1, s.Workers), s.Precision
	if precision == "" { // of a run that knew no other
		precision = export.FP32
	}
	return fmt.Sprintf("micro-batches of %s, %s of %s, %s", plural(min(s.MicroBatch, s.Batch), "row"),
		plural(workers, "worker"), plural(max(1, threads/workers), "thread"), precision)
}

// plural puts a number before a noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(int64(n)) + " " + noun + "s"
}

// advise says what to try after a run whose prompt is of no use.
func advise(r *tune.Result) string {
	v, s := r.Validation, r.Settings
	if v.Tuned > max(v.Majority, v.NoPrompt) {
		return ""
	}
	try := "more --steps or another --learning-rate"
	if s.Verbalizer != "" {
		if s.Loss != "labels" {
			try = "--loss labels, which small models learn from far sooner, or " + try
		}
		try = fmt.Sprintf("label words that %s uses itself (--verbalizer, now %q), %s", s.Model, s.Verbalizer, try)
	}
	return "the prompt is no better than none: try " + try
}

// showResult prints the table at the end of a run.
func (ui *tui) showResult(r *tune.Result, dir string) {
	v := r.Validation
	number := func(x float64) string { return fmt.Sprintf("%.1f", x) }
	ui.numbers(
		[]string{fmt.Sprintf("%s %s, %s rows", r.Settings.Task, v.Split, count(int64(v.Examples))), v.Metric},
		[]string{"  always the commonest label", number(v.Majority)},
		[]string{"  no prompt", number(v.NoPrompt)},
		[]string{"  prompt before tuning", number(v.Initial)},
		[]string{"  prompt after tuning", number(v.Tuned)},
	)
	ui.printf("\n")
	ui.table(
		cells("tuned", fmt.Sprintf("%s parameters, %s frozen", count(r.Tuned), count(r.Frozen))),
		cells("best step", fmt.Sprintf("%d of %d, %.1f on %s", r.BestStep, r.Steps, r.HeldOut, chosenOn(r.Settings))),
		cells("time", about(time.Duration(r.Seconds*float64(time.Second)))),
		cells("prompt", r.Prompt),
		cells("curve", filepath.Join(dir, tune.CurveFile)),
	)
	ui.printf("\nnext\n  softprompt eval %[1]s\n  softprompt %[2]s\n  softprompt inspect %[1]s\n", shellWord(dir), use(r.Settings, dir))
}

// use is the call that answers a text: by label words where there are any, of
// an object where the input has several fields.
func use(s tune.Settings, dir string) string {
	command, text := "predict", `"a text of your own"`
	if s.Verbalizer == "" {
		command = "generate"
	}
	if fields, err := tasks.Template(s.Template).Fields(); err == nil && len(fields) > 1 {
		text = `'{"` + strings.Join(fields, `": "…", "`) + `": "…"}'`
	}
	return command + " " + shellWord(dir) + " " + text
}

// chosenOn says what a run's best step was chosen on.
func chosenOn(s tune.Settings) string {
	if s.Choose == tune.ChooseValidation {
		return "the validation rows reported here, as the paper does"
	}
	return "training rows held out"
}

// printConfig prints the settings, with what is known already of those that
// the trainer finds. Nothing is downloaded for it: what cannot be had is left
// at 0.
func (c *trainCmd) printConfig(ctx context.Context, ui *tui, s tune.Settings, from map[string]origin) error {
	opening := ui.opening()
	if opening.Hub != nil {
		opening.Hub.Offline = true
	}
	rt, err := ort.Open(ort.Options{Log: ui.log})
	if err == nil {
		var filled tune.Settings
		var known origin
		if filled, known, err = tune.Foresee(ctx, rt, s, tune.Options{Log: ui.log, Open: opening}); err == nil && known != "" {
			for key, was := range map[string]int{"micro_batch": s.MicroBatch, "workers": s.Workers} {
				if was == 0 {
					from[key] = known
				}
			}
			s = filled
		}
	}
	if err != nil {
		ui.log.Debug("it is not known how a batch would go through the model", "error", err)
	}
	return ui.showSettings(s, from)
}

// showSettings prints settings as YAML that --config takes, with the origin of
// each behind it.
func (ui *tui) showSettings(s tune.Settings, from map[string]origin) error {
	data, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Errorf("printing the settings: %w", err)
	}
	if ui.json {
		type setting struct {
			Value any    `json:"value"`
			From  origin `json:"from"`
		}
		values, out := map[string]any{}, map[string]setting{}
		if err := yaml.Unmarshal(data, &values); err != nil {
			return fmt.Errorf("printing the settings: %w", err)
		}
		for k, v := range values {
			out[k] = setting{v, from[k]}
		}
		return ui.emit(out)
	}
	var rows []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		key, _, _ := strings.Cut(line, ":")
		rows = append(rows, cells(line, "# "+from[key]))
	}
	ui.table(rows...)
	return nil
}

// plan prints what a run would take.
func (c *trainCmd) plan(ctx context.Context, ui *tui, s tune.Settings) error {
	rt, err := ort.Open(ort.Options{Log: ui.log})
	if err != nil {
		return err
	}
	p, err := tune.NewPlan(ctx, rt, s, tune.Options{Log: ui.log, Open: ui.opening()})
	if err != nil {
		return err
	}
	if ui.json {
		return ui.emit(p)
	}
	ui.table(
		cells("rows", fmt.Sprintf("%s to train on, %s held out, %s to report on", count(int64(p.TrainRows)), count(int64(p.HeldOut)), count(int64(p.Validation)))),
		cells("inputs", fmt.Sprintf("%.1f tokens on average, %d at most; %s cut at %d", p.MeanIn, p.LongestIn, count(int64(p.CutRows)), s.MaxInput)),
		cells("steps", fmt.Sprintf("%s of %d rows, each row %.1f times", count(int64(s.Steps)), s.Batch, p.Epochs)),
		cells("method", methodText(p.Settings)),
		cells("parameters", fmt.Sprintf("%s tuned, %s frozen", count(p.Tuned), count(p.Frozen))),
		cells("memory", sizeText(p.Memory)),
		cells("a step", about(p.StepTime)),
		cells("all of it", "about "+about(p.TotalTime)),
	)
	return nil
}

// methodText names a method with its sizes.
func methodText(s tune.Settings) string {
	text := s.Method
	info, err := prompt.LookupMethod(s.Method)
	if err != nil {
		return text
	}
	for _, size := range []struct {
		key   string
		value int
	}{{"length", s.Length}, {"rank", s.Rank}, {"hidden", s.Hidden}} {
		if slices.Contains(info.Uses, size.key) && size.value > 0 {
			text += fmt.Sprintf(", %s %d", size.key, size.value)
		}
	}
	return text
}

// shellWord quotes a word for a shell where it must be.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+=@%,:", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
