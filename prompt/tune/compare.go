package tune

import (
	"context"

	"softprompt/prompt"
	"softprompt/tasks"
)

// Comparison is the same split before and after tuning.
type Comparison struct {
	Split    tasks.Split `json:"split"`
	Examples int         `json:"examples"`
	Metric   string      `json:"metric"`
	Majority float64     `json:"majority"`  // always the commonest class
	NoPrompt float64     `json:"no_prompt"` // the frozen model, label words ranked
	Initial  float64     `json:"initial"`   // with the prompt it started from
	Tuned    float64     `json:"tuned"`
	Chosen   bool        `json:"chosen_on_it,omitempty"` // the best step was chosen on this split, as in the paper
	Warning  string      `json:"warning,omitempty"`
}

// untuned scores the reported split of each run by the model without a prompt,
// once for runs whose rows are the same.
func (g *group) untuned(ctx context.Context) ([]*Evaluation, error) {
	plain := g.frozen.Plain()
	defer plain.Close()
	none, err := NewBank(nil)
	if err != nil {
		return nil, err
	}
	type asked struct {
		task, data, template, verbalizer string
		maxInput, maxTarget              int
	}
	known := map[asked]*Evaluation{}
	var out []*Evaluation
	for _, t := range g.runs {
		s := t.settings
		key := asked{s.Task, s.Data, s.Template, s.Verbalizer, s.MaxInput, s.MaxTarget}
		if known[key] == nil {
			if known[key], err = plain.Evaluate(ctx, none, t.judge, t.validation); err != nil {
				return nil, err
			}
		}
		out = append(out, known[key])
	}
	return out, nil
}

// compare scores the reported split with the prompt that the run started from
// and with the best, beside what the model does without one, and writes the
// best one's answers and the last line of the metrics.
func (t *trainer) compare(ctx context.Context, before *Evaluation) (*Comparison, error) {
	c := &Comparison{
		Split: tasks.Validation, Examples: before.Examples, Metric: t.task.ScoreName(), Majority: before.Majority,
		NoPrompt: before.Score, Chosen: t.settings.Choose == ChooseValidation,
	}
	var last *Evaluation
	for _, p := range []struct {
		tensors []prompt.Tensor
		score   *float64
	}{{t.start.Tensors, &c.Initial}, {t.bestTensors, &c.Tuned}} {
		bank, err := NewBank(t.frozen.Method, &prompt.Prompt{Method: t.settings.Method, Tensors: p.tensors})
		if err != nil {
			return nil, err
		}
		ev, err := t.frozen.Evaluate(ctx, bank, t.judge, t.validation)
		bank.Close()
		if err != nil {
			return nil, err
		}
		*p.score, c.Warning = ev.Score, ev.Warning
		last = ev
	}
	if err := writePredictions(t.path(PredictionsFile), t.task, t.validation, last.Predictions); err != nil {
		return nil, err
	}
	if err := t.logs.metrics.add(finalLine{t.Best.Step, *c}); err != nil {
		return nil, err
	}
	return c, t.logs.sync()
}
