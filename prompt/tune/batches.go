package tune

// Batches returns the rows of the first steps of a run, in the order in which
// [Train] takes them: batch rows a step, sorted by length within a window of
// batches.
func Batches(rows []Row, batch, window, steps int, seed uint64) ([][]Row, error) {
	s := newSequence(rows, batch, window, seed)
	out := make([][]Row, steps)
	for i := range out {
		var err error
		if out[i], err = s.at(i); err != nil {
			return nil, err
		}
	}
	return out, nil
}
