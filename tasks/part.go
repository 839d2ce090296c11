package tasks

import (
	"context"
	"fmt"
	"math"
)

// partSeed draws the training rows that stand for a validation split. It is
// part of the task, not of a run: runs of other seeds are scored on the same
// rows.
const partSeed = 0x7461736b

// isPart tells whether a split is a part of the training file.
func (t *Task) isPart(split Split) bool {
	_, has := t.Files[Validation]
	_, trains := t.Files[Train]
	return !has && trains && t.Part > 0 && (split == Train || split == Validation)
}

// loadPart loads the training file and returns the part of it that is the
// split, by [HoldOut].
func (t *Task) loadPart(ctx context.Context, split Split, opts LoadOptions) ([]Example, error) {
	whole := *t
	whole.Part = 0
	all, err := whole.Load(ctx, Train, LoadOptions{Data: opts.Data})
	if err != nil {
		return nil, err
	}
	train, held := HoldOut(all, partOf(t.Part, len(all)), partSeed)
	if len(train) == 0 || len(held) == 0 {
		return nil, fmt.Errorf("task %s: held_out is %v of %d training rows, which leaves %d to train on and %d to score", t.Name, t.Part, len(all), len(train), len(held))
	}
	part := train
	if split == Validation {
		part = held
	}
	if opts.Limit > 0 {
		part = part[:min(opts.Limit, len(part))]
	}
	return part, nil
}

// partOf is a share of n rows, at least one, or from 1 on a number of rows.
func partOf(heldOut float64, n int) int {
	if heldOut >= 1 {
		return int(heldOut)
	}
	return max(1, int(math.Round(heldOut*float64(n))))
}
