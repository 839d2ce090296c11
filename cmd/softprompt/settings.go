package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"softprompt/export"
	"softprompt/onnx/hint"
	"softprompt/prompt"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// settingFlags has a flag for each field of [tune.Settings], under the field's
// name; nil says that it was not given. The flag's own name is the field's
// YAML key with dashes, and its default stands in the help (showDefaults).
type settingFlags struct {
	Model *string `placeholder:"M" group:"Model and task" help:"tiny, a folder with config.json, weights and tokenizer, or org/name[@revision] on the Hugging Face hub."`
	Task  *string `placeholder:"T" group:"Model and task" help:"What to tune for: a task that softprompt tasks lists, a .yaml file that defines one, or a table (tsv, csv, jsonl, json, parquet) with the columns text and label."`
	Data  *string `placeholder:"DIR" group:"Model and task" help:"Folder with the task's files; without it, the part that travels with softprompt."`

	Template   *string `group:"Model and task" help:"How a row becomes input, fields in braces."`
	Verbalizer *string `group:"Model and task" placeholder:"WORDS" help:"Label words, as \"negative=terrible,bad;positive=great\"."`
	MaxInput   *int    `group:"Model and task" placeholder:"N" help:"Tokens of an input, end-of-sequence included."`
	MaxTarget  *int    `group:"Model and task" placeholder:"N" help:"Tokens of a target, end-of-sequence included."`

	Method     *string `group:"Prompt" placeholder:"NAME" help:"How the prompt acts on the model: METHODS."`
	Length     *int    `group:"Prompt" placeholder:"P" help:"Vectors of the prompt."`
	Rank       *int    `group:"Prompt" placeholder:"R" help:"Of a method with a low-rank part; 0 is the method's default."`
	Hidden     *int    `group:"Prompt" placeholder:"H" help:"Width of a method's MLP; 0 is the method's default."`
	Placement  *string `group:"Prompt" placeholder:"WHERE" help:"Where the vectors stand: PLACEMENTS."`
	Visibility *string `group:"Prompt" placeholder:"WHAT" help:"What they see in the encoder: VISIBILITIES."`
	Init       *string `group:"Prompt" help:"Where it starts: INITS (class-labels where the task has labels, else vocab)"`

	Steps          *int     `group:"Training" placeholder:"N" help:"Updates to make."`
	Batch          *int     `group:"Training" placeholder:"N" help:"Rows of an update."`
	MicroBatch     *int     `group:"Training" placeholder:"N" help:"Rows of a pass; their gradients add up to the update's. 0 finds the fastest."`
	Workers        *int     `group:"Training" placeholder:"N" help:"Passes at once, which share the threads. 0 finds the fastest."`
	Optimizer      *string  `group:"Training" help:"adafactor, adamw, or adamw-hf, which adds epsilon as transformers' own did."`
	LearningRate   *float64 `group:"Training" placeholder:"R" help:"Learning rate."`
	MethodRate     *float64 `group:"Training" placeholder:"R" help:"Learning rate of all that is not the prompt's matrix; 0 is --learning-rate."`
	Schedule       *string  `group:"Training" help:"Share of the rate at each step: constant, warmup=500, linear=1000, cosine=1000, rsqrt=1000, or a warm-up and one of these. linear and cosine alone end with the run."`
	WeightDecay    *float64 `group:"Training" placeholder:"R" help:"Weight decay; of adafactor, not multiplied by the rate."`
	InitialStep    *int64   `group:"Training" placeholder:"N" help:"Step that adafactor counts from; 0 for the textbook's."`
	ParameterScale *bool    `group:"Training" help:"Have adafactor multiply the rate by the size of what it moves."`
	ClipNorm       *float64 `group:"Training" placeholder:"R" help:"Bound on the gradient's norm, 0 for none."`
	Loss           *string  `group:"Training" help:"sum or mean over the target tokens, or labels: cross-entropy of choosing a label among all."`
	ZLoss          *float64 `group:"Training" placeholder:"R" help:"Factor of the z-loss."`
	Dropout        *float64 `group:"Training" placeholder:"R" help:"Dropout in the frozen model while training."`

	Choose    *string `group:"Choosing the best step" placeholder:"HOW" help:"held-out: on training rows kept back; validation: on the reported rows themselves, as the paper does, which flatters the score."`
	HeldOut   *int    `group:"Choosing the best step" placeholder:"N" help:"Training rows kept back to choose on; 0 is 500, or a fifth of them if that is less, or as many as --shots trains on."`
	EvalEvery *int    `group:"Choosing the best step" placeholder:"N" help:"Steps between two looks at them."`
	Patience  *int    `group:"Choosing the best step" placeholder:"N" help:"Looks without a better score before stopping, 0 for never."`
	LogEvery  *int    `group:"Training" placeholder:"N" help:"Steps between two lines of the log."`
	Window    *int    `group:"Training" placeholder:"N" help:"Batches whose rows are sorted by length together, 1 for none."`
	TrainRows *int    `group:"Training" placeholder:"N" help:"Training rows to use, 0 for all."`
	Shots     *int    `group:"Training" placeholder:"K" help:"Training rows of each label to use, drawn by the seed, 0 for all."`
	Balance   *bool   `group:"Training" help:"Show every label equally often: rows of the rarer ones are repeated."`
	Seed      *uint64 `group:"Training" placeholder:"N" help:"Seed of all that is random."`

	Device  *string `group:"Machine" help:"cpu, cuda, cuda:1, or the library of an execution provider."`
	Threads *int    `group:"Machine" placeholder:"N" help:"Threads of all workers together, 0 for one a core."`

	Precision *export.Precision `group:"Machine" placeholder:"P" help:"Numbers that products are computed in while training: fp32, int8, fp16 or bf16."`
	TF32      *bool             `name:"tf32" group:"Machine" help:"Let a card round the factors of float32 products to 10 bits: faster."`
	Memory    *string           `group:"Machine" placeholder:"HOW" help:"speed, or least: a row at a time, and what the backward pass needs computed anew."`
}

// origin says where the value of a setting came from: "flag", "default",
// "default of" a method, or the name of a file.
type origin = string

// given returns the flags that were given, by YAML key.
func (f *settingFlags) given() []string {
	var keys []string
	flags := reflect.ValueOf(f).Elem()
	for _, s := range settingKeys() {
		if !flags.FieldByName(s.name).IsNil() {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// named returns what flags and file say of method and task, without defaults,
// and the tasks, which commas separate.
func (f *settingFlags) named(file configFile) (s tune.Settings, tasksOf []string, err error) {
	from := map[string]origin{}
	if err := file.apply(&s, from); err != nil {
		return s, nil, err
	}
	f.apply(&s, from)
	if s.Task == "" {
		return s, nil, hint.Wrap(usagef("missing --task"), "a .yaml file, a table, or one of the tasks %s", strings.Join(tasks.Names(), ", "))
	}
	return s, strings.Split(s.Task, ","), nil
}

// effectiveOf is [settingFlags.effective] for a file that may be "", and one task.
func (f *settingFlags) effectiveOf(path string) (tune.Settings, map[string]origin, error) {
	file, err := readConfig(path)
	if err != nil {
		return tune.Settings{}, nil, err
	}
	named, names, err := f.named(file)
	if err != nil {
		return tune.Settings{}, nil, err
	}
	if len(names) > 1 {
		return tune.Settings{}, nil, usagef("want one task, not %s", named.Task)
	}
	return f.effective(file, named, names[0])
}

// effective puts the settings of a run together: flags over the file over the
// defaults of the method and the task. It also says where each value came
// from, by key.
func (f *settingFlags) effective(file configFile, named tune.Settings, name string) (tune.Settings, map[string]origin, error) {
	from := map[string]origin{}
	task, err := tasks.Open(name, named.Data)
	if err != nil {
		return tune.Settings{}, nil, err
	}
	s, err := tune.DefaultsOf(task, named.Method)
	if err != nil {
		return tune.Settings{}, nil, usageError{err}
	}
	for _, k := range settingKeys() {
		from[k.key] = "default"
	}
	if info, err := prompt.LookupMethod(s.Method); err == nil {
		for key := range info.Defaults {
			from[key] = "default of " + s.Method
		}
	}
	if err := file.apply(&s, from); err != nil {
		return tune.Settings{}, nil, err
	}
	f.apply(&s, from)
	s.Task = name // of several, this one
	if err := s.Check(); err != nil {
		return tune.Settings{}, nil, usageError{err}
	}
	return s, from, nil
}

// apply writes the flags that were given into s.
func (f *settingFlags) apply(s *tune.Settings, from map[string]origin) {
	flags, values := reflect.ValueOf(f).Elem(), reflect.ValueOf(s).Elem()
	for _, k := range settingKeys() {
		if v := flags.FieldByName(k.name); !v.IsNil() {
			values.FieldByName(k.name).Set(v.Elem())
			from[k.key] = "flag"
		}
	}
}

// settingKey is one field of [tune.Settings].
type settingKey struct{ name, key string }

// settingKeys lists the settings in the order of their declaration.
func settingKeys() []settingKey {
	t := reflect.TypeFor[tune.Settings]()
	keys := make([]settingKey, t.NumField())
	for i := range keys {
		keys[i] = settingKey{t.Field(i).Name, t.Field(i).Tag.Get("yaml")}
	}
	return keys
}

// showDefaults writes the defaults of the settings into the help of their
// flags, so that they are stated in one place.
func showDefaults(k *kong.Kong) error {
	var inits []string
	for _, f := range prompt.InitForms() {
		inits = append(inits, f.Form)
	}
	var methods []string
	for _, m := range prompt.Methods() {
		methods = append(methods, fmt.Sprintf("%s, %s", m.Name, m.Help))
	}
	defaults := reflect.ValueOf(tune.Defaults(&tasks.Task{}))
	for _, command := range k.Model.Leaves(false) {
		if _, has := command.Target.Type().FieldByName("settingFlags"); !has {
			continue
		}
		for _, flag := range command.Flags {
			flag.Help = strings.NewReplacer("INITS", strings.Join(inits, ", "), "METHODS", strings.Join(methods, "; "),
				"PLACEMENTS", strings.Join(prompt.Placements(), ", "), "VISIBILITIES", strings.Join(prompt.Visibilities(), ", ")).Replace(flag.Help)
			for _, s := range settingKeys() {
				v := defaults.FieldByName(s.name)
				if flag.Name != dashed(s.key) || v.IsZero() || s.key == "init" {
					continue
				}
				if s.key == "precision" && command.Name == "precision" {
					continue // bench precision is for others than that of training
				}
				flag.Help = fmt.Sprintf("%s (%v)", flag.Help, v)
			}
		}
	}
	return nil
}

// dashed turns the key of a setting into the name of its flag.
func dashed(key string) string { return strings.ReplaceAll(key, "_", "-") }
