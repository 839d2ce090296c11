package models

// The tokenizer library is linked from the tree, where `make deps` puts it.

// #cgo LDFLAGS: -L${SRCDIR}/../.deps/lib
import "C"

import "github.com/daulet/tokenizers"

// native is the library's tokenizer behind the calls that we use. Its methods
// keep no state, so that many goroutines may call them; close must be last.
// Text with a NUL byte would be cut there, and tokenizer.json must have been
// through tokenizerFile.check: the library ends the process on some broken ones.
type native struct{ t *tokenizers.Tokenizer }

func newNative(tokenizerJSON []byte) (native, error) {
	t, err := tokenizers.FromBytes(tokenizerJSON)
	return native{t}, err
}

// encode gives the ids alone, without what a template would add. Failure and
// empty text both give none.
func (n native) encode(text string) []uint32 {
	return n.t.EncodeWithOptions(text, false).IDs
}

func (n native) decode(ids []uint32) string { return n.t.Decode(ids, true) }

func (n native) vocabSize() int { return int(n.t.VocabSize()) }

func (n native) close() { n.t.Close() }
