package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"softprompt/onnx/hint"
)

const (
	batchLines = 64      // texts that are read before they are answered
	maxLine    = 8 << 20 // bytes of a line of stdin
)

// eachBatch hands texts on in batches, in order: those of the command line, or
// else the lines of stdin. Where the task has several fields, a text is a JSON
// object with all of them.
func eachBatch(ctx context.Context, stdin io.Reader, texts, fields []string, do func([]string) error) error {
	if len(texts) > 0 {
		return do(texts)
	}
	lines := bufio.NewScanner(stdin)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var batch []string
	n := 0
	for lines.Scan() {
		n++
		text, err := parseLine(lines.Text(), fields)
		if err != nil {
			return fmt.Errorf("reading stdin: line %d: %w", n, err)
		}
		if batch = append(batch, text); len(batch) < batchLines {
			continue
		}
		if err := do(batch); err != nil {
			return err
		}
		batch = nil
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("the line is longer than %s", sizeText(maxLine))
		}
		return fmt.Errorf("reading stdin: line %d: %w", n+1, err)
	}
	if len(batch) == 0 {
		return nil
	}
	return do(batch)
}

// parseLine returns the text of a line: the line itself, or of a JSON object
// the field "text", or the task's own only field. Where there are several
// fields, the task reads the object.
func parseLine(line string, fields []string) (string, error) {
	if !strings.HasPrefix(strings.TrimSpace(line), "{") || len(fields) > 1 {
		return line, nil
	}
	var object map[string]any
	err := json.Unmarshal([]byte(line), &object)
	for _, field := range append([]string{"text"}, fields...) {
		if text, ok := object[field].(string); ok && err == nil {
			return text, nil
		}
	}
	if err == nil {
		err = errors.New("the object has no \"text\"")
	}
	return "", hint.Wrap(fmt.Errorf("a line that begins with { is a JSON object: %w", err), "write {\"text\": \"…\"}, or a plain text")
}
