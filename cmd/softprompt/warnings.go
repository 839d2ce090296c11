package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// warnings is the log handler for people: of what the library logs it shows
// warnings and worse, in the form of tui.go.
type warnings struct {
	to    io.Writer
	attrs []slog.Attr
}

func (w *warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	var details []string
	add := func(a slog.Attr) bool {
		details = append(details, fmt.Sprintf("%s %v", a.Key, a.Value))
		return true
	}
	for _, a := range w.attrs {
		add(a)
	}
	r.Attrs(add)
	text := r.Message
	if len(details) > 0 {
		text += " (" + strings.Join(details, ", ") + ")"
	}
	_, err := fmt.Fprintf(w.to, "softprompt: warning: %s\n", strings.ReplaceAll(text, "\n", "; "))
	return err
}

func (w *warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &warnings{w.to, append(append([]slog.Attr(nil), w.attrs...), attrs...)}
}

func (w *warnings) WithGroup(string) slog.Handler { return w }
