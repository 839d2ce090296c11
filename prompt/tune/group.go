package tune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"softprompt/prompt"
)

// group is runs that share one frozen model: at every step the batches of all
// of them go through it together, and each moves its own prompt by its own
// optimiser, rate and clipping. What a row contributes depends on its prompt
// alone, so a run ends as it would have alone but for the rounding of sums;
// of a method with tensors that tasks share, families of them move together.
// They are at the same step, or over. A run alone is a group of one.
type group struct {
	*shared
	dir  string // where the state lies
	runs []*trainer
	bank *Bank
	// families are the runs that share tensors, where the method has such.
	families [][]int
}

// newGroup puts runs together at their states.
func newGroup(all []*setup, states []*state, dir string, names []string, opts Options) (*group, error) {
	g := &group{shared: all[0].shared, dir: dir, families: families(all)}
	var prompts []*prompt.Prompt
	for _, st := range states {
		prompts = append(prompts, &prompt.Prompt{Method: all[0].settings.Method, Tensors: st.current})
	}
	var err error
	if g.bank, err = NewBank(g.frozen.Method, prompts...); err != nil {
		return nil, err
	}
	for k, u := range all {
		t, err := u.newTrainer(states[k], g.bank, k, folderOf(dir, names, k), opts)
		if err != nil {
			g.Close()
			return nil, err
		}
		if len(names) > 0 {
			t.name = names[k]
		}
		g.runs = append(g.runs, t)
	}
	return g, nil
}

// Close frees the prompts and the logs, but not the model.
func (g *group) Close() {
	g.bank.Close()
	for _, t := range g.runs {
		if t.logs != nil {
			t.logs.close()
		}
	}
}

// train runs the loop to its end. The best prompts are in bestTensors then, and
// in the run folders.
func (g *group) train(ctx context.Context) (err error) {
	defer func() {
		if err == nil || !errors.Is(err, ctx.Err()) {
			return
		}
		if save := g.save(); save != nil {
			err = save
			return
		}
		err = fmt.Errorf("%w after step %d", ErrStopped, g.step())
	}()
	for {
		looked := false
		for _, t := range g.runs {
			if t.due() {
				if err := t.evaluate(ctx); err != nil {
					return err
				}
				looked = true
			}
		}
		if looked {
			if err := g.save(); err != nil {
				return err
			}
		}
		if !slices.ContainsFunc(g.runs, (*trainer).goesOn) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := g.update(ctx); err != nil {
			return err
		}
		for _, t := range g.runs {
			if err := t.logIfDue(); err != nil {
				return err
			}
		}
	}
}

// step is how far the runs have come.
func (g *group) step() int {
	furthest := 0
	for _, t := range g.runs {
		furthest = max(furthest, t.Step)
	}
	return furthest
}

// update makes one step of every run that goes on.
func (g *group) update(ctx context.Context) error {
	var rows []Row
	batches, setups := make([][]Row, len(g.runs)), make([]*setup, len(g.runs))
	step := g.step()
	for k, t := range g.runs {
		setups[k] = t.setup
		if !t.goesOn() {
			continue
		}
		batch, err := t.sequence.at(t.Step)
		if err != nil {
			return err
		}
		batches[k] = batch
		rows = append(rows, ofPrompt(k, batch)...)
		step = t.Step
	}
	// Rows of one length share a micro-batch, whichever run they are of.
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(rows[a].IDs), len(rows[b].IDs)) })
	sorted := make([]Row, len(rows))
	for i, at := range order {
		sorted[i] = rows[at]
	}
	res, err := g.frozen.Batch(ctx, g.bank, sorted, optionsOf(setups, batches, step))
	if err != nil {
		return err
	}
	shares := make([]sums, len(g.runs))
	for i, r := range sorted {
		s := &shares[r.Prompt]
		s.Loss += float64(res.ExampleLoss[i])
		s.Hits += res.ExampleHits[i]
		s.Tokens += g.frozen.tokens(r)
		s.Rows++
	}
	for _, family := range g.families {
		g.bank.addShared(family)
	}
	for k, t := range g.runs {
		if batches[k] == nil {
			continue
		}
		if err := t.update(shares[k]); err != nil {
			return err
		}
	}
	for _, family := range g.families {
		if first := slices.IndexFunc(family, func(k int) bool { return batches[k] != nil }); first >= 0 {
			g.bank.follow(family, family[first])
		}
	}
	return nil
}

// ofPrompt returns the rows as those of the bank's k-th prompt.
func ofPrompt(k int, rows []Row) []Row {
	if k == 0 {
		return rows
	}
	out := slices.Clone(rows)
	for i := range out {
		out[i].Prompt = k
	}
	return out
}

// save writes the state of all runs. The logs are synced first: the state says
// how long they are.
func (g *group) save() error {
	var states []*state
	for _, t := range g.runs {
		st, err := t.state()
		if err != nil {
			return err
		}
		states = append(states, st)
	}
	return saveStates(g.dir, states)
}
