package tune

import (
	"encoding/json"
	"fmt"
	"os"
)

// journal is a file of JSON lines that only grows. A run that resumes cuts it
// back to the length that its state remembers.
type journal struct {
	f    *os.File
	size int64
}

// openJournal opens or creates the file and keeps its first size bytes. A file
// that is shorter has lost lines, and nothing can be resumed from it.
func openJournal(path string, size int64) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() < size {
		err = fmt.Errorf("it has %d bytes, the saved state knows of %d", info.Size(), size)
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return &journal{f: f, size: size}, nil
}

// add appends one object as a line, in one write.
func (j *journal) add(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing %s: %w", j.f.Name(), err)
	}
	return j.write(append(line, '\n'))
}

func (j *journal) write(data []byte) error {
	n, err := j.f.Write(data)
	j.size += int64(n)
	if err != nil {
		return fmt.Errorf("writing %s: %w", j.f.Name(), err)
	}
	return nil
}

// sync makes what was added last through a crash.
func (j *journal) sync() error {
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", j.f.Name(), err)
	}
	return nil
}

func (j *journal) close() error { return j.f.Close() }
