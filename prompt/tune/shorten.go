package tune

import (
	"sort"

	"softprompt/models"
	"softprompt/tasks"
)

// fitInput returns the ids of an example's input, EOS last, at most maxInput
// in all, and whether some of it had to go. Where the task names the field
// that gives way, its last characters go, as many as it takes; else, or where
// that field has not enough, the last tokens of the input do.
func fitInput(tok *models.Tokenizer, x tasks.Example, maxInput int) (ids []int64, cut bool, err error) {
	ids, cut, err = tok.EncodeEOS(x.Input, maxInput)
	if err != nil || !cut || x.CutFrom == x.CutTo {
		return ids, cut, err
	}
	fits := func(keep int) bool {
		shorter, over, encodeErr := tok.EncodeEOS(x.Shorten(keep), maxInput)
		if encodeErr != nil {
			err = encodeErr
		} else if !over || keep == 0 {
			ids = shorter
		}
		return !over
	}
	// More characters are more tokens, but for a token or two where a word is
	// cut in two: whatever the search ends at, what it last saw fit does.
	last := x.CutTo - x.CutFrom
	sort.Search(last+1, func(n int) bool { return fits(last - n) })
	return ids, true, err
}
