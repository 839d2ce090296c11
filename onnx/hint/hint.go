// Package hint attaches advice to errors. Library code that knows what the
// user could do next calls [Wrap]; the command line prints what [Of] finds on
// a line of its own, so that the error itself stays one plain sentence.
package hint

import (
	"errors"
	"fmt"
)

// hinted is an error that carries advice. Its message is the inner error's.
type hinted struct {
	error
	advice string
}

func (h *hinted) Unwrap() error { return h.error }

// Wrap returns err with advice attached; nil stays nil. The advice is a
// sentence without a capital and without a full stop.
func Wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// Of returns the outermost advice in err's chain, or "".
func Of(err error) string {
	var h *hinted
	if errors.As(err, &h) {
		return h.advice
	}
	return ""
}
