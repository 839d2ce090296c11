package prompt

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"softprompt/onnx/hint"
)

// InitSpec is a way to initialise a prompt, as the command line has it. The
// zero value is not useful; see [ParseInit].
type InitSpec struct {
	text string
	make func(s Source) Initialiser
}

// InitForm describes one form that [ParseInit] reads.
type InitForm struct {
	Form string // as in "vocab:N"
	Help string
}

// initForm is an InitForm with its name and parser. The argument is what
// follows the colon; given tells whether there was one.
type initForm struct {
	InitForm
	name  string
	parse func(arg string, given bool) (func(Source) Initialiser, error)
}

// initForms is the table of all forms.
var initForms = []initForm{
	{
		InitForm{"class-labels", "row i is the mean embedding of label i's pieces, the rest as vocab"},
		"class-labels",
		bare(func(s Source) Initialiser { return ClassLabels(s, common(s)) }),
	},
	{
		InitForm{"vocab[:N]", "embeddings of distinct ids below N (5000), as the reference draws them"},
		"vocab",
		vocabulary(0),
	},
	{
		InitForm{"vocab-words[:N]", "the same without ids 0, 1, 2: padding, end-of-sequence, unknown"},
		"vocab-words",
		vocabulary(firstWord),
	},
	{
		InitForm{"uniform-code", "uniform in [0,0.5), what the reference's code does"},
		"uniform-code",
		bare(func(Source) Initialiser { return Uniform(0, 0.5) }),
	},
	{
		InitForm{"uniform-paper", "uniform in [-0.5,0.5), what its paper says"},
		"uniform-paper",
		bare(func(Source) Initialiser { return Uniform(-0.5, 0.5) }),
	},
	{InitForm{"uniform:[LOW,]HIGH", "uniform in [LOW,HIGH), or in [0,HIGH)"}, "uniform", uniform},
	{
		InitForm{"text:TEXT", "row i is the embedding of the text's i-th piece, the rest as vocab"},
		"text",
		fromText(func(s Source, text string) Initialiser { return FromText(s, text, common(s)) }),
	},
	{
		InitForm{"text-repeat:TEXT", "the text's pieces and the end-of-sequence, over and over, as DePT has it"},
		"text-repeat",
		fromText(RepeatedText),
	},
	{
		InitForm{"file:PATH", "another prompt of the same length and width: a run or adapter folder, .safetensors or .npy"},
		"file",
		func(path string, _ bool) (func(Source) Initialiser, error) {
			if path == "" {
				return nil, errors.New("the path is missing")
			}
			return func(Source) Initialiser { return FromFile(path) }, nil
		},
	},
}

// InitForms lists the forms for a help text.
func InitForms() []InitForm {
	forms := make([]InitForm, len(initForms))
	for i, f := range initForms {
		forms[i] = f.InitForm
	}
	return forms
}

// ParseInit reads how to initialise a prompt: one of [InitForms], such as
// "class-labels", "vocab:5000" or "text:Classify this review". Nothing is
// opened yet.
func ParseInit(text string) (InitSpec, error) {
	name, arg, given := strings.Cut(text, ":")
	for _, f := range initForms {
		if f.name != name {
			continue
		}
		build, err := f.parse(arg, given)
		if err != nil {
			return InitSpec{}, hint.Wrap(fmt.Errorf("initialiser %q: %w", text, err), "write %s: %s", f.Form, f.Help)
		}
		return InitSpec{text, build}, nil
	}
	var known []string
	for _, f := range initForms {
		known = append(known, f.Form)
	}
	return InitSpec{}, hint.Wrap(fmt.Errorf("unknown initialiser %q", text), "write one of %s", strings.Join(known, ", "))
}

// String returns the text that was parsed.
func (i InitSpec) String() string { return i.text }

// From returns the initialiser that draws on a source.
func (i InitSpec) From(s Source) Initialiser { return i.make(s) }

// common is what fills the rows that labels or text leave over.
func common(s Source) Initialiser { return SampledVocabulary(s, 0, min(CommonWords, s.Rows)) }

// bare is the parser of a form without an argument.
func bare(build func(Source) Initialiser) func(string, bool) (func(Source) Initialiser, error) {
	return func(_ string, given bool) (func(Source) Initialiser, error) {
		if given {
			return nil, errors.New("it takes no argument")
		}
		return build, nil
	}
}

// fromText is the parser of a form whose argument is a text.
func fromText(build func(s Source, text string) Initialiser) func(string, bool) (func(Source) Initialiser, error) {
	return func(text string, _ bool) (func(Source) Initialiser, error) {
		if strings.TrimSpace(text) == "" {
			return nil, errors.New("the text is missing")
		}
		return func(s Source) Initialiser { return build(s, text) }, nil
	}
}

// vocabulary is the parser of the forms that sample from id first on. Without
// a number a small model's whole table will do.
func vocabulary(first int) func(string, bool) (func(Source) Initialiser, error) {
	return func(arg string, given bool) (func(Source) Initialiser, error) {
		if !given {
			return func(s Source) Initialiser { return SampledVocabulary(s, first, min(CommonWords, s.Rows)) }, nil
		}
		n, err := strconv.Atoi(arg)
		if err != nil || n <= first {
			return nil, fmt.Errorf("%q is not a number of ids above %d", arg, first)
		}
		return func(s Source) Initialiser { return SampledVocabulary(s, first, n) }, nil
	}
}

func uniform(arg string, given bool) (func(Source) Initialiser, error) {
	if !given {
		return nil, errors.New("it wants a range")
	}
	low, high, two := strings.Cut(arg, ",")
	if !two {
		low, high = "0", arg
	}
	a, errA := strconv.ParseFloat(strings.TrimSpace(low), 32)
	b, errB := strconv.ParseFloat(strings.TrimSpace(high), 32)
	if errA != nil || errB != nil || !(a < b) || math.IsInf(b-a, 0) || b-a > math.MaxFloat32 {
		return nil, fmt.Errorf("%q is not a range", arg)
	}
	return func(Source) Initialiser { return Uniform(float32(a), float32(b)) }, nil
}
