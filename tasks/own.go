package tasks

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"softprompt/onnx/hint"
)

// What a task that a file defines has where the file says nothing.
const (
	ownHeldOut     = 0.2 // of the training rows are the validation split
	ownMaxInput    = 512
	ownMaxLabel    = 16 // tokens of a label word
	ownMaxAnswer   = 64 // tokens of a text
	ownMaxClasses  = 100
	maxDefinition  = 1 << 20 // bytes of a task's YAML
	ownTextColumn  = "text"
	ownLabelColumn = "label"
)

// own is what a task keeps of the file that defines it.
type own struct {
	definition Definition // with all defaults filled in
	folder     string     // where its files are
}

// IsFile tells whether a reference to a task is a file that defines one, not
// a name: it ends as YAML or as a table does.
func IsFile(ref string) bool { return isYAML(ref) || isTable(ref) }

func isYAML(ref string) bool {
	ending := strings.ToLower(filepath.Ext(ref))
	return ending == ".yaml" || ending == ".yml"
}

func isTable(ref string) bool {
	_, err := formatOf(filepath.ToSlash(ref), "")
	return err == nil
}

// Open returns the task that a reference means: a name as [Lookup] takes it, a
// YAML file as [Definition] says, or a table with the columns text and label.
// A YAML file's own paths are seen from its folder, or from data, where that
// is not "". Where it names no classes, they are read from its training file.
func Open(ref, data string) (*Task, error) {
	switch {
	case isYAML(ref):
		text, err := readDefinition(ref)
		if err != nil {
			return nil, fmt.Errorf("opening the task: %w", err)
		}
		return taskOf(text, ref, data)
	case isTable(ref):
		d := Definition{Files: map[Split]string{Train: filepath.Base(ref)}}
		return d.named(ref).Task(folderOf(filepath.Dir(ref), "", data))
	}
	t, err := Lookup(ref)
	if err != nil && strings.ContainsAny(ref, `./\`) {
		return nil, hint.Wrap(err, "a task of your own is a .yaml file, or a table: %s", formatNames())
	}
	return t, err
}

// taskOf opens the task that a YAML text defines, read from a file.
func taskOf(text []byte, path, data string) (*Task, error) {
	d, err := ParseDefinition(text)
	if err != nil {
		return nil, fmt.Errorf("opening the task %s: %w", path, err)
	}
	t, err := d.named(path).Task(folderOf(filepath.Dir(path), d.Folder, data))
	if err != nil {
		return nil, fmt.Errorf("opening the task %s: %w", path, err)
	}
	return t, nil
}

// readDefinition reads a YAML file whole.
func readDefinition(path string) ([]byte, error) {
	f, err := openFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDefinition+1))
	if err == nil && len(text) > maxDefinition {
		err = fmt.Errorf("%s has more than %d bytes, so it is no task", path, maxDefinition)
	}
	return text, err
}

// named gives the definition the name of its file where it has none.
func (d *Definition) named(path string) *Definition {
	if d.Name == "" {
		base := strings.TrimSuffix(filepath.Base(path), ".gz")
		d.Name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	return d
}

// folderOf says where a task's files are.
func folderOf(beside, folder, data string) string {
	switch {
	case data != "":
		return data
	case filepath.IsAbs(folder):
		return folder
	}
	return filepath.Join(beside, folder)
}

// Task makes the task, its files looked for in a folder.
func (d *Definition) Task(folder string) (*Task, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	o := &own{definition: *d, folder: folder}
	if err := o.fill(); err != nil {
		return nil, err
	}
	f := &o.definition
	t := &Task{
		Name: f.Name, Description: f.Description, Fields: f.Fields, Template: f.Template,
		MaxInput: int(f.MaxInput), MaxTarget: int(f.MaxTarget),
		Folders: []string{"."}, Files: map[Split]File{}, LabelField: f.Label,
		Part: f.HeldOut, Shots: int(f.Shots), Balance: f.Balance, Cut: f.Cut,
		Prepare: o.prepare, own: o,
	}
	for _, class := range f.Labels {
		t.Labels = append(t.Labels, class.Name)
		t.LabelValues = append(t.LabelValues, class.Texts[0])
	}
	var err error
	if len(t.Labels) > 0 {
		if t.Verbalizer, err = f.verbalizer(); err != nil {
			return nil, err
		}
	}
	if t.Metrics, err = metricsByName(f.Metrics, len(t.Labels)); err != nil {
		return nil, err
	}
	for split, name := range f.Files {
		ending, err := formatOf(filepath.ToSlash(name), f.Format)
		if err != nil {
			return nil, err
		}
		t.Files[split] = File{Name: name, Read: formats[ending](f.columns(split))}
	}
	if t.Cut != "" && !slices.Contains(t.Fields, t.Cut) {
		return nil, fmt.Errorf("cut is %q, want one of the fields %s", t.Cut, strings.Join(t.Fields, ", "))
	}
	return t, t.validate()
}

// Definition returns what defines the task, every default filled in, or nil
// where the task is not from a file.
func (t *Task) Definition() *Definition {
	if t.own == nil {
		return nil
	}
	d := t.own.definition
	return &d
}

// Home is the folder that the files of a task from a file are in, else "".
func (t *Task) Home() string {
	if t.own == nil {
		return ""
	}
	return t.own.folder
}

// columns says what is read of a split's file.
func (d *Definition) columns(split Split) Columns {
	answer := d.Label + d.Answer // one of the two
	c := Columns{Names: append(slices.Clone(d.Fields), answer), List: d.Answer}
	if split == Test {
		c.Maybe = []string{answer}
	}
	return c
}

// prepare gives a record the first of the values that mean its class, or the
// answer as a list.
func (o *own) prepare(r *Record) error {
	d := &o.definition
	if d.Answer != "" {
		if text := r.Fields[d.Answer]; len(r.Answers) == 0 && text != "" {
			r.Answers = []string{text}
		}
		_, there := r.Fields[d.Answer]
		if there && !slices.ContainsFunc(r.Answers, func(a string) bool { return strings.TrimSpace(a) != "" }) {
			return fmt.Errorf("the %s is empty", d.Answer)
		}
		return nil
	}
	for _, class := range d.Labels {
		if value, ok := r.Fields[d.Label]; ok && slices.Contains(class.Texts, value) {
			r.Fields[d.Label] = class.Texts[0]
		}
	}
	return nil
}

// open finds a file of the task, in the given folder if that is not "".
func (o *own) open(file File, data string) (iter.Seq2[Record, error], string, error) {
	name := filepath.FromSlash(file.Name)
	if !filepath.IsAbs(name) {
		name = filepath.Join(folderOf(o.folder, "", data), name)
	}
	for _, ending := range []string{"", ".gz"} {
		path := name + ending
		rows, err := file.rows(os.DirFS(filepath.Dir(path)), filepath.Base(path))
		if !errors.Is(err, fs.ErrNotExist) {
			return rows, path, err
		}
	}
	return nil, "", hint.Wrap(fmt.Errorf("there is no file %s", name), "files are looked for beside the task's YAML, or in the folder of --data")
}
