package main

import (
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// brokenWriter fails from the given write on.
type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

// TestServeEnds when it cannot answer, cannot step or cannot count.
func TestServeEnds(t *testing.T) {
	no := errors.New("no more")
	good := func() (any, error) { return stepped{1, 2}, nil }
	end := func() (memory, error) { return memory{}, nil }
	for _, c := range []struct {
		name string
		out  io.Writer
		step func() (any, error)
		end  func() (memory, error)
		want error
	}{
		{"hello is not heard", &brokenWriter{0}, good, end, io.ErrClosedPipe},
		{"a step is not heard", &brokenWriter{1}, good, end, io.ErrClosedPipe},
		{"the end is not heard", &brokenWriter{2}, good, end, io.ErrClosedPipe},
		{"a step fails", io.Discard, func() (any, error) { return nil, no }, end, no},
		{"memory cannot be counted", io.Discard, good, func() (memory, error) { return memory{}, no }, no},
		{"all is well", io.Discard, good, end, nil},
	} {
		if err := serve(strings.NewReader("step\n"), c.out, work32, commands{"step": c.step}, c.end); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if err := serve(io.MultiReader(strings.NewReader("step\n"), errReader{}), io.Discard, work32, commands{"step": good}, end); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("commands that break off: %v", err)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestRunCommand decodes what a command prints, and repeats what it said when
// it failed.
func TestRunCommand(t *testing.T) {
	var p peak
	if err := run(exec.CommandContext(t.Context(), "echo", `{"gflops": 5, "shape": [1,2,3], "library": "x"}`), &p); err != nil || p != (peak{5, [3]int64{1, 2, 3}, "x", false}) {
		t.Errorf("%+v, %v", p, err)
	}
	for _, c := range []struct{ script, want string }{
		{"echo no CPU >&2; exit 4", "exit status 4; it said:\n  no CPU"},
		{"echo no CPU >&2", "it ended before it answered; it said:\n  no CPU"},
		{"echo loaded", `it answered "loaded\n"`},
	} {
		err := run(exec.CommandContext(t.Context(), "sh", "-c", c.script), &p)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "running sh -c") {
			t.Errorf("%s: error %v, want %q", c.script, err, c.want)
		}
	}
}

// TestStartPeerFails when there is no such program.
func TestStartPeerFails(t *testing.T) {
	p, err := startPeer(t.Context(), "ghost", exec.CommandContext(t.Context(), "/nowhere/python"))
	if p != nil || err == nil || !strings.Contains(err.Error(), "starting ghost: ") {
		t.Errorf("error %v", err)
	}
}

// TestComparable: each thing that peers are told has to be the same.
func TestComparable(t *testing.T) {
	for name, change := range map[string]func(r *ready){
		"threads":   func(r *ready) { r.Threads = 1 },
		"optimizer": func(r *ready) { r.Optimizer = "adafactor" },
		"dropout":   func(r *ready) { r.Dropout = 0.1 },
		"targets":   func(r *ready) { r.Targets = 5 },
		"batch":     func(r *ready) { r.Batch = []int64{16, 127} },
		"prompt":    func(r *ready) { r.Prompt = []int64{99, 8} },
	} {
		other := work32
		change(&other)
		err := comparable([]*peer{{name: "a", hello: work32}, {name: "b", hello: work32}, {name: "c", hello: other}})
		if err == nil || !strings.Contains(err.Error(), "a and c were given different work") {
			t.Errorf("other %s: %v", name, err)
		}
	}
	same := work32
	same.DType, same.Torch, same.Ready = "bfloat16", "2.0", 9
	if err := comparable([]*peer{{name: "a", hello: work32}, {name: "b", hello: same}}); err != nil {
		t.Errorf("the same work: %v", err)
	}
}

// TestChosen keeps the order that was asked for.
func TestChosen(t *testing.T) {
	got, err := chosen("peft-bf16, softprompt")
	if err != nil || len(got) != 2 || got[0].dtype != "bfloat16" || got[1].dtype != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if withPython(got[1:]) || !withPython(got) {
		t.Error("PEFT alone needs Python")
	}
	for _, names := range []string{"", "peft,", "PEFT", "softprompt;peft"} {
		if got, err := chosen(names); err == nil || !strings.Contains(err.Error(), "want some of softprompt, softprompt-int8, peft, peft-bf16") {
			t.Errorf("%q: %+v, %v", names, got, err)
		}
	}
}

// TestTables: both forms hold every cell, and columns stand under each other.
func TestTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 4).Draw(t, "columns")
		cells := rapid.SliceOfN(rapid.StringMatching(`[a-zä×0-9.]{1,8}`), width, width)
		tab := &table{head: cells.Draw(t, "head")}
		for range rapid.IntRange(0, 4).Draw(t, "rows") {
			tab.add(cells.Draw(t, "row")...)
		}
		rows := append([][]string{tab.head}, tab.rows...)
		var text, markdown strings.Builder
		tab.text(&text)
		tab.markdown(&markdown)
		lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
		marks := strings.Split(strings.TrimSuffix(markdown.String(), "\n"), "\n")
		if len(lines) != len(rows) || len(marks) != len(rows)+1 || !strings.HasPrefix(marks[1], "| ---") {
			t.Fatalf("%d rows, printed\n%s\n%s", len(rows), &text, &markdown)
		}
		marks = slices.Delete(marks, 1, 2)
		end := len([]rune(lines[0]))
		for i, row := range rows {
			if got := strings.Fields(lines[i]); !slices.Equal(got, row) {
				t.Fatalf("row %q is printed as %q", row, lines[i])
			}
			if marks[i] != "| "+strings.Join(row, " | ")+" |" {
				t.Fatalf("row %q is printed as %q", row, marks[i])
			}
			if width > 1 && len([]rune(lines[i])) != end {
				t.Fatalf("the last column is not aligned:\n%s", &text)
			}
		}
	})
}
