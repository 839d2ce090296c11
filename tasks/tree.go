package tasks

import (
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
)

// Tree is a split that is published as one text file a row, each class in a
// folder of its own.
type Tree struct {
	Folder  string   // below one of the task's folders
	Classes []string // its folders, in class order
}

// is tells whether a folder looks like the tree.
func (t *Tree) is(fsys fs.FS) bool {
	for _, class := range t.Classes {
		if info, err := fs.Stat(fsys, class); err == nil && info.IsDir() {
			return true
		}
	}
	return false
}

// rows reads the files *.txt in the order of their names, one of each class in
// turn, so that the first rows are of all classes. The text goes to the first
// of the task's fields, a last line end taken off, and the class to its label.
// Invalid UTF-8, a NUL, a file of more than 1 MiB and a class without a file
// are errors.
func (t *Tree) rows(fsys fs.FS, task *Task) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var files [][]string // of each class
		longest := 0
		for _, class := range t.Classes {
			names, err := fs.Glob(fsys, class+"/*.txt")
			if err == nil && len(names) == 0 {
				err = fmt.Errorf("%s has no .txt files", class)
			}
			if err != nil {
				yield(Record{}, err)
				return
			}
			files = append(files, names)
			longest = max(longest, len(names))
		}
		for i := range longest {
			for class, names := range files {
				if i >= len(names) {
					continue
				}
				text, err := readText(fsys, names[i])
				if err != nil {
					err = fmt.Errorf("%s: %w", names[i], err)
				}
				if !yield(Record{
					File:   names[i],
					Fields: map[string]string{task.Fields[0]: text, task.LabelField: task.LabelValues[class]},
				}, err) || err != nil {
					return
				}
			}
		}
	}
}

// readText reads a small text file.
func readText(fsys fs.FS, name string) (string, error) {
	f, err := openFile(fsys, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLine+1))
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case err != nil:
		return "", err
	case len(data) > maxLine:
		return "", fmt.Errorf("longer than %d bytes, so no row of text", maxLine)
	}
	return text, checkText(text)
}
