package prompt

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// MethodPromptTuning is the Method of a prompt that is one matrix [P,d] before
// the encoder's embedded input.
const MethodPromptTuning = "prompt-tuning"

// TensorPrompt is the tensor of [MethodPromptTuning].
const TensorPrompt = "prompt"

// Errors in the chain of what [Prompt.CheckModel] returns.
var (
	ErrOtherModel     = errors.New("the prompt is for another model")
	ErrOtherTokenizer = errors.New("the prompt is for another tokenizer")
)

// Prompt is what tuning yields: the trained tensors of a method, and what must
// be known to use them.
type Prompt struct {
	Method  string   // such as [MethodPromptTuning]
	Tensors []Tensor // of prompt tuning: one, [TensorPrompt] [P,d]
	Meta    Meta
}

// Tensor is a named tensor, row by row.
type Tensor struct {
	Name  string
	Shape []int64
	Data  []float32
}

// New returns the prompt of prompt tuning that consists of the given rows
// [P,d].
func New(rows []float32, length, width int) *Prompt {
	return &Prompt{
		Method:  MethodPromptTuning,
		Tensors: []Tensor{{TensorPrompt, []int64{int64(length), int64(width)}, rows}},
		Meta:    Meta{Length: length, DModel: width},
	}
}

// Tensor returns the tensor of a name, or nil.
func (p *Prompt) Tensor(name string) *Tensor {
	for i := range p.Tensors {
		if p.Tensors[i].Name == name {
			return &p.Tensors[i]
		}
	}
	return nil
}

// Matrix returns the prompt's vectors as rows [P,d] with P and d. Only methods
// that have such a matrix do; others are an error.
func (p *Prompt) Matrix() (rows []float32, length, width int, err error) {
	t := p.Tensor(TensorPrompt)
	if t == nil || len(t.Shape) != 2 {
		return nil, 0, 0, fmt.Errorf("a prompt of method %q has no matrix %q", p.Method, TensorPrompt)
	}
	return t.Data, int(t.Shape[0]), int(t.Shape[1]), nil
}

// Check reports a prompt that contradicts itself or holds values that are not
// finite.
func (p *Prompt) Check() error {
	if p.Method == "" {
		return errors.New("the prompt names no method")
	}
	if len(p.Tensors) == 0 {
		return errors.New("the prompt has no tensors")
	}
	seen := map[string]bool{}
	for _, t := range p.Tensors {
		if err := t.check(); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if seen[t.Name] {
			return fmt.Errorf("tensor %q is there twice", t.Name)
		}
		seen[t.Name] = true
	}
	if p.Method == MethodPromptTuning {
		if _, _, _, err := p.Matrix(); err != nil {
			return err
		}
	}
	if _, length, width, err := p.Matrix(); err == nil && (length != p.Meta.Length || width != p.Meta.DModel) {
		return fmt.Errorf("tensor %q is [%d %d], but the prompt says that it has %d vectors of width %d",
			TensorPrompt, length, width, p.Meta.Length, p.Meta.DModel)
	}
	if err := p.Meta.check(); err != nil {
		return err
	}
	if info, err := LookupMethod(p.Method); err != nil || info.ByModel {
		return err // CheckModel says whether the tensors fit
	}
	m, err := NewMethod(p.Method, p.Meta.config(), p.Sizes())
	if err != nil {
		return err
	}
	return p.fits(m)
}

// Sizes returns the sizes that the prompt's metadata states.
func (p *Prompt) Sizes() Sizes { return p.Meta.sizes() }

// fits reports tensors that are not those of a method.
func (p *Prompt) fits(m *Method) error {
	for _, t := range m.Trainables {
		have := p.Tensor(t.Name)
		if have == nil {
			return fmt.Errorf("a prompt of method %s has a tensor %q, and this one lacks it", m.Name, t.Name)
		}
		if err := t.Fits(have.Shape); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if t.Shape[0].Sym == "P" && have.Shape[0] != int64(p.Meta.Length) {
			return fmt.Errorf("tensor %q is of a prompt of length %d, but the prompt says %d", t.Name, have.Shape[0], p.Meta.Length)
		}
	}
	for _, have := range p.Tensors {
		if !slices.ContainsFunc(m.Trainables, func(t Trainable) bool { return t.Name == have.Name }) {
			return fmt.Errorf("tensor %q is none of method %s", have.Name, m.Name)
		}
	}
	return nil
}

func (t Tensor) check() error {
	if t.Name == "" {
		return errors.New("it has no name")
	}
	if n, err := elements(t.Shape); err != nil || n != len(t.Data) {
		return fmt.Errorf("shape %v, but %d values", t.Shape, len(t.Data))
	}
	for i, v := range t.Data {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			last := int(t.Shape[max(0, len(t.Shape)-1)])
			return fmt.Errorf("row %d, column %d is %v", i/last, i%last, v)
		}
	}
	return nil
}

// elements multiplies a shape out. An empty shape and sizes below 1 are errors.
func elements(shape []int64) (int, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 1 || n > math.MaxInt32/d {
			return 0, fmt.Errorf("impossible shape %v", shape)
		}
		n *= d
	}
	if len(shape) == 0 {
		return 0, errors.New("no shape")
	}
	return int(n), nil
}

// CheckModel reports whether the prompt was tuned for this model and tokenizer.
// What the prompt does not say, as one from a .npy file, is not held against
// the model; the width always is. The error has [ErrOtherModel] or
// [ErrOtherTokenizer] in its chain.
func (p *Prompt) CheckModel(fingerprint models.Fingerprint, config models.Config, tokenizerHash string) error {
	advice := "use the prompt with the model that it was tuned for"
	if p.Meta.BaseModel != "" {
		advice += ": " + p.Meta.BaseModel
		if p.Meta.Revision != "" {
			advice += "@" + p.Meta.Revision
		}
	}
	if p.Meta.DModel != config.DModel {
		return hint.Wrap(fmt.Errorf("%w: its vectors have width %d, the model's %d", ErrOtherModel, p.Meta.DModel, config.DModel), "%s", advice)
	}
	if p.Method != "" {
		m, err := NewMethod(p.Method, config, p.Sizes())
		if err == nil {
			err = p.fits(m)
		}
		if err != nil {
			return hint.Wrap(fmt.Errorf("%w: %w", ErrOtherModel, err), "%s", advice)
		}
	}
	if p.Meta.Fingerprint != "" {
		wanted, err := models.ParseFingerprint(p.Meta.Fingerprint)
		if err != nil {
			return fmt.Errorf("checking a prompt against a model: %w", err)
		}
		if err := wanted.Matches(fingerprint); err != nil {
			return hint.Wrap(fmt.Errorf("%w: %w", ErrOtherModel, err), "%s", advice)
		}
	}
	if p.Meta.TokenizerHash != "" && tokenizerHash != "" && p.Meta.TokenizerHash != tokenizerHash {
		return hint.Wrap(fmt.Errorf("%w: its tokenizer has hash %.12s, the model's %.12s", ErrOtherTokenizer, p.Meta.TokenizerHash, tokenizerHash),
			"take the tokenizer's files from where the prompt's model is from")
	}
	return nil
}
