package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// A peer is a process that holds one model and is driven line by line. It says
// ready when the model is loaded, answers each line that names a command, and
// says what memory it took when its standard input ends. A trainer knows the
// command step; who evaluates knows rank, rank-shared and greedy.
// The scripts bench_*.py of tools/reference are peers, and step.go and
// evaluate.go softprompt's.

// ready is the first line of a peer.
type ready struct {
	Ready     float64 `json:"ready"` // seconds to load the model
	DType     string  `json:"dtype"` // of the frozen weights
	Threads   int     `json:"threads"`
	Optimizer string  `json:"optimizer"`
	Dropout   float64 `json:"dropout"`
	Batch     []int64 `json:"batch"` // [B,S] of the longest batch
	Targets   int64   `json:"targets"`
	Prompt    []int64 `json:"prompt"` // [P,d]
	Attention string  `json:"attention,omitempty"`
	Torch     string  `json:"torch,omitempty"`
	Runtime   string  `json:"onnxruntime,omitempty"`
}

// stepped answers a step: forward, backward and update.
type stepped struct {
	Seconds float64 `json:"seconds"`
	Loss    float64 `json:"loss"` // before the update
}

// evaluated answers a pass over all rows of the file.
type evaluated struct {
	Seconds float64     `json:"seconds"`
	Scores  [][]float64 `json:"scores,omitempty"` // [row][candidate]: log-probability
	IDs     [][]int64   `json:"ids,omitempty"`    // [row]: what was written, without EOS
}

// memory is the last line of a peer, in bytes.
type memory struct {
	Peak      int64 `json:"peak_rss_bytes"`
	Resident  int64 `json:"rss_bytes"`
	Anonymous int64 `json:"anonymous_bytes"`
	File      int64 `json:"file_bytes"` // mapped files, weights among them
}

// commands has what a peer does at each line.
type commands map[string]func() (any, error)

// serve is the other end of the protocol: it says hello, runs a command for
// each line and end at the end.
func serve(in io.Reader, out io.Writer, hello ready, known commands, end func() (memory, error)) error {
	w := json.NewEncoder(out)
	if err := w.Encode(hello); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		run, ok := known[lines.Text()]
		if !ok {
			return fmt.Errorf("unknown command %q: want %s", lines.Text(), strings.Join(slices.Sorted(maps.Keys(known)), " or "))
		}
		answer, err := run()
		if err != nil {
			return err
		}
		if err := w.Encode(answer); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	m, err := end()
	if err != nil {
		return err
	}
	return w.Encode(m)
}

// decodeLine reads one line into v. Every field of the line is to be one of
// v's, so that an answer is never taken for another.
func decodeLine(r *bufio.Reader, v any) error {
	line, err := r.ReadBytes('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) == 0:
		return errors.New("it ended before it answered")
	case errors.Is(err, io.EOF):
		return fmt.Errorf("it ended within its answer %.200q", line)
	case err != nil:
		return err
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	err = d.Decode(v)
	if _, end := d.Token(); err == nil && !errors.Is(end, io.EOF) {
		err = errors.New("there is more in the line than an answer")
	}
	if err == nil && string(bytes.TrimSpace(line)) == "null" {
		err = errors.New("there is nothing in it")
	}
	if err != nil {
		return fmt.Errorf("it answered %.200q: %w", line, err)
	}
	return nil
}
