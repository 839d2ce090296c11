package prompt

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// Sizes are the numbers, beside the model's own, that decide the shapes of a
// method's tensors, and how its graph is laid out. A 0 or "" asks for the
// method's default; in [Method.Sizes] a 0 says that the method has no such size.
type Sizes struct {
	Length int // P, vectors before the input
	Rank   int // r, of a product of two thin matrices
	Hidden int // h, width of an MLP
	Rows   int // L, longest input that there are rows for

	Placement  string // one of [Placements], "" for a prefix
	Visibility string // one of [Visibilities], "" for all
}

// sized is a size with its name in a prompt's file.
type sized struct {
	name  string
	value *int
}

// fields is the one list that reading and writing share. The length and what is
// not a number have places of their own in [Meta].
func (s *Sizes) fields() []sized {
	return []sized{{"rank", &s.Rank}, {"hidden", &s.Hidden}, {"rows", &s.Rows}}
}

// Map returns the sizes as [Meta] keeps them, nil if there are none.
func (s Sizes) Map() map[string]int {
	var out map[string]int
	for _, f := range s.fields() {
		if *f.value == 0 {
			continue
		}
		if out == nil {
			out = map[string]int{}
		}
		out[f.name] = *f.value
	}
	return out
}

// sizes returns the sizes that a prompt's metadata states.
func (m Meta) sizes() Sizes {
	s := Sizes{Length: m.Length, Placement: m.Placement, Visibility: m.Visibility}
	for _, f := range s.fields() {
		*f.value = m.Sizes[f.name]
	}
	return s
}

// config is what a prompt's metadata says about its model's sizes.
func (m Meta) config() models.Config { return models.Config{DModel: m.DModel} }

// MethodInfo is an entry of the table of methods.
type MethodInfo struct {
	Name string
	Help string // one line for people
	// Uses names the settings that the method has: length, rank, hidden,
	// placement, visibility.
	Uses []string
	// Defaults has the settings, by key, whose default is not that of prompt
	// tuning.
	Defaults map[string]any
	// ByModel says that the tensors' shapes depend on more of the model than
	// d_model: a prompt's file alone does not say what they have to be.
	ByModel bool
	// Keeps names the method that Fold makes a prompt of; "" is this one.
	Keeps string
	// Weights says that the method tunes the model's own weights. A pass has one
	// such model, and nothing can be made of the weights beforehand.
	Weights bool
	// New returns the method for a model. Sizes that are 0 take their default,
	// and those that make no sense are an error.
	New func(c models.Config, s Sizes) (*Method, error)
}

// methods is the table.
var methods = slices.Concat(inputMethods, layerMethods, []MethodInfo{modelTuning})

// inputMethods are those that stop at the encoder's input.
var inputMethods = []MethodInfo{
	{
		Name: MethodPromptTuning, Help: "vectors before the input (Lester et al. 2021)",
		Uses: []string{"length", "placement", "visibility"}, New: newPromptTuning,
	},
	{
		Name: MethodDePT, Help: "fewer vectors, and a low-rank offset for each position of the input (Shi and Lipani 2024)",
		Uses: []string{"length", "rank"}, Defaults: deptDefaults(5e-4), New: DePT,
	},
	{
		Name: MethodADePT, Help: "fewer vectors, and a small network that moves each token's embedding (Tang et al. 2025)",
		Uses: []string{"length", "rank"}, Defaults: deptDefaults(1e-4), New: ADePT,
	},
	{
		Name: MethodPTuning, Help: "vectors that an MLP makes while they are tuned (Liu et al. 2021)",
		Uses: []string{"length", "hidden"}, Keeps: MethodPromptTuning, New: PTuning,
		// PEFT's examples of p-tuning: AdamW of PyTorch, 20 vectors.
		Defaults: map[string]any{
			"length": 20, "optimizer": "adamw", "learning_rate": 1e-3, "schedule": "linear", "weight_decay": 0.01,
			"loss": "mean", "z_loss": 0,
		},
	},
	{
		Name: MethodMultitask, Help: "vectors that several tasks share, times a low-rank matrix of each task (Wang et al. 2023)",
		Uses: []string{"length", "rank"}, Keeps: MethodPromptTuning, New: Multitask,
		// The words of one task's labels say nothing of the others.
		Defaults: map[string]any{"init": "vocab"},
	},
}

// deptDefaults are the settings that DePT's authors tuned with (train.py, and
// the logs of the published adapters: rates of the prompt of 0.3 and 0.4, of
// the rest of 1e-4 to 5e-3), which those of ADePT took over.
func deptDefaults(methodRate float64) map[string]any {
	return map[string]any{
		"length": 60, "init": "text-repeat:Classify this text is postive or not:",
		"optimizer": "adamw-hf", "learning_rate": 0.3, "method_rate": methodRate, "weight_decay": 0,
		"schedule": "warmup=500,linear", "clip_norm": 1, "loss": "mean", "z_loss": 0,
	}
}

// Methods lists the ways of adapting a model.
func Methods() []MethodInfo { return slices.Clone(methods) }

// MethodNames lists the names of [Methods].
func MethodNames() []string {
	var names []string
	for _, m := range methods {
		names = append(names, m.Name)
	}
	return names
}

// LookupMethod returns the entry of a name.
func LookupMethod(name string) (MethodInfo, error) {
	for _, m := range methods {
		if m.Name == name {
			return m, nil
		}
	}
	return MethodInfo{}, hint.Wrap(fmt.Errorf("there is no method %q", name), "methods: %s", strings.Join(MethodNames(), ", "))
}

// CheckShared reports a method of which one pass cannot have n prompts.
func CheckShared(method string, n int) error {
	info, err := LookupMethod(method)
	if err == nil && info.Weights && n > 1 {
		err = fmt.Errorf("%d prompts cannot share a pass: method %s has one model in it", n, method)
	}
	return err
}

// NewMethod returns the method of a name for a model.
func NewMethod(name string, c models.Config, s Sizes) (*Method, error) {
	info, err := LookupMethod(name)
	if err != nil {
		return nil, err
	}
	for _, f := range append(s.fields(), sized{"length", &s.Length}) {
		if *f.value < 0 || *f.value > math.MaxInt32 {
			return nil, fmt.Errorf("method %s: the size %s is %d", name, f.name, *f.value)
		}
	}
	m, err := info.New(c, s)
	if err != nil {
		return nil, fmt.Errorf("method %s: %w", name, err)
	}
	return m, nil
}

// Start returns the first values of a method's tensors. What has no initialiser
// of its own, the matrix [P,d], is made by the one given, and weights are read
// by their names. Each tensor draws from a stream of its own, so that one says
// nothing about another.
func (m *Method) Start(seed uint64, matrix Initialiser, weight func(name string) ([]float32, error)) ([]Tensor, error) {
	var out []Tensor
	for i, t := range m.Trainables {
		sizes := make([]int64, len(t.Shape))
		for j, d := range t.Shape {
			if sizes[j] = d.Size; d.Sym == "P" {
				sizes[j] = int64(m.Sizes.Length)
			}
		}
		n, err := elements(sizes)
		if err != nil {
			return nil, fmt.Errorf("making the first %s: %w", t.Name, err)
		}
		var values []float32
		switch {
		case t.Weight != "":
			if values, err = weight(t.Weight); err == nil && len(values) != n {
				err = fmt.Errorf("the model has %d values there, want %d", len(values), n)
			}
		case t.Init != nil:
			rng := NewRand(seed, StreamInit, uint64(i))
			values = make([]float32, n)
			t.Init(&rng, values)
		default:
			values, err = matrix(NewRand(seed, StreamInit), int(sizes[0]), int(sizes[1]))
		}
		if err != nil {
			return nil, fmt.Errorf("making the first %s: %w", t.Name, err)
		}
		out = append(out, Tensor{Name: t.Name, Shape: sizes, Data: values})
	}
	return out, nil
}
