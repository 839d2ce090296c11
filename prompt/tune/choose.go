package tune

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"softprompt/onnx/hint"
	"softprompt/prompt"
	"softprompt/tasks"
)

// What the best step of a run is chosen on.
const (
	// ChooseHeldOut is training rows kept back: the reported split is looked at
	// once, at the end.
	ChooseHeldOut = "held-out"
	// ChooseValidation is the reported split itself, as in the paper (Lester et
	// al. 2021, section 3: the checkpoint is chosen on the development set).
	ChooseValidation = "validation"
)

// heldOutByDefault rows are kept back at most where the settings leave it to
// the run; of few training rows it is a fifth.
const heldOutByDefault = 500

// chosenOnIt is how the name of a score says that the best step was chosen by
// it.
const chosenOnIt = ", which the step was chosen on"

// loadRows reads the task's data: rows to train on, rows to choose the best
// step by, and the split that is reported.
func (u *setup) loadRows(ctx context.Context) error {
	s := &u.settings
	from := tasks.LoadOptions{Data: s.Data}
	train, err := u.task.Load(ctx, tasks.Train, from)
	if err != nil {
		return err
	}
	validation, err := u.task.Load(ctx, tasks.Validation, from)
	if err != nil {
		return err
	}
	held := validation
	if s.Choose != ChooseValidation {
		if train, held, err = u.keepBack(train); err != nil {
			return err
		}
	}
	if train, err = tasks.Shots(u.task, train, s.Shots, s.Seed); err != nil {
		return err
	}
	if train = u.task.TrainingRows(train); len(train) == 0 || len(held) == 0 {
		return hint.Wrap(fmt.Errorf("task %s has no rows to train on, or none that --held-out %d can keep back", s.Task, s.HeldOut),
			"choose another --held-out")
	}
	if s.TrainRows > 0 && s.TrainRows < len(train) {
		_, train = tasks.HoldOut(train, s.TrainRows, s.Seed+1)
	}
	if s.Balance {
		train = tasks.Balance(train, s.Seed)
	}
	if u.encoder, err = newEncoder(u.frozen.Tokenizer, train, s.MaxInput, s.MaxTarget); err != nil {
		return err
	}
	if u.validation, err = encodeRows(ctx, u.frozen.Tokenizer, validation, s.MaxInput, s.MaxTarget); err != nil {
		return err
	}
	if u.held = u.validation; s.Choose != ChooseValidation {
		u.held, err = encodeRows(ctx, u.frozen.Tokenizer, held, s.MaxInput, s.MaxTarget)
	}
	return err
}

// keepBack holds training rows out to choose on, as many as the settings say.
// Where they leave it open it is the task's number; those of a few-shot run
// are as many as it trains on (as in Gao et al. 2021, section 3: a development
// set no larger than the training set). The settings say it from then on.
func (u *setup) keepBack(train []tasks.Example) (rest, held []tasks.Example, err error) {
	s := &u.settings
	if s.HeldOut == 0 {
		s.HeldOut = cmp.Or(u.task.HeldOut, max(1, min(heldOutByDefault, len(train)/5)))
		if s.Shots > 0 {
			s.HeldOut = s.Shots * max(1, len(u.task.Labels))
		}
	}
	if len(train) <= s.HeldOut {
		return nil, nil, hint.Wrap(fmt.Errorf("task %s has %d training rows, and --held-out keeps back %d", s.Task, len(train), s.HeldOut),
			"choose a smaller --held-out")
	}
	rest, held = tasks.HoldOut(train, s.HeldOut, s.Seed)
	return rest, held, nil
}

// scoreName says what the best step's score is.
func (u *setup) scoreName() string {
	if u.settings.Choose == ChooseValidation {
		return string(tasks.Validation) + " " + u.task.ScoreName() + chosenOnIt
	}
	return "held-out " + u.task.ScoreName()
}

// ChosenOnValidation tells whether a prompt's step was chosen on the split
// that is reported, so that the score there flatters it.
func ChosenOnValidation(m prompt.Meta) bool { return strings.HasSuffix(m.ScoreName, chosenOnIt) }
