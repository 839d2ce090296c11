package tune

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"softprompt/onnx/atomicfile"
	"softprompt/prompt"
	"softprompt/tasks"
)

// TaskFile in a run folder is the task of a run whose task is the user's own:
// the YAML, with its classes and its folder named, so that the run goes on as
// it began whatever becomes of the file.
const TaskFile = "task.yaml"

// openTask returns the task that settings name. One from a file is that of the
// run folder where it has one.
func openTask(s Settings, dir string) (*tasks.Task, error) {
	ref := s.Task
	if copied := filepath.Join(dir, TaskFile); dir != "" && tasks.IsFile(ref) {
		if _, err := os.Stat(copied); err == nil {
			ref = copied
		}
	}
	return tasks.Open(ref, s.Data)
}

// writeTask puts the run's task into its folder, if it is from a file.
func writeTask(dir string, t *tasks.Task) error {
	d := t.Definition()
	if d == nil {
		return nil
	}
	folder, err := filepath.Abs(t.Home())
	if err != nil {
		return err
	}
	d.Folder = folder
	text, err := d.YAML()
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, TaskFile), text)
}

// definitionOf is what a prompt's file keeps of a task that is from a file.
func definitionOf(t *tasks.Task) (string, error) {
	d := t.Definition()
	if d == nil {
		return "", nil
	}
	text, err := d.Portable().YAML()
	return string(text), err
}

// metaTask returns the task that a prompt was tuned for, from its own file
// where the task was the user's.
func metaTask(m prompt.Meta) (*tasks.Task, error) {
	if m.Definition == "" {
		return tasks.Lookup(m.Task)
	}
	d, err := tasks.ParseDefinition([]byte(m.Definition))
	if err != nil {
		return nil, err
	}
	return d.Task("")
}

// DataOf returns the folder that a run read its task's files from; "" is what
// travels with the project, or that there is no run in the folder.
func DataOf(dir string) (string, error) {
	s, err := ReadSettings(dir)
	if err != nil || s.Data != "" {
		return s.Data, err
	}
	text, err := os.ReadFile(filepath.Join(dir, TaskFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	d, err := tasks.ParseDefinition(text)
	if err != nil {
		return "", err
	}
	return d.Folder, nil
}
