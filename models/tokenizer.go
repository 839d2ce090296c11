package models

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"unicode/utf8"
)

// Tokenizer turns text into the ids of one model and back. Many goroutines
// may use it at once.
type Tokenizer struct {
	path    string // of what it was made from
	hash    string
	rows    int // of the model's embedding: ids stay below
	eos     int64
	encoder encoder
	files   func() (map[string][]byte, error)

	mu     sync.RWMutex // Close waits for calls under way
	closed bool
}

// encoder is a tokenizer of either kind: the library's, or ByT5's. Many
// goroutines may use it; close comes last.
type encoder interface {
	encode(text string) []uint32 // text without NUL, in UTF-8; no ids if it fails
	decode(ids []uint32) string  // passes over special and unknown ids
	vocabSize() int
	close()
}

// check tries the loaded tokenizer against the model's configuration.
func (t *Tokenizer) check(c Config) error {
	if size := t.encoder.vocabSize(); size > c.VocabSize {
		return fmt.Errorf("%d ids, but the model's embedding has %d rows: the tokenizer of another model", size, c.VocabSize)
	}
	for _, special := range []struct {
		token, key string
		id         int
	}{{"</s>", "eos_token_id", c.EOSID}, {"<pad>", "pad_token_id", c.PadID}} {
		ids := t.encoder.encode(special.token)
		if len(ids) != 1 {
			return fmt.Errorf("the special token %s is missing", special.token)
		}
		if int64(ids[0]) != int64(special.id) {
			return fmt.Errorf("%s is %d, but %s in config.json is %d: the tokenizer of another model", special.token, ids[0], special.key, special.id)
		}
	}
	// Encoding reports no failure, it gives no ids. The one way to fail that
	// a loaded tokenizer has left is a character it cannot represent.
	if len(t.encoder.encode("a\U0010FFFDa")) == 0 {
		return errors.New("characters outside the vocabulary cannot be encoded: there is no unknown token")
	}
	return nil
}

// cleanText replaces NUL, which would end the text at the border to the
// library, by a space, and what is not UTF-8 by U+FFFD: one for each longest
// beginning of a character, as Python and Rust do it.
// Source: The Unicode Standard, section 3.9, "U+FFFD Substitution of Maximal
// Subparts".
func cleanText(s string) string {
	s = strings.ReplaceAll(s, "\x00", " ")
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		_, n := utf8.DecodeRuneInString(s)
		if n == 1 && s[0] >= utf8.RuneSelf {
			b.WriteRune(utf8.RuneError)
			n = brokenLength(s)
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// brokenLength returns how many bytes at the start of s, which begins with no
// whole character, could have become one.
func brokenLength(s string) int {
	n := 1
	for n < len(s) && n < utf8.UTFMax && !utf8.FullRuneInString(s[:n]) && !utf8.RuneStart(s[n]) {
		n++
	}
	if utf8.FullRuneInString(s[:n]) && n > 1 {
		n-- // the last byte is what broke it
	}
	return n
}

// Encode returns the ids of a text, without the end-of-sequence id. Text that
// the tokenizer normalises away, such as spaces, gives none.
func (t *Tokenizer) Encode(text string) ([]int64, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return nil, errors.New("encoding text: the tokenizer is closed")
	}
	raw := t.encoder.encode(cleanText(text))
	ids := make([]int64, len(raw), len(raw)+1) // room for EOS
	for i, id := range raw {
		if int64(id) >= int64(t.rows) {
			return nil, fmt.Errorf("encoding text: %s gives id %d, but the model's embedding has %d rows", t.path, id, t.rows)
		}
		ids[i] = int64(id)
	}
	return ids, nil
}

// EncodeEOS returns the ids of a text and the end-of-sequence id, at most
// maxLen in all; cut says that the text did not fit. The end of sequence is
// kept when the text is cut, as the model has always seen one.
func (t *Tokenizer) EncodeEOS(text string, maxLen int) (ids []int64, cut bool, err error) {
	if maxLen < 1 {
		return nil, false, fmt.Errorf("encoding text: a length of %d has no room for the end of sequence", maxLen)
	}
	ids, err = t.Encode(text)
	if err != nil {
		return nil, false, err
	}
	if cut = len(ids) > maxLen-1; cut {
		ids = ids[:maxLen-1]
	}
	return append(ids, t.eos), cut, nil
}

// Decode returns the text of ids, without special tokens. Ids that the
// tokenizer does not know, -100 and unused rows among them, are passed over.
func (t *Tokenizer) Decode(ids []int64) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return ""
	}
	raw := make([]uint32, 0, len(ids))
	for _, id := range ids {
		if id >= 0 && id <= math.MaxUint32 {
			raw = append(raw, uint32(id))
		}
	}
	return t.encoder.decode(raw)
}

// VocabSize returns how many ids the tokenizer knows, special ones included;
// the model's embedding may have more rows.
func (t *Tokenizer) VocabSize() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return 0
	}
	return t.encoder.vocabSize()
}

// Hash returns a SHA-256, in hexadecimal, that tells tokenizers apart which
// give texts different ids. It is the same however the tokenizer is written
// down, as spiece.model or as tokenizer.json of any version.
func (t *Tokenizer) Hash() string { return t.hash }

// Files returns the contents of the files, by name, that make this tokenizer
// in another folder: tokenizer.json, made from spiece.model if there is no
// other, or the tokenizer_config.json of a ByT5.
func (t *Tokenizer) Files() (map[string][]byte, error) { return t.files() }

// Close frees the tokenizer once no call uses it. A second Close does nothing.
func (t *Tokenizer) Close() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		t.encoder.close()
	}
	return nil
}
