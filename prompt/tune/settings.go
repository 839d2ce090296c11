package tune

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"softprompt/export"
	"softprompt/grad"
	"softprompt/onnx/hint"
	"softprompt/prompt"
	"softprompt/tasks"
)

// Settings is every value that decides a run's result. Two runs of equal
// settings on one machine end in the same prompt, byte for byte. The field
// tags name the keys of a configuration file and, with dashes, the flags.
type Settings struct {
	Model string `yaml:"model" json:"model"` // a model reference: tiny, a folder
	Task  string `yaml:"task" json:"task"`
	Data  string `yaml:"data" json:"data"` // folder of the task's files; "" is what travels with the project

	Template   string `yaml:"template" json:"template"`     // how a row becomes input text
	Verbalizer string `yaml:"verbalizer" json:"verbalizer"` // label words, "negative=bad;positive=good"
	MaxInput   int    `yaml:"max_input" json:"max_input"`   // input tokens, EOS included, prompt not
	MaxTarget  int    `yaml:"max_target" json:"max_target"` // target tokens, EOS included

	Method string `yaml:"method" json:"method"`
	Length int    `yaml:"length" json:"length"` // prompt length P
	Rank   int    `yaml:"rank" json:"rank"`     // of a method with a low-rank part; 0: the method's default
	Hidden int    `yaml:"hidden" json:"hidden"` // width of a method's MLP; 0: the method's default
	// Where the prompt's vectors stand, and what they see in the encoder: one of
	// prompt.Placements and of prompt.Visibilities.
	Placement  string `yaml:"placement" json:"placement"`
	Visibility string `yaml:"visibility" json:"visibility"`
	Init       string `yaml:"init" json:"init"` // an initialiser, as prompt.ParseInit reads it

	Steps        int     `yaml:"steps" json:"steps"`
	Batch        int     `yaml:"batch" json:"batch"`
	MicroBatch   int     `yaml:"micro_batch" json:"micro_batch"` // rows a pass; gradients of the passes add up; 0: the fastest
	Workers      int     `yaml:"workers" json:"workers"`         // passes at once, which share the threads; 0: the fastest
	Optimizer    string  `yaml:"optimizer" json:"optimizer"`     // adafactor, adamw or adamw-hf
	LearningRate float64 `yaml:"learning_rate" json:"learning_rate"`
	MethodRate   float64 `yaml:"method_rate" json:"method_rate"` // learning rate of all that is not the prompt's matrix; 0: learning_rate
	Schedule     string  `yaml:"schedule" json:"schedule"`       // as grad.ParseSchedule reads it
	WeightDecay  float64 `yaml:"weight_decay" json:"weight_decay"`
	InitialStep  int64   `yaml:"initial_step" json:"initial_step"` // adafactor: the step that its decay counts from
	// ParameterScale has adafactor multiply the rate by the size of what moves.
	ParameterScale bool    `yaml:"parameter_scale" json:"parameter_scale"`
	ClipNorm       float64 `yaml:"clip_norm" json:"clip_norm"` // bound on the gradient's norm, 0 for none
	Loss           string  `yaml:"loss" json:"loss"`           // sum or mean over the target tokens, or labels: choose a label
	ZLoss          float64 `yaml:"z_loss" json:"z_loss"`
	Dropout        float64 `yaml:"dropout" json:"dropout"`

	Choose    string `yaml:"choose" json:"choose"`         // what the best step is chosen on: held-out or validation
	HeldOut   int    `yaml:"held_out" json:"held_out"`     // training rows kept back for that; 0 leaves it to the run
	EvalEvery int    `yaml:"eval_every" json:"eval_every"` // steps between two looks at them
	Patience  int    `yaml:"patience" json:"patience"`     // looks without a better score before stopping, 0 for never
	LogEvery  int    `yaml:"log_every" json:"log_every"`
	Window    int    `yaml:"window" json:"window"`         // batches whose rows are sorted by length together, 1 for none
	TrainRows int    `yaml:"train_rows" json:"train_rows"` // training rows to use, 0 for all
	Shots     int    `yaml:"shots" json:"shots"`           // training rows of each class to use, 0 for all
	Balance   bool   `yaml:"balance" json:"balance"`       // show every class equally often
	Seed      uint64 `yaml:"seed" json:"seed"`

	Device  string `yaml:"device" json:"device"`
	Threads int    `yaml:"threads" json:"threads"` // 0 for one a core
	// Precision is that of the products in training; scores are computed in
	// float32.
	Precision export.Precision `yaml:"precision" json:"precision"`
	Memory    string           `yaml:"memory" json:"memory"` // speed or least
	TF32      bool             `yaml:"tf32" json:"tf32"`     // let a card round the factors of float32 products
}

// What a run may spend memory on.
const (
	memorySpeed = "speed" // whatever makes it faster
	memoryLeast = "least" // nothing: a row at a time, activations recomputed
)

// Defaults returns the settings of the paper's code for a task
// (reference: google-research/prompt-tuning, configs/runs/prompt_finetune.gin
// and configs/models/t5_1_1_prompt.gin), but for the number of steps, which is
// for small models, and for choosing the best step on training data held out,
// where the paper chose on the split it reports. How much is held out is as in
// the reference's later recipes, which do so too (extended/perceptron), but at
// most 500 rows, which a processor scores in a bearable time.
func Defaults(t *tasks.Task) Settings {
	init := "vocab"
	if t.HasWords() || len(t.InitWords) > 0 {
		init = "class-labels"
	}
	return Settings{
		Model: "tiny", Task: t.Name,
		Template: string(t.Template), Verbalizer: t.Verbalizer.Format(t.Labels),
		MaxInput: t.MaxInput, MaxTarget: t.MaxTarget,
		Method: "prompt-tuning", Length: 100, Init: init,
		Placement: prompt.PlacementPrefix, Visibility: prompt.VisibilityFull,
		Steps: 1000, Batch: 32,
		Optimizer: "adafactor", LearningRate: 0.3, Schedule: "constant",
		WeightDecay: 1e-5, InitialStep: 1_100_000,
		Loss: "sum", ZLoss: 1e-4, Dropout: 0.1,
		Choose: ChooseHeldOut, Shots: t.Shots, Balance: t.Balance, EvalEvery: 100, LogEvery: 10, Window: 8,
		Seed: 1, Device: "cpu", Precision: export.FP32, Memory: memorySpeed,
	}
}

// DefaultsOf returns the settings that a method is published with, for a task:
// [Defaults] but for what the table of methods says. An empty name is prompt
// tuning.
func DefaultsOf(t *tasks.Task, method string) (Settings, error) {
	s := Defaults(t)
	if method == "" {
		return s, nil
	}
	info, err := prompt.LookupMethod(method)
	if err != nil {
		return s, err
	}
	s.Method = method
	data, err := yaml.Marshal(info.Defaults)
	if err == nil {
		err = yaml.Unmarshal(data, &s)
	}
	if err != nil {
		return s, fmt.Errorf("the defaults of method %s: %w", method, err)
	}
	return s, nil
}

// Check reports the first setting that makes no sense, under its flag's name.
func (s Settings) Check() error {
	positive := []struct {
		flag  string
		value int
	}{
		{"length", s.Length},
		{"steps", s.Steps},
		{"batch", s.Batch},
		{"max-input", s.MaxInput},
		{"max-target", s.MaxTarget},
		{"eval-every", s.EvalEvery},
		{"log-every", s.LogEvery},
		{"window", s.Window},
	}
	for _, p := range positive {
		if p.value < 1 {
			return fmt.Errorf("--%s is %d, want at least 1", p.flag, p.value)
		}
	}
	switch {
	case s.MaxInput < 2 || s.MaxTarget < 2:
		return errors.New("--max-input and --max-target must leave room for a token and EOS: at least 2")
	case s.Dropout < 0 || s.Dropout >= 1:
		return fmt.Errorf("--dropout is %v, want 0 or more and below 1", s.Dropout)
	case s.LearningRate <= 0:
		return fmt.Errorf("--learning-rate is %v, want more than 0", s.LearningRate)
	case s.Loss != "sum" && s.Loss != "mean" && s.Loss != "labels":
		return fmt.Errorf("--loss is %q, want sum, mean or labels", s.Loss)
	case s.MicroBatch < 0 || s.Workers < 0:
		return errors.New("--micro-batch and --workers cannot be negative; 0 finds the fastest")
	case s.Memory != memorySpeed && s.Memory != memoryLeast && s.Memory != "":
		return fmt.Errorf("--memory is %q, want %s or %s", s.Memory, memorySpeed, memoryLeast)
	case s.Choose != ChooseHeldOut && s.Choose != ChooseValidation && s.Choose != "": // "" is of a run that knew no other
		return fmt.Errorf("--choose is %q, want %s or %s", s.Choose, ChooseHeldOut, ChooseValidation)
	case s.HeldOut < 0 || s.Shots < 0:
		return errors.New("--held-out and --shots cannot be negative")
	case s.Patience < 0 || s.TrainRows < 0 || s.Threads < 0 || s.ZLoss < 0 || s.ClipNorm < 0 || s.InitialStep < 0:
		return errors.New("--patience, --train-rows, --threads, --z-loss, --clip-norm and --initial-step cannot be negative")
	case s.MethodRate < 0:
		return fmt.Errorf("--method-rate is %v, want more than 0, or 0 for --learning-rate", s.MethodRate)
	}
	if err := s.checkMethod(); err != nil {
		return err
	}
	if _, err := export.ParsePrecision(string(s.Precision)); err != nil {
		return fmt.Errorf("--precision: %w", err)
	}
	if _, err := s.rule(); err != nil {
		return err
	}
	_, err := grad.ParseSchedule(s.Schedule)
	return err
}

// checkMethod reports a method that is not known, or a size that it has no use
// for.
func (s Settings) checkMethod() error {
	info, err := prompt.LookupMethod(s.Method)
	if err != nil {
		return hint.Wrap(fmt.Errorf("--method is %q, which is not known", s.Method), "methods: %s", strings.Join(prompt.MethodNames(), ", "))
	}
	if info.Weights && s.Precision != export.FP32 && s.Precision != "" {
		return fmt.Errorf("--precision is %s, which is for weights that do not change: method %s takes fp32", s.Precision, s.Method)
	}
	for _, size := range []struct {
		key   string
		value int
	}{{"rank", s.Rank}, {"hidden", s.Hidden}} {
		switch {
		case size.value < 0:
			return fmt.Errorf("--%s is %d, want at least 1, or 0 for the method's default", size.key, size.value)
		case size.value > 0 && !slices.Contains(info.Uses, size.key):
			return fmt.Errorf("--%s is %d, but method %s has no such size", size.key, size.value, s.Method)
		}
	}
	for _, way := range []struct {
		key, value string
		all        []string // the default first
	}{{"placement", s.Placement, prompt.Placements()}, {"visibility", s.Visibility, prompt.Visibilities()}} {
		switch {
		case way.value == "" || way.value == way.all[0]:
		case !slices.Contains(way.all, way.value):
			return hint.Wrap(fmt.Errorf("--%s is %q, which is not known", way.key, way.value), "it is one of: %s", strings.Join(way.all, ", "))
		case !slices.Contains(info.Uses, way.key):
			return hint.Wrap(fmt.Errorf("--%s is %s, but method %s has no such setting", way.key, way.value, s.Method), "only prompt-tuning has")
		}
	}
	return nil
}

// sizes returns what the settings say about the sizes of the method.
func (s Settings) sizes() prompt.Sizes {
	return prompt.Sizes{
		Length: s.Length, Rank: s.Rank, Hidden: s.Hidden, Rows: s.MaxInput, Placement: s.Placement, Visibility: s.Visibility,
	}
}

// madeBy returns the initialiser of a method's matrix, "" if it has none that
// is made by one.
func (s Settings) madeBy(m *prompt.Method) string {
	if slices.ContainsFunc(m.Trainables, func(t prompt.Trainable) bool { return t.Init == nil && t.Weight == "" }) {
		return s.Init
	}
	return ""
}

// optimizers has the rules by their names.
var optimizers = map[string]func(Settings) grad.Rule{
	"adafactor": func(s Settings) grad.Rule {
		a := grad.DefaultAdafactor()
		a.WeightDecay, a.InitialStep, a.ScaleByParameter = s.WeightDecay, s.InitialStep, s.ParameterScale
		return a
	},
	"adamw":    func(s Settings) grad.Rule { return decayed(grad.DefaultAdamW(), s) },
	"adamw-hf": func(s Settings) grad.Rule { return decayed(grad.TransformersAdamW(), s) },
}

func decayed(a grad.AdamW, s Settings) grad.Rule {
	a.WeightDecay = s.WeightDecay
	return a
}

// rule returns the optimiser that the settings name.
func (s Settings) rule() (grad.Rule, error) {
	named := optimizers[s.Optimizer]
	if named == nil {
		return nil, fmt.Errorf("--optimizer is %q, want %s", s.Optimizer, strings.Join(slices.Sorted(maps.Keys(optimizers)), ", "))
	}
	rule := named(s)
	return rule, rule.Check()
}

// rates returns the factors of the learning rate for the trainables of a
// method, nil if all move at the same.
func (s Settings) rates(m *prompt.Method) []float64 {
	if s.MethodRate == 0 || s.MethodRate == s.LearningRate {
		return nil
	}
	factors := make([]float64, len(m.Trainables))
	for i, t := range m.Trainables {
		if factors[i] = 1; t.MethodRate {
			factors[i] = s.MethodRate / s.LearningRate
		}
	}
	return factors
}

// task returns the task with the template and the label words of the settings.
func (s Settings) task() (*tasks.Task, error) { return s.taskIn("") }

// taskIn is task for a run in a folder, which may have a copy of it.
func (s Settings) taskIn(dir string) (*tasks.Task, error) {
	t, err := openTask(s, dir)
	if err != nil {
		return nil, err
	}
	v, err := t.ParseWords(s.Verbalizer)
	if err != nil {
		return nil, err
	}
	return t.With(tasks.Template(s.Template), v)
}
