package models

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The tokenizer library is written for files of its own making: on some broken
// ones it panics, which across the language border ends the process. What could
// make it do so is refused here first, and what softprompt does not use is
// taken out.

// tokenizerFile is a tokenizer.json.
type tokenizerFile struct {
	Version       string       `json:"version"`
	Truncation    any          `json:"truncation"`
	Padding       any          `json:"padding"`
	AddedTokens   []addedToken `json:"added_tokens"`
	Normalizer    any          `json:"normalizer"`
	PreTokenizer  any          `json:"pre_tokenizer"`
	PostProcessor any          `json:"post_processor"`
	Decoder       any          `json:"decoder"`
	Model         *unigram     `json:"model"`
}

// addedToken is a token that is found in a text before anything else is done
// to it.
type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"` // takes the white space before it along
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"` // looked for after normalisation
	Special    bool   `json:"special"`    // left out when ids become text

	bare bool // given as its text alone
}

// unigram is the model of every T5's tokenizer: the likeliest way to cut a word
// into pieces. Source: Kudo, "Subword Regularization" (2018).
type unigram struct {
	Type         string  `json:"type"`
	UnkID        *int64  `json:"unk_id"`
	Vocab        []piece `json:"vocab"`
	ByteFallback bool    `json:"byte_fallback"`
}

// piece is an entry of the vocabulary; its place is its id.
type piece struct {
	Text  string
	Score float64 // logarithm of its probability
}

// MarshalJSON writes [text, score].
func (p piece) MarshalJSON() ([]byte, error) { return json.Marshal([2]any{p.Text, p.Score}) }

// UnmarshalJSON reads [text, score].
func (p *piece) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("the piece %.40s is no pair of text and score", data)
	}
	if err := json.Unmarshal(pair[0], &p.Text); err != nil {
		return err
	}
	return json.Unmarshal(pair[1], &p.Score)
}

// components lists, for each part of a tokenizer.json, the kinds that
// tokenizers of T5-like models are made of. The library knows others, some of
// which panic on settings that it does not check.
var components = map[string][]string{
	"model":         {"Unigram"},
	"normalizer":    {"Sequence", "Precompiled", "Replace", "Strip", "Prepend", "Lowercase", "StripAccents", "NFC", "NFD", "NFKC", "NFKD", "Nmt"},
	"pre_tokenizer": {"Sequence", "Metaspace", "WhitespaceSplit", "Whitespace", "Digits", "Punctuation"},
	"decoder":       {"Sequence", "Metaspace", "ByteFallback", "Replace", "Fuse"},
}

// A piece is a branch of a tree that the library takes down by recursion, so
// a long one overflows its stack; all of them together are the tree's nodes.
// The longest of a T5 has 50 bytes, mT5's 250,000 have two million. Added
// tokens, of which UMT5 has 300, are compared with one another.
const (
	pieceLimit  = 4 << 10
	piecesLimit = 16 << 20
	addedLimit  = 10_000
)

// plainRegexp matches the regular expressions that a Replace may have: at most
// one repetition, at the end. Others can take so long that the library panics.
var plainRegexp = regexp.MustCompile(`^[^()|*+?{}]*([*+?]|\{\d*,?\d*\})?$`)

// parseTokenizer reads a tokenizer.json and checks it.
func parseTokenizer(data []byte) (*tokenizerFile, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	// The library puts text from the file into its error messages, which
	// cannot hold NUL.
	if bytes.Contains(data, []byte(`\u0000`)) {
		return nil, errors.New("a token with a NUL character")
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, fmt.Errorf("no JSON object: %w", err)
	}
	if len(top["model"]) == 0 {
		return nil, errors.New("no model in it: not a tokenizer.json")
	}
	var kind struct{ Type *string }
	if err := json.Unmarshal(top["model"], &kind); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if kind.Type == nil {
		return nil, errors.New("model: no type")
	}
	if err := checkComponent("model", map[string]any{"type": *kind.Type}); err != nil {
		return nil, err
	}
	var f tokenizerFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	return &f, f.check()
}

// check refuses what the library could not take.
func (f *tokenizerFile) check() error {
	total := 0
	for id, p := range f.Model.Vocab {
		if len(p.Text) > pieceLimit {
			return fmt.Errorf("piece %d of the vocabulary has %d bytes, at most %d are allowed", id, len(p.Text), pieceLimit)
		}
		if math.Abs(p.Score) > math.MaxFloat32 {
			return fmt.Errorf("piece %d of the vocabulary, %q, has the score %g", id, p.Text, p.Score)
		}
		if strings.Contains(p.Text, "\x00") {
			return fmt.Errorf("piece %d of the vocabulary, %q, has a NUL character", id, p.Text)
		}
		total += len(p.Text)
	}
	if n := len(f.AddedTokens); n > addedLimit {
		return fmt.Errorf("%d added tokens, at most %d are allowed", n, addedLimit)
	}
	for _, t := range f.AddedTokens {
		if len(t.Content) > pieceLimit {
			return fmt.Errorf("the added token %d has %d bytes, at most %d are allowed", t.ID, len(t.Content), pieceLimit)
		}
		if strings.Contains(t.Content, "\x00") {
			return fmt.Errorf("the added token %q has a NUL character", t.Content)
		}
		total += len(t.Content)
	}
	if total > piecesLimit {
		return fmt.Errorf("a vocabulary of %d bytes, at most %d are allowed", total, piecesLimit)
	}
	return cmp.Or(checkComponent("normalizer", f.Normalizer), checkComponent("pre_tokenizer", f.PreTokenizer), checkComponent("decoder", f.Decoder))
}

// library returns the file for the library: without truncation, padding and
// post-processor, whose work EncodeEOS does. Every part is written anew, so
// that the library sees what was checked even where a key came twice.
func (f *tokenizerFile) library() ([]byte, error) {
	clean := *f
	clean.Truncation, clean.Padding, clean.PostProcessor = nil, nil, nil
	clean.AddedTokens = append([]addedToken{}, f.AddedTokens...) // never null
	return json.Marshal(clean)
}

// sequences has the key of a Sequence's list in each part.
var sequences = map[string]string{"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders"}

// checkComponent checks a part of a tokenizer.json and what is inside it.
func checkComponent(part string, v any) error {
	if v == nil {
		return nil
	}
	settings, _ := v.(map[string]any)
	kind, _ := settings["type"].(string)
	if !slices.Contains(components[part], kind) {
		return fmt.Errorf("the %s is of type %q, wanted one of %s", part, settings["type"], strings.Join(components[part], ", "))
	}
	switch kind {
	case "Sequence":
		list, ok := settings[sequences[part]].([]any)
		if !ok {
			return fmt.Errorf("the %s is a Sequence without %s", part, sequences[part])
		}
		for _, inner := range list {
			if inner == nil {
				return fmt.Errorf("the %s is a Sequence with null in it", part)
			}
			if err := checkComponent(part, inner); err != nil {
				return err
			}
		}
	case "Replace":
		pattern, _ := settings["pattern"].(map[string]any)
		if text, ok := pattern["Regex"].(string); ok && !plainRegexp.MatchString(text) {
			return fmt.Errorf("the %s has the regular expression %q, wanted one that repeats nothing but its end, such as %q", part, text, " {2,}")
		}
	case "Precompiled":
		text, _ := settings["precompiled_charsmap"].(string)
		blob, err := base64.StdEncoding.DecodeString(text)
		if err == nil && base64.StdEncoding.EncodeToString(blob) != text {
			err = errors.New("line breaks or loose bits in the base64")
		}
		if err == nil {
			err = checkCharsmap(blob)
		}
		if err != nil {
			return fmt.Errorf("precompiled_charsmap: %w", err)
		}
	}
	return nil
}
