package models

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

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
