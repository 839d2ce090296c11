package tune

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/tasks"
)

// Ensemble is several prompts of one task on one frozen model: every input
// goes through it once for each, in the same batches, and the prompts vote
// (Lester et al. 2021, section 6).
type Ensemble struct {
	*Predictor // of the first prompt, whose task and label words all take
	K          int
}

// Ensembled is how an ensemble and its members score.
type Ensembled struct {
	Vote    tasks.Report   `json:"vote"`
	Members []tasks.Report `json:"members"` // in the order of the prompts
	Mean    float64        `json:"mean"`    // of the members' scores
	Best    float64        `json:"best"`    // of the members
}

// NewEnsemble loads prompts of one method for one model. Their lengths may
// differ. They answer the first one's task, in its template and label words.
func NewEnsemble(ctx context.Context, rt *ort.Runtime, paths []string, opts PredictOptions) (*Ensemble, error) {
	if len(paths) == 0 {
		return nil, errors.New("an ensemble needs prompts")
	}
	p, err := NewPredictor(ctx, rt, paths[0], opts)
	if err != nil {
		return nil, err
	}
	e := &Ensemble{p, len(paths)}
	if err := e.join(paths); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// join puts all prompts into the bank.
func (e *Ensemble) join(paths []string) error {
	if err := prompt.CheckShared(e.Prompt.Method, len(paths)); err != nil {
		return hint.Wrap(err, "score them one by one: softprompt eval %s", paths[0])
	}
	fp, err := e.Model.Fingerprint()
	if err != nil {
		return err
	}
	all := []*prompt.Prompt{e.Prompt}
	for _, path := range paths[1:] {
		p, err := prompt.LoadFile(path)
		if err != nil {
			return err
		}
		if p.Method != e.Prompt.Method {
			return hint.Wrap(fmt.Errorf("prompt %s is of method %s, %s of %s", path, p.Method, paths[0], e.Prompt.Method),
				"the prompts of an ensemble share one pass, and so a method")
		}
		if a, b := p.Sizes(), e.Prompt.Sizes(); a.Placement != b.Placement || a.Visibility != b.Visibility {
			return hint.Wrap(fmt.Errorf("prompts %s and %s differ in where they are laid or in what they see", path, paths[0]),
				"the prompts of an ensemble share one pass, and so their placement and visibility")
		}
		if err := p.CheckModel(fp, e.Model.Config, e.Tokenizer.Hash()); err != nil {
			return fmt.Errorf("prompt %s: %w", path, err)
		}
		all = append(all, p)
	}
	bank, err := NewBank(e.Method, all...)
	if err != nil {
		return fmt.Errorf("putting %d prompts together: %w", len(all), err)
	}
	e.bank.Close()
	e.bank = bank
	return nil
}

// ScoreSplit scores a split by each prompt and by their vote.
func (e *Ensemble) ScoreSplit(ctx context.Context, split tasks.Split, from tasks.LoadOptions) (*Ensembled, error) {
	all, err := e.Task.Load(ctx, split, from)
	if err != nil {
		return nil, err
	}
	rows, err := e.encodeFor(ctx, e.judge, all)
	if err != nil {
		return nil, err
	}
	var replicas []Row // the rows once for each prompt
	for k := range e.K {
		replicas = append(replicas, ofPrompt(k, rows)...)
	}
	answers, err := e.Evaluate(ctx, e.bank, e.judge, replicas)
	if err != nil {
		return nil, err
	}
	out := &Ensembled{}
	n := len(rows)
	for k := range e.K {
		r, err := tasks.Evaluate(e.Task, all, answers.Predictions[k*n:(k+1)*n])
		if err != nil {
			return nil, err
		}
		out.Members = append(out.Members, r)
		out.Mean += r.Score / float64(e.K)
		out.Best = max(out.Best, r.Score)
	}
	votes := make([]tasks.Prediction, n)
	for i := range votes {
		var cast []tasks.Prediction
		for k := range e.K {
			cast = append(cast, answers.Predictions[k*n+i])
		}
		votes[i] = vote(cast)
	}
	out.Vote, err = tasks.Evaluate(e.Task, all, votes)
	return out, err
}

// vote returns the answer that most prompts gave, of equals the one of the
// first prompt that gave any of them. What names no class and says nothing
// counts only where no prompt did better.
func vote(cast []tasks.Prediction) tasks.Prediction {
	counts := map[tasks.Prediction]int{}
	says := func(p tasks.Prediction) bool { return p.Class >= 0 || p.Text != "" }
	// Of a class, the words may differ.
	key := func(p tasks.Prediction) tasks.Prediction {
		if p.Class >= 0 {
			p.Text = ""
		}
		return p
	}
	legal := slices.ContainsFunc(cast, func(p tasks.Prediction) bool { return p.Class >= 0 })
	best, most := cast[0], 0
	for _, p := range cast {
		if says(p) && (p.Class >= 0 || !legal) {
			counts[key(p)]++
		}
	}
	for _, p := range cast {
		if n := counts[key(p)]; n > most {
			best, most = p, n
		}
	}
	return best
}
