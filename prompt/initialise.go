package prompt

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"softprompt/onnx/hint"
)

// Initialiser makes the first value [P,d] of a prompt.
type Initialiser func(rng Rand, length, dModel int) ([]float32, error)

// Embeddings is a model's table of input embeddings [V,d].
type Embeddings struct {
	Rows int                    // V
	Row  func(id int) []float32 // [d] of an id below Rows; only read
}

// Source is what initialisers draw on.
type Source struct {
	Embeddings
	// Encode turns text into ids, without the end-of-sequence.
	Encode func(text string) ([]int64, error)
	// EOSID is the end-of-sequence.
	EOSID int64
	// Labels are the words of the task's classes; may be empty.
	Labels []string
	// Log receives warnings; nil for nowhere.
	Log *slog.Logger
}

// Populations of the vocabulary samplers.
const (
	// CommonWords is how many rows of the table the reference samples from:
	// T5's vocabulary is ordered by frequency.
	CommonWords = 5000
	// firstWord is the first id of T5 that is not padding, end-of-sequence or
	// unknown.
	firstWord = 3
)

// Uniform draws every value from [low,high), up to rounding. The reference's code draws from
// [0,0.5), as JAX's uniform(scale) does, although its paper says [-0.5,0.5].
func Uniform(low, high float32) Initialiser {
	return func(rng Rand, length, dModel int) ([]float32, error) {
		rows := make([]float32, length*dModel)
		for i := range rows {
			rows[i] = low + (high-low)*rng.Float32()
		}
		return rows, nil
	}
}

// SampledVocabulary takes rows of the embedding table: distinct ids, each as
// likely as the others, of those from first up to below population
// (prompts.py, from_sample_of_embeddings). If there are fewer than the prompt
// is long they are drawn with replacement, and a population beyond the table
// is lowered to it, both with a warning. The reference starts at id 0.
func SampledVocabulary(s Source, first, population int) Initialiser {
	return func(rng Rand, length, dModel int) ([]float32, error) {
		n := population
		if n > s.Rows {
			s.warn("the vocabulary to sample from is larger than the model's", "wanted", n, "rows", s.Rows)
			n = s.Rows
		}
		n -= first
		if first < 0 || n < 1 {
			return nil, fmt.Errorf("sampling a vocabulary: no ids from %d below %d", first, population)
		}
		ids := rng.Sample(n, length)
		if length > n {
			s.warn("the prompt is longer than the vocabulary to sample from: rows will repeat", "length", length, "words", n)
			for i := range ids {
				ids[i] = rng.IntN(n)
			}
			for len(ids) < length {
				ids = append(ids, rng.IntN(n))
			}
		}
		rows := make([]float32, 0, length*dModel)
		for _, id := range ids {
			row, err := s.row(int64(first+id), dModel)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row...)
		}
		return rows, nil
	}
}

// ClassLabels makes row i the mean of the embeddings of label i's pieces, and
// takes the rows after the last label from the fallback (prompts.py,
// from_embedded_list). Labels beyond the prompt's length are dropped with a
// warning.
func ClassLabels(s Source, fallback Initialiser) Initialiser {
	return func(rng Rand, length, dModel int) ([]float32, error) {
		if len(s.Labels) == 0 {
			return nil, hint.Wrap(errors.New("initialising with class labels: the task has none"),
				"use --init vocab for a task without a closed set of labels")
		}
		rows, err := fallback(rng, length, dModel)
		if err != nil {
			return nil, err
		}
		if len(s.Labels) > length {
			s.warn("the prompt is shorter than the list of labels: the last ones are dropped",
				"length", length, "dropped", s.Labels[length:])
		}
		for i, label := range s.Labels[:min(length, len(s.Labels))] {
			if err := s.mean(rows[i*dModel:(i+1)*dModel], label); err != nil {
				return nil, fmt.Errorf("initialising with class label %q: %w", label, err)
			}
		}
		return rows, nil
	}
}

// FromText makes row i the embedding of the text's i-th piece and takes the
// rows after the last piece from the fallback (prompts.py,
// from_embedded_string). Pieces beyond the prompt's length are dropped with a
// warning.
func FromText(s Source, text string, fallback Initialiser) Initialiser {
	return func(rng Rand, length, dModel int) ([]float32, error) {
		rows, err := fallback(rng, length, dModel)
		if err != nil {
			return nil, err
		}
		ids, err := s.Encode(text)
		if err != nil {
			return nil, fmt.Errorf("initialising with text: %w", err)
		}
		if len(ids) == 0 {
			return nil, errors.New("initialising with text: it has no pieces")
		}
		if len(ids) > length {
			s.warn("the prompt is shorter than its initial text: the rest is dropped", "length", length, "pieces", len(ids))
			ids = ids[:length]
		}
		for i, id := range ids {
			row, err := s.row(id, dModel)
			if err != nil {
				return nil, fmt.Errorf("initialising with text: %w", err)
			}
			copy(rows[i*dModel:], row)
		}
		return rows, nil
	}
}

// RepeatedText makes row i the embedding of the text's piece i mod n, where the
// last of the n pieces is the end-of-sequence (DePT and PEFT,
// peft/tuners/prompt_tuning.py, PromptEmbedding with an initial text).
func RepeatedText(s Source, text string) Initialiser {
	return func(_ Rand, length, dModel int) ([]float32, error) {
		ids, err := s.Encode(text)
		if err != nil {
			return nil, fmt.Errorf("initialising with text: %w", err)
		}
		ids = append(slices.Clip(ids), s.EOSID)
		rows := make([]float32, 0, length*dModel)
		for i := range length {
			row, err := s.row(ids[i%len(ids)], dModel)
			if err != nil {
				return nil, fmt.Errorf("initialising with text: %w", err)
			}
			rows = append(rows, row...)
		}
		return rows, nil
	}
}

// FromFile takes the matrix of a prompt that [LoadFile] can read. Its shape
// must be the wanted one.
func FromFile(path string) Initialiser {
	return func(_ Rand, length, dModel int) ([]float32, error) {
		p, err := LoadFile(path)
		if err != nil {
			return nil, err
		}
		rows, gotLength, gotWidth, err := p.Matrix()
		if err != nil {
			return nil, fmt.Errorf("initialising from %s: %w", path, err)
		}
		if gotWidth != dModel {
			return nil, hint.Wrap(fmt.Errorf("initialising from %s: its vectors have width %d, the model's %d", path, gotWidth, dModel),
				"take a prompt of the same model")
		}
		if gotLength != length {
			return nil, hint.Wrap(fmt.Errorf("initialising from %s: it has %d vectors, want %d", path, gotLength, length),
				"use --length %d", gotLength)
		}
		return rows, nil
	}
}

// mean puts the mean of the embeddings of a text's pieces into row [d].
func (s Source) mean(row []float32, text string) error {
	ids, err := s.Encode(text)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return errors.New("it has no pieces")
	}
	sum := make([]float64, len(row))
	for _, id := range ids {
		piece, err := s.row(id, len(row))
		if err != nil {
			return err
		}
		for i, v := range piece {
			sum[i] += float64(v)
		}
	}
	for i := range row {
		row[i] = float32(sum[i] / float64(len(ids)))
	}
	return nil
}

// row returns the embedding [d] of an id after checking both.
func (e Embeddings) row(id int64, width int) ([]float32, error) {
	if id < 0 || id >= int64(e.Rows) {
		return nil, fmt.Errorf("id %d is outside the embedding table of %d rows", id, e.Rows)
	}
	row := e.Row(int(id))
	if len(row) != width {
		return nil, fmt.Errorf("the embedding of id %d has width %d, want %d", id, len(row), width)
	}
	return row, nil
}

func (s Source) warn(message string, args ...any) {
	if s.Log != nil {
		s.Log.Warn(message, args...)
	}
}
