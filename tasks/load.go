package tasks

import (
	"compress/gzip"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"softprompt/onnx/hint"
)

// Split is a part of a data set. Tune on Train, choose on a part of it that
// [HoldOut] keeps back, report on Validation; Test has no labels in GLUE.
type Split string

// The splits of a data set. The mismatched ones are MNLI's, of texts from
// other sources than those trained on.
const (
	Train                Split = "train"
	Validation           Split = "validation"
	ValidationMismatched Split = "validation_mismatched"
	Test                 Split = "test"
	TestMismatched       Split = "test_mismatched"
)

// splitOrder is the order in which splits are listed.
var splitOrder = []Split{Train, Validation, ValidationMismatched, Test, TestMismatched}

// File is one split's file: its name, to which .gz may be added on disk, and
// its format. Where there is a Tree, that is read if there is no file.
type File struct {
	Name string
	Read Reader
	Tree *Tree
}

// LoadOptions says what [Task.Load] reads.
type LoadOptions struct {
	Data  string // folder with the task's files; "" is what travels with the project
	Limit int    // only the first rows; 0 or less is all of them
}

// travelling holds data/<task>/<file>.gz, so that a task can be tried before
// anything is downloaded. Its README gives origin and terms.
//
//go:embed data
var travelling embed.FS

// Load reads a split in file order. Every error of a row names the file, the
// line and what was expected; nothing is skipped or repaired. Rows of a split
// without labels have Label -1. Where a task has no validation file but
// Part, that split is a part of the training rows, the same in every run,
// and Train is the others.
func (t *Task) Load(ctx context.Context, split Split, opts LoadOptions) ([]Example, error) {
	if t.isPart(split) {
		return t.loadPart(ctx, split, opts)
	}
	rows, name, err := t.read(split, opts.Data)
	if err != nil {
		return nil, err
	}
	var examples []Example
	for ex, err := range rows {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, badRow(err, t, ctx))
		}
		examples = append(examples, ex)
		if len(examples) == opts.Limit {
			break
		}
	}
	return examples, nil
}

// read returns the rows of a split's file, each an example or what is wrong
// with it, and the file's name.
func (t *Task) read(split Split, data string) (iter.Seq2[Example, error], string, error) {
	if err := t.validate(); err != nil {
		return nil, "", err
	}
	if _, ok := t.Files[split]; !ok {
		return nil, "", t.noSplit(split)
	}
	rows, name, err := t.open(split, data)
	if err != nil {
		return nil, "", fmt.Errorf("task %s: %w", t.Name, err)
	}
	return func(yield func(Example, error) bool) {
		index := 0
		for record, err := range rows {
			var ex Example
			if err == nil {
				ex, err = t.example(split, index, record)
			}
			if err == nil {
				index++
			}
			if !yield(ex, err) {
				return
			}
		}
	}, name, nil
}

// badRow adds the advice for a file that does not read, unless the reading
// was merely cancelled.
func badRow(err error, t *Task, ctx context.Context) error {
	switch {
	case ctx.Err() != nil || hint.Of(err) != "":
		return err
	case t.own != nil:
		return hint.Wrap(err, "softprompt tasks check lists every bad row of the task")
	}
	return hint.Wrap(err, "mend or remove the row, or get the file again from %s", t.Source)
}

// example turns one record into an example, or says what is wrong with it.
func (t *Task) example(split Split, index int, r Record) (Example, error) {
	if t.Prepare != nil {
		if err := t.Prepare(&r); err != nil {
			return Example{}, fmt.Errorf("%s: %w", r.place(), err)
		}
	}
	for _, name := range t.Fields {
		if strings.TrimSpace(r.Fields[name]) == "" && !slices.Contains(t.Blank, name) {
			return Example{}, fmt.Errorf("%s: the %s is empty", r.place(), name)
		}
	}
	label := -1
	if value, ok := r.Fields[t.LabelField]; ok {
		if label = slices.Index(t.LabelValues, value); label < 0 {
			return Example{}, fmt.Errorf("%s: the %s is %.40q, want %s",
				r.place(), t.LabelField, value, strings.Join(t.LabelValues, " or "))
		}
	}
	input, err := t.Cast(r.Fields)
	if err != nil {
		return Example{}, fmt.Errorf("%s: %w", r.place(), err)
	}
	from, to := t.giving(r.Fields)
	ex := Example{
		ID:      fmt.Sprintf("%s:%d", split, index),
		Index:   index,
		Input:   input,
		Label:   label,
		Target:  t.Verbalizer.Target(label),
		Answers: r.Answers, Choices: r.Choices, Group: r.Group,
		CutFrom: from, CutTo: to,
	}
	switch {
	case t.Targets != nil:
		if targets := t.Targets(ex); len(targets) > 0 {
			ex.Target = targets[0]
		}
	case ex.Target == "" && len(r.Answers) > 0:
		ex.Target = r.Answers[0]
	}
	return ex, nil
}

// Splits lists the splits that the task has.
func (t *Task) Splits() []Split {
	return slices.DeleteFunc(slices.Clone(splitOrder), func(s Split) bool {
		_, ok := t.Files[s]
		return !ok && !t.isPart(s)
	})
}

// noSplit is the error of a split that the task does not have.
func (t *Task) noSplit(split Split) error {
	splits := t.Splits()
	var names []string
	for _, s := range splits {
		names = append(names, string(s))
	}
	err := fmt.Errorf("task %s has no split %q, want one of %s", t.Name, split, strings.Join(names, ", "))
	if split == Train {
		return hint.Wrap(err, "it is for prompts of another task: softprompt eval DIR --task %s --split %s", t.Name, splits[0])
	}
	return err
}

// open finds the file of a split in the data folder, or among what travels
// with the project, and returns its rows and its name for messages.
func (t *Task) open(split Split, data string) (iter.Seq2[Record, error], string, error) {
	file := t.Files[split]
	if t.own != nil {
		return t.own.open(file, data)
	}
	if data == "" {
		rows, err := file.rows(travelling, path.Join("data", t.Name, file.Name+".gz"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", hint.Wrap(
				fmt.Errorf("%s does not travel with the project", file.Name), "%s", t.layout("DIR", file))
		}
		return rows, path.Join("embedded", t.Name, file.Name), err
	}
	if info, err := os.Stat(data); err != nil {
		return nil, "", hint.Wrap(fmt.Errorf("opening the data folder: %w", err), "%s", t.layout("DIR", file))
	} else if !info.IsDir() {
		return nil, "", hint.Wrap(fmt.Errorf("opening the data folder: %s is not a folder", data),
			"give the folder that holds %s", file.Name)
	}
	for _, folder := range t.Folders {
		dir := filepath.Join(data, filepath.FromSlash(folder))
		file, ok := t.form(os.DirFS(dir))[split]
		if !ok {
			continue
		}
		if name := file.find(os.DirFS(dir)); name != "" {
			rows, err := file.rows(os.DirFS(dir), name)
			return rows, filepath.Join(dir, name), err
		}
		if file.Tree != nil {
			tree := filepath.Join(dir, file.Tree.Folder)
			if fsys := os.DirFS(tree); file.Tree.is(fsys) {
				return file.Tree.rows(fsys, t), tree, nil
			}
		}
	}
	if rows, name, err := t.openHub(split, data); !errors.Is(err, fs.ErrNotExist) {
		return rows, name, err
	}
	return nil, "", hint.Wrap(
		fmt.Errorf("no %s in %s, nor below it in %s", file.Name, data, strings.Join(t.Folders[:len(t.Folders)-1], " or ")),
		"%s", t.layout(data, file))
}

// form returns the form in which the task's files lie in a folder: the first
// of which there is any. Splits are never put together from two forms, whose
// rows may overlap.
func (t *Task) form(fsys fs.FS) map[Split]File {
	for _, files := range slices.Concat([]map[Split]File{t.Files}, t.Others) {
		for _, file := range files {
			if file.find(fsys) != "" {
				return files
			}
		}
	}
	return t.Files
}

// find returns the name under which the file is in a folder, or "". Where the
// folder is itself a file, such as an archive, there is none in it.
func (file File) find(fsys fs.FS) string {
	for _, name := range []string{file.Name, file.Name + ".gz"} {
		if _, err := fs.Stat(fsys, name); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return name
		}
	}
	return ""
}

// rows opens a file and returns its rows, at whose end it is closed.
func (file File) rows(fsys fs.FS, name string) (iter.Seq2[Record, error], error) {
	f, err := openFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return func(yield func(Record, error) bool) {
		defer f.Close()
		file.Read(f)(yield)
	}, nil
}

// Travels tells whether a part of the task's data comes with the project, so
// that it can be loaded without a data folder.
func (t *Task) Travels() bool {
	_, err := fs.Stat(travelling, path.Join("data", t.Name))
	return err == nil
}

// Wanted lists where the task's files go below a data folder, for people: the
// first of the places that are looked at, splits in order, no file twice.
func (t *Task) Wanted() []string {
	var names []string
	for _, s := range splitOrder {
		file, ok := t.Files[s]
		if name := path.Join(t.Folders[0], file.Name); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// layout is the advice for a file that is not there.
func (t *Task) layout(data string, file File) string {
	advice := fmt.Sprintf("get it from %s, and put it at %s for --data %s",
		t.Source, filepath.Join(data, t.Folders[0], file.Name), data)
	if t.Travels() {
		advice += "; without --data, the part that travels with softprompt is read"
	}
	return advice
}

// openFile opens a plain file and unpacks it where its name ends in .gz.
func openFile(fsys fs.FS, name string) (io.ReadCloser, error) {
	// Stat first: opening a named pipe would wait for ever.
	if info, err := fs.Stat(fsys, name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("opening %s: not a plain file", name)
	}
	f, err := fsys.Open(name)
	if err != nil || path.Ext(name) != ".gz" {
		return f, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("unpacking %s: %w", name, err)
	}
	return unpacked{z, f}, nil
}

// unpacked reads what a packed file holds and closes the file itself.
type unpacked struct {
	io.Reader
	io.Closer
}
