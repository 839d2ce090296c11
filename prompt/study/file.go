package study

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"softprompt/onnx/hint"
)

// File is a study.
type File struct {
	Name        string `yaml:"name"`        // default: the file's name
	Description string `yaml:"description"` // what it repeats, one line
	Plan        `yaml:",inline"`
	// Full is what the experiment was at its real size: each of its keys takes
	// the place of the plan's, settings of the base one by one.
	Full Plan `yaml:"full"`
}

// Plan says which runs are made, and what becomes of them.
type Plan struct {
	// Base has the settings of all runs, by the keys of a run's config.yaml.
	// What it leaves open are the defaults of task and method.
	Base Values `yaml:"base"`
	// Vary is what is varied: one run for each combination of its axes.
	Vary []Axis `yaml:"vary"`
	// Seeds is the number of runs of each combination, 1 by default.
	Seeds int `yaml:"seeds"`
	// Transfer lists what the prompts are scored on besides, as they are.
	Transfer []Target `yaml:"transfer"`
	// Ensemble has the seeds of each combination vote.
	Ensemble bool `yaml:"ensemble"`
}

// Target is a split of another task.
type Target struct {
	Task  string `yaml:"task" json:"task"`
	Split string `yaml:"split" json:"split"` // default: validation
}

// Axis is one thing that is varied: a setting and its values, or names for
// settings that change together.
//
//   - length: [1, 5, 20]
//   - method:
//     prompt-tuning: {length: 100}
//     dept: {method: dept, length: 60}
type Axis struct {
	Name   string
	Values []Choice
}

// Choice is one value of an axis.
type Choice struct {
	Name     string
	Settings Values
}

// Values are settings by key, in the order of the file.
type Values []Value

// Value is one setting.
type Value struct {
	Key  string
	Node *yaml.Node
}

// with returns the values with others over them.
func (v Values) with(over Values) Values {
	out := slices.Clone(v)
	for _, o := range over {
		at := slices.IndexFunc(out, func(x Value) bool { return x.Key == o.Key })
		if at < 0 {
			out = append(out, o)
		} else {
			out[at] = o
		}
	}
	return out
}

// UnmarshalYAML reads a mapping of plain values.
func (v *Values) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: want settings, as {length: 20}", node.Line)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if value.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: %s is no single value", value.Line, key.Value)
		}
		if slices.ContainsFunc(*v, func(x Value) bool { return x.Key == key.Value }) {
			return fmt.Errorf("line %d: %s is there twice", key.Line, key.Value)
		}
		*v = append(*v, Value{key.Value, value})
	}
	return nil
}

// UnmarshalYAML reads the two forms of an axis.
func (a *Axis) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode || len(node.Content) != 2 {
		return fmt.Errorf("line %d: want one thing that is varied, as \"length: [1, 5]\"", node.Line)
	}
	value := node.Content[1]
	a.Name = node.Content[0].Value
	switch value.Kind {
	case yaml.SequenceNode:
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				return fmt.Errorf("line %d: %s wants single values, or names with settings", item.Line, a.Name)
			}
			a.Values = append(a.Values, Choice{item.Value, Values{{a.Name, item}}})
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(value.Content); i += 2 {
			c := Choice{Name: value.Content[i].Value}
			if err := c.Settings.UnmarshalYAML(value.Content[i+1]); err != nil {
				return err
			}
			a.Values = append(a.Values, c)
		}
	}
	if len(a.Values) == 0 {
		return fmt.Errorf("line %d: %s has no values", value.Line, a.Name)
	}
	return nil
}

// Bounds of a study: the bytes of its file, and the combinations it asks for.
const (
	maxFile     = 1 << 20
	maxVariants = 10_000
)

// Load reads a study.
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a study: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("more than %d bytes, so it is no study", maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the study %s: %w", path, err)
	}
	s, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading the study %s: %w", path, err)
	}
	if s.Name == "" {
		s.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	return s, nil
}

// Parse reads the YAML of a study. A key that is not known is an error that
// names the line; whether settings are known is for [File.Variants] to say.
func Parse(data []byte) (*File, error) {
	var f File
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	err := d.Decode(&f)
	if err == nil && d.Decode(new(yaml.Node)) != io.EOF {
		err = errors.New("more than one document")
	}
	if err == io.EOF {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return nil, hint.Wrap(errors.New(plain(err)), "the least is\n    base: {model: tiny, task: sst2}\n    vary: [{length: [5, 20]}]")
	}
	return &f, errors.Join(f.Plan.check(), f.Full.check())
}

// plain takes our types' names out of YAML's messages.
func plain(err error) string {
	text := strings.NewReplacer(" in type study.File", "", " in type study.Plan", "", "unmarshal errors:\n  ", "", "\n  ", "; ").Replace(err.Error())
	return strings.TrimPrefix(text, "yaml: ")
}

// check reports what makes no sense whatever the settings are.
func (p Plan) check() error {
	if p.Seeds < 0 || p.Seeds > 1000 {
		return fmt.Errorf("seeds is %d, want 1 to 1000", p.Seeds)
	}
	combinations := 1
	for i, a := range p.Vary {
		if combinations *= len(a.Values); combinations > maxVariants {
			return fmt.Errorf("vary: more than %d combinations", maxVariants)
		}
		for j, c := range a.Values {
			if slices.ContainsFunc(a.Values[:j], func(o Choice) bool { return o.Name == c.Name }) {
				return fmt.Errorf("vary: %s has %s twice", a.Name, c.Name)
			}
		}
		if slices.ContainsFunc(p.Vary[:i], func(o Axis) bool { return o.Name == a.Name }) {
			return fmt.Errorf("vary: %s is there twice", a.Name)
		}
	}
	for _, t := range p.Transfer {
		if t.Task == "" {
			return errors.New("transfer: a task is missing")
		}
	}
	return nil
}

// plan returns the small plan or the full one.
func (f *File) plan(full bool) Plan {
	p := f.Plan
	if !full {
		return p
	}
	p.Base = p.Base.with(f.Full.Base)
	if f.Full.Vary != nil {
		p.Vary = f.Full.Vary
	}
	if f.Full.Seeds > 0 {
		p.Seeds = f.Full.Seeds
	}
	if f.Full.Transfer != nil {
		p.Transfer = f.Full.Transfer
	}
	p.Ensemble = p.Ensemble || f.Full.Ensemble
	return p
}

// Set changes what a file says: a setting of the base, or the values of what
// is varied under that name, which commas separate.
func (f *File) Set(key, value string) {
	for _, p := range []*Plan{&f.Plan, &f.Full} {
		at := slices.IndexFunc(p.Vary, func(a Axis) bool { return a.Name == key })
		if at < 0 {
			if p == &f.Plan || p.Base != nil {
				p.Base = p.Base.with(Values{{key, scalar(value)}})
			}
			continue
		}
		var values []Choice
		for _, v := range strings.Split(value, ",") {
			values = append(values, Choice{v, Values{{key, scalar(v)}}})
		}
		p.Vary = slices.Clone(p.Vary)
		p.Vary[at] = Axis{key, values}
	}
}

func scalar(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: value}
}
