package models

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The tokenizer library is written for files of its own making: on some broken
// ones it panics, which across the language border ends the process. What could
// make it do so is checked here first, and what softprompt does not use is
// taken out.

// cleanTokenizer checks a tokenizer.json and returns it without truncation,
// padding and post-processor, whose work EncodeEOS does.
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
	for _, key := range []string{"truncation", "padding", "post_processor"} {
		top[key] = json.RawMessage("null")
	}
	if raw := top["normalizer"]; raw != nil {
		// Through a value and back, so that the library reads what was
		// checked even where a key comes twice.
		var normalizer any
		if err := json.Unmarshal(raw, &normalizer); err != nil {
			return nil, fmt.Errorf("normalizer: %w", err)
		}
		if err := checkNormalizer(normalizer); err != nil {
			return nil, fmt.Errorf("normalizer: %w", err)
		}
		var err error
		if top["normalizer"], err = json.Marshal(normalizer); err != nil {
			return nil, fmt.Errorf("normalizer: %w", err)
		}
	}
	return json.Marshal(top)
}

// checkNormalizer checks every character map in a normalizer, which may be a
// sequence of others.
func checkNormalizer(v any) error {
	switch v := v.(type) {
	case []any:
		for _, inner := range v {
			if err := checkNormalizer(inner); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, inner := range v {
			if text, ok := inner.(string); ok && key == "precompiled_charsmap" {
				blob, err := base64.StdEncoding.DecodeString(text)
				if err == nil {
					err = checkCharsmap(blob)
				}
				if err != nil {
					return fmt.Errorf("precompiled_charsmap: %w", err)
				}
			}
			if err := checkNormalizer(inner); err != nil {
				return err
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
