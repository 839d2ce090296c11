package models

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"softprompt/onnx/hint"
)

// Tokenizer turns text into the ids of one model and back. Many goroutines
// may use it at once.
type Tokenizer struct {
	path   string
	hash   string
	rows   int // of the model's embedding: ids stay below
	eos    int64
	native native

	mu     sync.RWMutex // Close waits for calls under way
	closed bool
}

// openTokenizer reads tokenizer.json from a model's folder and checks that it
// belongs to a model of this configuration.
func openTokenizer(dir string, c Config) (*Tokenizer, error) {
	path := filepath.Join(dir, "tokenizer.json")
	data, err := readWhole(path, indexLimit)
	if errors.Is(err, fs.ErrNotExist) {
		advice := "copy or download the model's tokenizer.json into its folder"
		if _, serr := os.Stat(filepath.Join(dir, "spiece.model")); serr == nil {
			advice = "spiece.model alone is not enough yet; make it once: python -c \"import sys, transformers as t; t.AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])\" DIR"
		}
		return nil, hint.Wrap(err, "%s", advice)
	}
	if err != nil {
		return nil, err
	}
	t, err := newTokenizer(data, c)
	if err != nil {
		err = fmt.Errorf("reading %s: %w", path, err)
		if hint.Of(err) == "" {
			err = hint.Wrap(err, "take tokenizer.json from where the model is from: copy or download it again")
		}
		return nil, err
	}
	t.path = path
	return t, nil
}

// newTokenizer loads and checks the content of a tokenizer.json.
func newTokenizer(data []byte, c Config) (*Tokenizer, error) {
	clean, err := cleanTokenizer(data)
	if err != nil {
		return nil, err
	}
	n, err := newNative(clean)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	t := &Tokenizer{hash: hex.EncodeToString(sum[:]), rows: c.VocabSize, eos: int64(c.EOSID), native: n}
	if err := t.check(c); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// check tries the loaded tokenizer against the model's configuration.
func (t *Tokenizer) check(c Config) error {
	if size := t.native.vocabSize(); size > c.VocabSize {
		return fmt.Errorf("%d ids, but the model's embedding has %d rows: the tokenizer of another model", size, c.VocabSize)
	}
	for _, special := range []struct {
		token, key string
		id         int
	}{{"</s>", "eos_token_id", c.EOSID}, {"<pad>", "pad_token_id", c.PadID}} {
		ids := t.native.encode(special.token)
		if len(ids) != 1 {
			return fmt.Errorf("the special token %s is missing", special.token)
		}
		if int64(ids[0]) != int64(special.id) {
			return fmt.Errorf("%s is %d, but %s in config.json is %d: the tokenizer of another model", special.token, ids[0], special.key, special.id)
		}
	}
	// Encoding reports no failure, it gives no ids. The one way to fail that
	// a loaded tokenizer has left is a character it cannot represent.
	if len(t.native.encode("a\U0010FFFDa")) == 0 {
		return errors.New("characters outside the vocabulary cannot be encoded: there is no unknown token")
	}
	return nil
}

// cleanText replaces NUL, which would end the text at the border to the
// library, by a space. What is not UTF-8 the library itself reads as U+FFFD.
func cleanText(s string) string { return strings.ReplaceAll(s, "\x00", " ") }

// Encode returns the ids of a text, without the end-of-sequence id. Text that
// the tokenizer normalises away, such as spaces, gives none.
func (t *Tokenizer) Encode(text string) ([]int64, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return nil, errors.New("encoding text: the tokenizer is closed")
	}
	raw := t.native.encode(cleanText(text))
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
	return t.native.decode(raw)
}

// VocabSize returns how many ids the tokenizer knows, special ones included;
// the model's embedding may have more rows.
func (t *Tokenizer) VocabSize() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return 0
	}
	return t.native.vocabSize()
}

// Hash returns the SHA-256 of tokenizer.json in hexadecimal.
func (t *Tokenizer) Hash() string { return t.hash }

// Close frees the tokenizer once no call uses it. A second Close does nothing.
func (t *Tokenizer) Close() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		t.native.close()
	}
	return nil
}
