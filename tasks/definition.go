package tasks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"softprompt/onnx/hint"
)

// Definition is a task as a YAML file has it. Only Files is needed: a file
// with the columns text and label is a whole task. What is left out has a
// default, and [Open] fills in what follows from the data.
type Definition struct {
	Name        string `yaml:"name,omitempty"`        // default: the file's name
	Description string `yaml:"description,omitempty"` // one line for people

	Folder string           `yaml:"folder,omitempty"` // where the files are, seen from the YAML file; default: beside it
	Files  map[Split]string `yaml:"files"`            // train, validation, test
	Format string           `yaml:"format,omitempty"` // tsv, csv, jsonl, json or parquet; default: by the ending

	Template Template `yaml:"template,omitempty"` // default: "{text}"
	Fields   []string `yaml:"fields,omitempty"`   // columns that are input; default: those of the template

	Label     string `yaml:"label,omitempty"`     // the column of the class; default: label, where there is no answer
	Labels    Words  `yaml:"labels,omitempty"`    // classes, and the values that mean them; default: the column's values, sorted
	Words     Words  `yaml:"words,omitempty"`     // label words of the classes, the one to train on first; default: the classes
	Aggregate string `yaml:"aggregate,omitempty"` // as in [Verbalizer]
	Norm      string `yaml:"norm,omitempty"`

	Answer string `yaml:"answer,omitempty"` // the column of the text to write, in a task without classes

	Metrics   Texts   `yaml:"metrics,omitempty"`    // by name; default: accuracy, or em and f1 of texts
	HeldOut   float64 `yaml:"held_out,omitempty"`   // training rows in place of a validation file: a share, or from 1 on a number; default: 0.2
	Shots     Whole   `yaml:"shots,omitempty"`      // training rows of each class; default: all
	Balance   bool    `yaml:"balance,omitempty"`    // show every class equally often
	MaxInput  Whole   `yaml:"max_input,omitempty"`  // tokens, EOS included; default: 512
	MaxTarget Whole   `yaml:"max_target,omitempty"` // default: 16, of texts 64
	Cut       string  `yaml:"cut,omitempty"`        // the field that gives way where an input is too long; default: the input's end
}

// ParseDefinition reads a task's YAML. A key that is not known, or is there
// twice, is an error, which names the line.
func ParseDefinition(data []byte) (*Definition, error) {
	var d Definition
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	err := dec.Decode(&d)
	if err == nil && dec.Decode(new(yaml.Node)) != io.EOF {
		err = errors.New("more than one document")
	}
	if err == io.EOF {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("not a task: %w", plainYAML(err)), "the least is\n    files: {train: FILE.tsv}\nfor a file with the columns text and label")
	}
	return &d, d.check()
}

// plainYAML takes the name of our type out of YAML's messages.
func plainYAML(err error) error {
	text := strings.ReplaceAll(err.Error(), " in type tasks.Definition", "")
	text = strings.ReplaceAll(strings.TrimPrefix(text, "yaml: "), "unmarshal errors:\n  ", "")
	return errors.New(strings.ReplaceAll(text, "\n  ", "; "))
}

// check reports what makes no sense whatever the data is.
func (d *Definition) check() error {
	switch {
	case d.Files[Train] == "":
		return hint.Wrap(errors.New("files names no train"), "write files: {train: FILE.tsv}")
	case d.Answer != "" && (d.Label != "" || len(d.Labels) > 0 || len(d.Words) > 0):
		return errors.New("answer is for a task of text, and label, labels and words for one of classes: give one of the two")
	case !(d.HeldOut >= 0) || d.HeldOut > 1 && d.HeldOut != float64(int(d.HeldOut)):
		return fmt.Errorf("held_out is %v, want a share between 0 and 1, or a number of rows", d.HeldOut)
	case d.Shots < 0 || d.MaxInput < 0 || d.MaxTarget < 0:
		return errors.New("shots, max_input and max_target cannot be negative")
	case strings.ContainsAny(d.Name, "\n\t\x00") || strings.ContainsAny(d.Description, "\n\x00"):
		return errors.New("name and description are one line each")
	}
	for split, name := range d.Files {
		if split != Train && split != Validation && split != Test {
			return fmt.Errorf("files has a split %.40q, want train, validation or test", split)
		}
		if name == "" {
			return hint.Wrap(fmt.Errorf("files names no %s", split), "leave it out where there is none")
		}
	}
	return nil
}

// Portable returns the definition without a trace of the machine it was on:
// no folder, and of files elsewhere the name alone.
func (d *Definition) Portable() *Definition {
	c := *d
	c.Folder, c.Files = "", map[Split]string{}
	for split, name := range d.Files {
		if !filepath.IsLocal(name) {
			name = filepath.Base(name)
		}
		c.Files[split] = name
	}
	return &c
}

// YAML writes the definition as [ParseDefinition] reads it.
func (d *Definition) YAML() ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("writing task %s: %w", d.Name, err)
	}
	return out.Bytes(), nil
}

// Whole is a whole number. For an int, YAML's reader would cut a fraction off.
type Whole int

// UnmarshalYAML takes no fraction.
func (w *Whole) UnmarshalYAML(node *yaml.Node) error {
	if node.ShortTag() != "!!int" {
		return fmt.Errorf("line %d: %.40q, want a whole number", node.Line, node.Value)
	}
	return node.Decode((*int)(w))
}

// Texts is one text or several in a list.
type Texts []string

// UnmarshalYAML takes numbers and truth values as they are written, so that
// 01 and no stay what a file has.
func (t *Texts) UnmarshalYAML(node *yaml.Node) error {
	items := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		items = node.Content
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: want a text, or a list of texts", item.Line)
		}
		*t = append(*t, item.Value)
	}
	return nil
}

// MarshalYAML writes a single text as one, and all of them in quotes.
func (t Texts) MarshalYAML() (any, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, text := range t {
		list.Content = append(list.Content, quoted(text))
	}
	if len(t) == 1 {
		return list.Content[0], nil
	}
	return list, nil
}

// Words is a mapping from names to texts that keeps its order. A list of
// names stands for names that are their own text.
type Words []NamedTexts

// NamedTexts is an entry of [Words].
type NamedTexts struct {
	Name  string
	Texts Texts
}

// UnmarshalYAML reads a mapping or a list.
func (w *Words) UnmarshalYAML(node *yaml.Node) error {
	add := func(name *yaml.Node, value *yaml.Node) error {
		if name.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: want a name", name.Line)
		}
		for _, known := range *w {
			if known.Name == name.Value {
				return fmt.Errorf("line %d: %q is there twice", name.Line, name.Value)
			}
		}
		entry := NamedTexts{Name: name.Value}
		err := entry.Texts.UnmarshalYAML(value)
		*w = append(*w, entry)
		return err
	}
	switch node.Kind {
	case yaml.SequenceNode:
		for _, item := range node.Content {
			if err := add(item, item); err != nil {
				return err
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if err := add(node.Content[i], node.Content[i+1]); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("line %d: want a list of names, or \"name: text\" for each", node.Line)
	}
	return nil
}

// MarshalYAML writes the mapping.
func (w Words) MarshalYAML() (any, error) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, entry := range w {
		texts, err := entry.Texts.MarshalYAML()
		if err != nil {
			return nil, err
		}
		out.Content = append(out.Content, quoted(entry.Name), texts.(*yaml.Node))
	}
	return out, nil
}

// quoted is a text that no reader takes for a number or a truth value.
func quoted(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: text}
}
