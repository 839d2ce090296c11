package tune

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"

	"softprompt/export"
	"softprompt/export/exported"
	"softprompt/models"
	"softprompt/onnx/atomicfile"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
)

// checkedSuffix is behind the name of a file of recovered weights to say that
// they gave the answers of the graphs that they are from.
const checkedSuffix = ".checked"

// checkRecovered holds weights that were recovered from an exported model
// against it: its graphs as they stand and our own must rate the same answers
// alike. The structure of the graphs does not say all, what their masks do for
// instance. It is done once for a file of weights, on the processor.
func checkRecovered(ctx context.Context, rt *ort.Runtime, m *export.Model) error {
	if m.Graphs != nil || m.Files.Format != models.ONNX {
		return nil
	}
	mark := m.Checkpoint.Path + checkedSuffix
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	apart, err := recoveredApart(ctx, rt, m)
	if err != nil {
		return fmt.Errorf("running the exported graphs of %s to check the weights recovered from them: %w", m.Ref, err)
	}
	const tolerance = 1e-3 // float16 graphs, widened, stay well below
	if !(apart <= tolerance) {
		return hint.Wrap(fmt.Errorf("the weights recovered from %s do not give the answers of its graphs: log-probabilities are apart by %.1e of the largest", m.Ref, apart),
			"use the checkpoint that it was exported from; softprompt export %s --explain says what was read", m.Ref)
	}
	return atomicfile.Write(mark, fmt.Appendf(nil, "%.1e\n", apart))
}

// recoveredApart returns the largest difference of the two ways'
// log-probabilities over the largest of them. Graphs that compute in integers
// give answers of their own, and 0 is returned.
func recoveredApart(ctx context.Context, rt *ort.Runtime, m *export.Model) (float64, error) {
	graphs, err := exported.Load(ctx, m.Model)
	if err != nil {
		return 0, err
	}
	defer graphs.Close()
	if graphs.Differentiable() != nil {
		return 0, nil
	}
	own, err := m.Spec(ctx)
	if err != nil {
		return 0, err
	}
	var scores [2][]float64
	for i, spec := range []export.Spec{own, {Config: m.Config, Graphs: graphs}} {
		f := &Frozen{Model: m, rt: rt, config: ort.Config{Arena: true}, spec: spec, sessions: map[sessionKey]*ort.Session{}}
		bank, err := NewBank(nil)
		if err != nil {
			return 0, err
		}
		rows, candidates := probe(m.Config)
		answers, err := f.Score(ctx, bank, rows, candidates)
		f.Close()
		if err != nil {
			return 0, err
		}
		scores[i] = slices.Concat(answers...)
	}
	var apart, largest float64
	for i, s := range scores[1] {
		apart = max(apart, math.Abs(s-scores[0][i]))
		largest = max(largest, math.Abs(s))
	}
	return apart / largest, nil
}

// probe returns two rows of different lengths, so that one is padded, and two
// answers: ids spread over the vocabulary.
func probe(c models.Config) (rows []Row, candidates [][]int64) {
	at := uint64(1)
	ids := func(n int) []int64 {
		out := make([]int64, n, n+1)
		for i := range out {
			at = at*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
			out[i] = int64(at>>33) % int64(c.VocabSize)
		}
		return append(out, int64(c.EOSID))
	}
	return []Row{{IDs: ids(11)}, {IDs: ids(5)}}, [][]int64{ids(4), ids(1)}
}
