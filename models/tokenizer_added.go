package models

import (
	"fmt"
	"strings"
)

// checkAdded refuses added tokens that make the library panic in some text:
// one that is nothing when normalised is found between any two characters, and
// one of white space that takes the white space before it along is found again
// in what it, or a token before it, has taken.
func (f *tokenizerFile) checkAdded() error {
	for _, t := range f.AddedTokens {
		blank := t.LStrip && strings.TrimSpace(t.Content) == ""
		if t.Normalized && t.Content != "" && !blank {
			var err error
			if blank, err = f.blank(t); err != nil {
				return fmt.Errorf("added token %q: %w", t.Content, err)
			}
		}
		if blank {
			return fmt.Errorf("the added token %q is empty when normalised", t.Content)
		}
	}
	return nil
}

// blank reports whether nothing is left of a token after the normalizer, white
// space counting as nothing for one that strips it. The library itself says
// so, with a vocabulary that knows no text.
func (f *tokenizerFile) blank(t addedToken) (bool, error) {
	probe := tokenizerFile{
		Version:    f.Version,
		Normalizer: f.Normalizer,
		Model:      &unigram{Type: "Unigram", UnkID: new(int64), Vocab: []piece{{Text: "<unk>"}}},
	}
	if t.LStrip {
		probe.PreTokenizer = map[string]any{"type": "WhitespaceSplit"}
	}
	data, err := probe.library()
	if err != nil {
		return false, err
	}
	n, err := newNative(data)
	if err != nil {
		return false, err
	}
	defer n.close()
	return len(n.encode(t.Content)) == 0, nil
}
