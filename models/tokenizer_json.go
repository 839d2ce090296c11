package models

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The tokenizer library is written for files of its own making: on some broken
// ones it panics, which across the language border ends the process. What could
// make it do so is refused here first, and what softprompt does not use is
// taken out.

// components lists, for each part of a tokenizer.json, the kinds that
// tokenizers of T5-like models are made of. The library knows others, some of
// which panic on settings that it does not check.
var components = map[string][]string{
	"model":         {"Unigram"},
	"normalizer":    {"Sequence", "Precompiled", "Replace", "Strip", "Prepend", "Lowercase", "StripAccents", "NFC", "NFD", "NFKC", "NFKD", "Nmt"},
	"pre_tokenizer": {"Sequence", "Metaspace", "WhitespaceSplit", "Whitespace", "Digits", "Punctuation"},
	"decoder":       {"Sequence", "Metaspace", "ByteFallback", "Replace", "Fuse"},
}

// cleanTokenizer checks a tokenizer.json and returns it without truncation,
// padding and post-processor, whose work EncodeEOS does. Every part is read
// and written again, so that the library sees what was checked even where a
// key comes twice.
func cleanTokenizer(data []byte) ([]byte, error) {
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
	clean := map[string]any{"version": top["version"], "added_tokens": top["added_tokens"]}
	var model map[string]json.RawMessage // the vocabulary is long: left as text
	if err := json.Unmarshal(top["model"], &model); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	var kind string
	if err := json.Unmarshal(model["type"], &kind); err != nil {
		return nil, fmt.Errorf("model: no type: %w", err)
	}
	if err := checkComponent("model", map[string]any{"type": kind}); err != nil {
		return nil, err
	}
	clean["model"] = model
	for _, part := range []string{"normalizer", "pre_tokenizer", "decoder"} {
		var value any
		if raw := top[part]; raw != nil {
			if err := json.Unmarshal(raw, &value); err != nil {
				return nil, fmt.Errorf("%s: %w", part, err)
			}
		}
		if err := checkComponent(part, value); err != nil {
			return nil, err
		}
		clean[part] = value
	}
	return json.Marshal(clean)
}

// checkComponent checks a part of a tokenizer.json and what is inside it.
func checkComponent(part string, v any) error {
	switch v := v.(type) {
	case []any:
		for _, inner := range v {
			if err := checkComponent(part, inner); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, inner := range v {
			if err := checkComponent(part, inner); err != nil {
				return err
			}
			text, ok := inner.(string)
			switch {
			case key == "type" && (!ok || !slices.Contains(components[part], text)):
				return fmt.Errorf("the %s is of type %q, wanted one of %s", part, inner, strings.Join(components[part], ", "))
			case key == "precompiled_charsmap" && ok:
				blob, err := base64.StdEncoding.DecodeString(text)
				if err == nil {
					err = checkCharsmap(blob)
				}
				if err != nil {
					return fmt.Errorf("precompiled_charsmap: %w", err)
				}
			}
		}
	}
	return nil
}

// checkCharsmap walks SentencePiece's compiled normalisation rules as the
// library would for every possible text, and refuses what leads out of bounds.
//
// The blob is the size of a trie in bytes, the trie as a double array of
// uint32, and the replacements, UTF-8 ended by NUL. A unit of the array has a
// label (bits 0-7 and 31), a leaf flag (8) and the offset of its children
// (10-30, shifted by 8 if bit 9 is set), which lie at the offset XOR their
// byte; a leaf's value is where its replacement starts.
// Source: sentencepiece third_party/darts_clone and src/normalizer.cc.
func checkCharsmap(blob []byte) error {
	if len(blob) < 4 {
		return errors.New("too short")
	}
	size := int64(binary.LittleEndian.Uint32(blob))
	blob = blob[4:]
	if size < 4 || size > int64(len(blob)) {
		return fmt.Errorf("a trie of %d bytes in %d", size, len(blob))
	}
	units := uint32(size / 4)
	unit := func(i uint32) uint32 { return binary.LittleEndian.Uint32(blob[4*i:]) }
	replacements := blob[units*4:]
	if !utf8.Valid(replacements) {
		return errors.New("the replacements are not UTF-8")
	}
	seen := make([]bool, units)
	seen[0] = true
	for queue := []uint32{0}; len(queue) > 0; {
		at := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		u := unit(at)
		base := at ^ (u>>10)<<(u&(1<<9)>>6)
		if base >= units || base|0xff >= units {
			return fmt.Errorf("unit %d leads out of the trie", at)
		}
		if u>>8&1 == 1 && at != 0 {
			value := unit(base) & (1<<31 - 1)
			if int64(value) > int64(len(replacements)) ||
				int64(value) < int64(len(replacements)) && !utf8.RuneStart(replacements[value]) {
				return fmt.Errorf("unit %d has its replacement at byte %d, of which there are %d", at, value, len(replacements))
			}
		}
		for c := uint32(1); c <= 0xff; c++ {
			child := base ^ c
			if !seen[child] && unit(child)&(1<<31|0xff) == c {
				seen[child] = true
				queue = append(queue, child)
			}
		}
	}
	return nil
}
