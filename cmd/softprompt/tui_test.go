package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"softprompt/onnx/hint"
	"softprompt/prompt/tune"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("bad"), exitFailure},
		{usagef("wrong"), exitUsage},
		{hint.Wrap(usagef("wrong"), "so"), exitUsage},
		{fmt.Errorf("%w after step 3: %w", tune.ErrStopped, context.Canceled), exitInterrupted},
		{fmt.Errorf("reading: %w", context.Canceled), exitInterrupted},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// TestFail says an error in one line, with the advice that there is.
func TestFail(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("it broke\nin two"), "softprompt: error: it broke; in two\n"},
		{hint.Wrap(errors.New("it broke"), "mend it"), "softprompt: error: it broke\nsoftprompt: hint: mend it\n"},
		{fmt.Errorf("writing x: %w", syscall.ENOSPC), "softprompt: error: writing x: no space left on device\nsoftprompt: hint: free some space on that disk; what was saved before is whole\n"},
		{fmt.Errorf("opening x: %w", fs.ErrPermission), "softprompt: error: opening x: permission denied\nsoftprompt: hint: choose a place that you may read and write\n"},
		{usagef("wrong"), "softprompt: error: wrong\nsoftprompt: hint: softprompt --help tells what there is\n"},
		{resumable(fmt.Errorf("%w after step 2", tune.ErrStopped), "my run"), "softprompt: error: stopped after step 2\nsoftprompt: hint: softprompt train --resume 'my run' goes on\n"},
	} {
		var out bytes.Buffer
		newTUI(nil, io.Discard, &out).fail(c.err)
		if out.String() != c.want {
			t.Errorf("got %q, want %q", out.String(), c.want)
		}
	}
}

// TestPanic is not shown to a user as Go shows it.
func TestPanic(t *testing.T) {
	var out bytes.Buffer
	code := run([]string{"predict", "x"}, nil, badWriter{}, &out)
	if code == exitOK || strings.Contains(out.String(), "goroutine") {
		t.Errorf("code %d, %s", code, &out)
	}
	code = run([]string{"version"}, nil, badWriter{}, &out)
	if code != exitFailure || !strings.Contains(out.String(), "softprompt: error: internal error: a writer that panics\nsoftprompt: hint: ") {
		t.Errorf("code %d, %s", code, &out)
	}
}

type badWriter struct{}

func (badWriter) Write([]byte) (int, error) { panic("a writer that panics") }

func TestWarnings(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(&warnings{to: &out})
	log.Info("not shown")
	log.Warn("the prompt is long", "length", 5)
	log.With("model", "tiny").WithGroup("g").Error("two\nlines")
	want := "softprompt: warning: the prompt is long (length 5)\nsoftprompt: warning: two; lines (model tiny)\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// TestProgress shows a line for each new score, and others only now and then.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	ui := newTUI(nil, io.Discard, &out)
	report, done := ui.progress(tune.Settings{})
	report(tune.Event{Step: 2, Steps: 20, Loss: 3, BestStep: -1, Rate: 100, Left: 4 * time.Second})
	report(tune.Event{Step: 5, Steps: 20, Score: 60, Best: 60, Evaluated: true, Loss: 9})
	report(tune.Event{Step: 10, Steps: 20, Loss: 2.5, Score: 60, Best: 60, Rate: 100, Left: 3 * time.Second})
	report(tune.Event{Step: 20, Steps: 20, Loss: 9, Score: 70, Best: 70, BestStep: 20, Rate: 100, Evaluated: true, Reported: 4848})
	done()
	want := `softprompt: step 2/20  loss 3.000  100 rows/s  4.0s left
softprompt: step 5/20  loss 3.000  held-out 60.0  best 60.0 at 0
softprompt: step 20/20  loss 2.500  held-out 70.0  best 70.0 at 20  100 rows/s  0s left
softprompt: comparing on the 4,848 validation rows: no prompt, the prompt before tuning and after
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
	ui.quiet = true
	if report, _ := ui.progress(tune.Settings{}); report != nil {
		t.Error("progress in spite of --quiet")
	}
}

func TestTables(t *testing.T) {
	var out bytes.Buffer
	ui := newTUI(nil, &out, io.Discard)
	ui.numbers([]string{"", "a"}, []string{"long name", "1.0", "2"}, []string{"ä", "10.0"})
	ui.table(cells("x", 1), cells("longer", "y"))
	want := "             a\nlong name   1.0  2\nä          10.0\nx       1\nlonger  y\n"
	want = strings.Replace(want, "             a\n", "              a\n", 1)
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), "0"},
		{count(999), "999"},
		{count(1000), "1,000"},
		{count(11278080), "11,278,080"},
		{count(-1234), "-1,234"},
		{count(-123), "-123"},
		{sizeText(999), "999 bytes"},
		{sizeText(1000), "1.0 kB"},
		{sizeText(45_123_840), "45.1 MB"},
		{sizeText(3e9), "3.0 GB"},
		{percent(0.256), "25.6 %"},
		{about(1500 * time.Microsecond), "2ms"},
		{about(3210 * time.Millisecond), "3.2s"},
		{about(83400 * time.Millisecond), "1m23s"},
		{about(123456), "120µs"},
		{short("ä"), "ä"},
		{short(strings.Repeat("ä", 90)), strings.Repeat("ä", 79) + "…"},
		{shellWord("runs/a-1"), "runs/a-1"},
		{shellWord("my run"), "'my run'"},
		{shellWord(""), "''"},
		{shellWord("it's"), `'it'\''s'`},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// TestEachBatch hands lines on in order, in parts, and refuses what is none.
func TestEachBatch(t *testing.T) {
	var lines []string
	for i := range 150 {
		lines = append(lines, fmt.Sprint("line ", i))
	}
	var got []string
	var sizes []int
	err := eachBatch(t.Context(), strings.NewReader(strings.Join(lines, "\n")), nil, nil, func(texts []string) error {
		got, sizes = append(got, texts...), append(sizes, len(texts))
		return nil
	})
	if err != nil || strings.Join(got, "\n") != strings.Join(lines, "\n") || fmt.Sprint(sizes) != "[64 64 22]" {
		t.Errorf("batches %v, error %v", sizes, err)
	}
	for text, want := range map[string]string{
		"fine\n{\"text\": 5}\n":         "stdin: line 2",
		"{}":                            `line 1: a line that begins with { is a JSON object: the object has no "text"`,
		strings.Repeat("x", maxLine+10): "line 1: the line is longer than 8.4 MB",
	} {
		err := eachBatch(t.Context(), strings.NewReader(text), nil, nil, func([]string) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: error %v, want %q", text, err, want)
		}
	}
	stop := errors.New("stop")
	if err := eachBatch(t.Context(), nil, []string{"a"}, nil, func([]string) error { return stop }); err != stop {
		t.Errorf("error %v", err)
	}
}
