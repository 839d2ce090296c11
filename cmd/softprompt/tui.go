package main

// What softprompt says, and where:
//
//   - stdout carries results alone: tables for people, JSON with --json. It
//     can be piped and parsed.
//   - stderr carries the rest, one line a message, with the prefix
//     "softprompt: ". No capitals at the start, no full stop at the end.
//   - An error is one line, "softprompt: error: …", and a line of advice where
//     there is some, "softprompt: hint: …". What is wrong with the result, but
//     did not keep it from being made, is a "softprompt: warning: …".
//   - A progress bar is drawn on a terminal alone; elsewhere progress is a
//     line now and then. --quiet leaves out both, and notes.
//   - Exit codes: 0, 1 for a failure, 2 for a wrong call, 130 when interrupted.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/vbauerster/mpb/v8/cwriter"

	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
)

// tui is where commands read and write.
type tui struct {
	stdin  io.Reader
	stdout io.Writer
	stderr *console
	log    *slog.Logger
	json   bool
	quiet  bool

	downloads *downloads
}

func newTUI(stdin io.Reader, stdout, stderr io.Writer) *tui {
	con := &console{w: stderr}
	ui := &tui{stdin: stdin, stdout: stdout, stderr: con, log: slog.New(&warnings{to: con})}
	ui.downloads = &downloads{ui: ui, files: map[string]*download{}}
	return ui
}

// set takes over the flags that all commands share.
func (ui *tui) set(c cli) {
	ui.json, ui.quiet = c.JSON, c.Quiet
	if c.Verbose {
		ui.log = slog.New(slog.NewTextHandler(ui.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// console is stderr. While a progress bar is drawn there, lines go through it,
// so that they appear above the bar.
type console struct {
	mu sync.Mutex
	w  io.Writer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.w.Write(p)
}

// swap redirects the console and returns where it went before.
func (c *console) swap(w io.Writer) io.Writer {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.w
	c.w = w
	return old
}

// terminal tells whether someone is looking at stderr.
func (c *console) terminal() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.w.(*os.File)
	return ok && cwriter.IsTerminal(int(f.Fd()))
}

// line writes one line to stderr.
func (ui *tui) line(kind, format string, args ...any) {
	text := strings.ReplaceAll(strings.TrimSpace(fmt.Sprintf(format, args...)), "\n", "; ")
	fmt.Fprintf(ui.stderr, "softprompt: %s%s\n", kind, text)
}

// note says what is going on.
func (ui *tui) note(format string, args ...any) {
	if !ui.quiet {
		ui.line("", format, args...)
	}
}

func (ui *tui) warn(format string, args ...any) { ui.line("warning: ", format, args...) }

func (ui *tui) errorWithHint(advice, format string, args ...any) {
	ui.line("error: ", format, args...)
	if advice != "" {
		ui.line("hint: ", "%s", advice)
	}
}

// fail reports the error that ended a command and returns its exit code.
func (ui *tui) fail(err error) int {
	ui.errorWithHint(advice(err), "%v", err)
	return exitCode(err)
}

// advice is what the user could do next: what the library advises, or what is
// known of errors from outside.
func advice(err error) string {
	if a := hint.Of(err); a != "" {
		return a
	}
	var usage usageError
	if errors.As(err, &usage) {
		return fmt.Sprintf("softprompt %s--help tells what there is", commandIn(err))
	}
	for _, known := range []struct {
		is     error
		advice string
	}{
		{syscall.ENOSPC, "free some space on that disk; what was saved before is whole"},
		{syscall.EDQUOT, "free some of your space on that disk; what was saved before is whole"},
		{syscall.EFBIG, "raise the limit on the size of files (ulimit -f); what was saved before is whole"},
		{fs.ErrPermission, "choose a place that you may read and write"},
		{fs.ErrNotExist, "check the path"},
		{ort.ErrOutOfMemory, "a smaller --micro-batch, --length or --max-input takes less memory"},
	} {
		if errors.Is(err, known.is) {
			return known.advice
		}
	}
	return ""
}

// commandIn names the command that a parse error came up in, with a space
// behind it, or nothing.
func commandIn(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			return node.Path() + " "
		}
	}
	return ""
}

// emit prints a result as JSON, indented.
func (ui *tui) emit(v any) error {
	e := json.NewEncoder(ui.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// emitLine prints a result as one line of JSON.
func (ui *tui) emitLine(v any) error {
	e := json.NewEncoder(ui.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (ui *tui) printf(format string, args ...any) { fmt.Fprintf(ui.stdout, format, args...) }
