package hint_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"softprompt/onnx/hint"
)

func TestWrap(t *testing.T) {
	if hint.Wrap(nil, "advice") != nil {
		t.Error("a nil error became one")
	}
	err := fmt.Errorf("opening model: %w", hint.Wrap(fs.ErrNotExist, "check %s", "the path"))
	if got, want := err.Error(), "opening model: file does not exist"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
	if got, want := hint.Of(err), "check the path"; got != want {
		t.Errorf("hint %q, want %q", got, want)
	}
	if got := hint.Of(hint.Wrap(err, "outer")); got != "outer" {
		t.Errorf("hint %q, want the outermost", got)
	}
	if got := hint.Of(errors.New("plain")); got != "" {
		t.Errorf("hint %q of a plain error", got)
	}
}

func ExampleWrap() {
	err := hint.Wrap(errors.New("no model named tony"), "did you mean tiny?")
	fmt.Println("error:", err)
	fmt.Println("hint:", hint.Of(err))
	// Output:
	// error: no model named tony
	// hint: did you mean tiny?
}
