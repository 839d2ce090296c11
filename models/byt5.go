package models

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// byt5 is the tokenizer of ByT5, which has no vocabulary: a byte of UTF-8 is an
// id, after those of padding, end of sequence and unknown. Special tokens are
// found in the text first. Sources: Xue et al., "ByT5" (2022); transformers'
// models/byt5/tokenization_byt5.py and tokenization_python.py.
type byt5 struct {
	tokens  map[int64]addedToken
	ids     map[string]int64 // of the tokens
	longest []string         // their texts, the longest first
	first   [256]bool        // bytes that one of them begins with
	bytes   [256]uint32      // ids
	size    int
}

const (
	byt5Class     = "ByT5Tokenizer"
	byt5Sentinels = 125
	byt5Bytes     = 3                               // the id of byte 0
	byt5Rows      = byt5Bytes + 256 + byt5Sentinels // all ids, the embedding's rows
)

// byt5Roles has the tokens of the first three ids.
var byt5Roles = []struct{ role, content string }{{"pad_token", "<pad>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}}

// newByT5 makes the tokenizer that settings describe, at most with the ids of
// limit rows.
func newByT5(settings *tokenizerSettings, limit int) (*byt5, error) {
	b := &byt5{tokens: map[int64]addedToken{}, ids: map[string]int64{}, size: byt5Bytes + 256}
	if err := b.add(settings); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(b.tokens)) {
		text := b.tokens[id].Content
		if id < 0 || id >= int64(limit) {
			return nil, fmt.Errorf("the token %q has id %d, but the model's embedding has %d rows: the tokenizer of another model", text, id, limit)
		}
		b.size = max(b.size, int(id)+1)
		if text != "" {
			b.longest = append(b.longest, text)
			b.first[text[0]] = true
		}
	}
	slices.SortFunc(b.longest, func(a, b string) int { return len(b) - len(a) })
	for i := range b.bytes {
		b.bytes[i] = uint32(i) + byt5Bytes
		if id, ok := b.ids[string(rune(i))]; ok {
			b.bytes[i] = uint32(id)
		}
	}
	return b, nil
}

// add takes the tokens: those with the first ids, those that the settings give
// an id, and the special ones that have none yet. They get the ids behind the
// texts known so far, without the flags that they may have.
func (b *byt5) add(settings *tokenizerSettings) error {
	put := func(id int64, t addedToken) {
		t.ID, t.Special, t.bare = id, false, false
		b.tokens[id], b.ids[t.Content] = t, id
	}
	defaults := map[string]addedToken{}
	for id, r := range byt5Roles {
		t, said := settings.named[r.role]
		if !said {
			t = addedToken{Content: r.content, bare: true}
		}
		if t.bare { // for ByT5 only
			t.LStrip, t.RStrip = true, true
		}
		defaults[r.role] = t
		put(int64(id), t)
	}
	for _, t := range settings.added {
		if old, ok := b.tokens[t.ID]; ok {
			delete(b.ids, old.Content)
		}
		put(t.ID, t)
	}
	others, err := byt5Special(settings)
	if err != nil {
		return err
	}
	known := b.texts()
	next := int64(len(known))
	special := slices.Concat(settings.withRoles(defaults), others)
	for _, t := range special {
		if _, ok := b.ids[t.Content]; ok || t.Content == "" {
			continue
		}
		id, ok := known[t.Content]
		if !ok {
			id = next
			next++
		}
		put(id, addedToken{Content: t.Content})
	}
	for text := range contents(special) {
		if t, ok := b.tokens[b.ids[text]]; ok && text != "" {
			t.Special = true
			b.tokens[t.ID] = t
		}
	}
	return nil
}

// texts returns the texts that ids stand for, a byte as the character of its
// number.
func (b *byt5) texts() map[string]int64 {
	known := map[string]int64{}
	for i := range int64(256) {
		if _, ok := b.tokens[i+byt5Bytes]; !ok {
			known[string(rune(i))] = i + byt5Bytes
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.tokens)) {
		known[b.tokens[id].Content] = id
	}
	return known
}

// byt5Special returns the special tokens without a role: those that the
// settings say, else the sentinels.
func byt5Special(settings *tokenizerSettings) ([]addedToken, error) {
	n := byt5Sentinels
	if settings.extraIDs != nil {
		n = *settings.extraIDs
	}
	if len(settings.old) > 0 && n > 0 {
		own := contents(settings.old)
		maps.DeleteFunc(own, func(text string, _ bool) bool { return !strings.Contains(text, "extra_id") })
		if len(own) != n {
			return nil, fmt.Errorf("%d sentinels among additional_special_tokens, but extra_ids is %d", len(own), n)
		}
	}
	if settings.extraSaid {
		return settings.extra, nil
	}
	if settings.old != nil {
		return settings.old, nil
	}
	if n > byt5Rows {
		return nil, fmt.Errorf("%d extra_ids: ByT5 has %d", n, byt5Sentinels)
	}
	var list []addedToken
	for i := range n {
		list = append(list, addedToken{Content: sentinel(i)})
	}
	return list, nil
}

func (b *byt5) encode(text string) []uint32 {
	parts := b.split(text)
	for i, part := range parts {
		id, ok := b.ids[part]
		if !ok {
			continue
		}
		t := b.tokens[id]
		var left, right string
		if i > 0 {
			left = parts[i-1]
		}
		if i+1 < len(parts) {
			right = parts[i+1]
		}
		if t.RStrip && right != "" {
			parts[i+1] = strings.TrimLeftFunc(right, isPythonSpace)
		}
		if t.LStrip && left != "" {
			parts[i-1] = strings.TrimRightFunc(left, isPythonSpace)
		}
		if t.SingleWord { // a space beside it counts though it was stripped
			switch {
			case left != "" && !strings.HasSuffix(left, " "):
				parts[i-1], parts[i] = parts[i-1]+part, ""
			case right != "" && !strings.HasPrefix(right, " "):
				parts[i+1], parts[i] = part+parts[i+1], ""
			}
		}
	}
	ids := make([]uint32, 0, len(text))
	for _, part := range parts {
		if id, ok := b.ids[part]; ok {
			ids = append(ids, uint32(id))
			continue
		}
		for i := range len(part) {
			ids = append(ids, b.bytes[part[i]])
		}
	}
	return ids
}

// split cuts a text before and after each token in it, the leftmost first and
// of those that begin together the longest.
func (b *byt5) split(text string) []string {
	var parts []string
	start := 0
	for at := 0; at < len(text); {
		if token := b.at(text[at:]); token != "" {
			if start < at {
				parts = append(parts, text[start:at])
			}
			parts = append(parts, token)
			at += len(token)
			start = at
		} else {
			at++
		}
	}
	if start < len(text) {
		parts = append(parts, text[start:])
	}
	return parts
}

// at returns the longest token that text begins with, or "".
func (b *byt5) at(text string) string {
	if !b.first[text[0]] {
		return ""
	}
	for _, token := range b.longest {
		if strings.HasPrefix(text, token) {
			return token
		}
	}
	return ""
}

// isPythonSpace reports what Python's str.strip strips: white space, and the
// four separators of ASCII.
func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// decode leaves out what is not UTF-8: a model may end in the middle of a
// character.
func (b *byt5) decode(ids []uint32) string {
	var text []byte
	for _, id := range ids {
		if t, ok := b.tokens[int64(id)]; ok {
			if !t.Special {
				text = append(text, t.Content...)
			}
		} else if id >= byt5Bytes && id < byt5Bytes+256 {
			if r := rune(id - byt5Bytes); b.bytes[r] == id {
				text = append(text, byte(r))
			} else { // a token has its text
				text = utf8.AppendRune(text, r)
			}
		}
	}
	return strings.ToValidUTF8(string(text), "")
}

func (b *byt5) vocabSize() int { return b.size }

func (b *byt5) close() {}

// hash is what [tokenizerFile.hash] is to the others.
func (b *byt5) hash() (string, error) { return contentHash([]any{byt5Class, b.tokens}) }

// config returns a tokenizer_config.json from which this tokenizer can be made
// again.
func (b *byt5) config() ([]byte, error) {
	type token struct { // without an id, which is the key
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
		Special    bool   `json:"special"`
	}
	decoder := map[int64]token{}
	special := []string{}
	for _, id := range slices.Sorted(maps.Keys(b.tokens)) {
		t := b.tokens[id]
		decoder[id] = token{t.Content, t.SingleWord, t.LStrip, t.RStrip, t.Normalized, t.Special}
		if t.Special && id >= byt5Bytes {
			special = append(special, t.Content)
		}
	}
	config := map[string]any{"tokenizer_class": byt5Class, "added_tokens_decoder": decoder, "extra_ids": 0, "extra_special_tokens": special}
	for id, r := range byt5Roles {
		config[r.role] = b.tokens[int64(id)].Content
	}
	return json.MarshalIndent(config, "", "  ")
}
