package models

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// sentinels is how many <extra_id_N> a T5's tokenizer has beyond its pieces
// where nothing else is said.
const sentinels = 100

// namedDefaults are the tokens with a role that a T5's tokenizer has where
// nothing else is said.
var namedDefaults = map[string]addedToken{
	"eos_token": {Content: "</s>", bare: true},
	"unk_token": {Content: "<unk>", bare: true},
	"pad_token": {Content: "<pad>", bare: true},
}

// tokenizerFile returns the tokenizer.json that transformers makes of
// spiece.model and the settings beside it, for a model with so many rows in
// its embedding.
//
// The tokenizer library is not SentencePiece: the normalizer's switches, such
// as add_dummy_prefix, and byte_fallback have no say in what it does for a T5,
// whose text is always cut at white space and every word given its "▁".
//
// Sources: transformers' models/t5/tokenization_t5.py and T5Converter in
// convert_slow_tokenizer.py.
func (s *spiece) tokenizerFile(settings *tokenizerSettings, rows int) (*tokenizerFile, error) {
	extra := sentinels
	if settings.extraIDs != nil {
		extra = *settings.extraIDs
	} else if len(s.pieces)+extra > rows {
		extra = 0 // mT5 has them among its pieces
	}
	if extra > rows-len(s.pieces) {
		return nil, fmt.Errorf("%d pieces and %d extra_ids, but the model's embedding has %d rows: the tokenizer of another model", len(s.pieces), extra, rows)
	}
	vocab := slices.Clone(s.pieces)
	for i := extra - 1; i >= 0; i-- {
		vocab = append(vocab, piece{Text: sentinel(i)})
	}
	special, err := s.special(settings, extra)
	if err != nil {
		return nil, err
	}
	unk := int64(s.unk) // transformers writes 2, which it is in every T5
	return &tokenizerFile{
		Version:       "1.0",
		AddedTokens:   placed(joined(settings, special), vocab),
		Normalizer:    precompiled(s.charsmap),
		PreTokenizer:  map[string]any{"type": "Sequence", "pretokenizers": []any{map[string]any{"type": "WhitespaceSplit"}, words()}},
		PostProcessor: endOfSequence(slices.IndexFunc(vocab, func(p piece) bool { return p.Text == "</s>" })),
		Decoder:       words(),
		Model:         &unigram{Type: "Unigram", UnkID: &unk, Vocab: vocab},
	}, nil
}

// sentinel returns the token that stands for the i-th gap of a text.
func sentinel(i int) string { return fmt.Sprintf("<extra_id_%d>", i) }

// special returns the special tokens without a role: those that the settings
// say, else the control and user-defined pieces with the sentinels.
func (s *spiece) special(settings *tokenizerSettings, extra int) ([]addedToken, error) {
	var list []addedToken
	own := 0 // sentinels among the pieces
	for id, kind := range s.kinds {
		if kind == kindControl || kind == kindUserDefined {
			list = append(list, addedToken{Content: s.pieces[id].Text, Special: kind == kindControl})
			if strings.Contains(s.pieces[id].Text, "<extra_id_") {
				own++
			}
		}
	}
	if own > 0 && extra > 0 && own != extra {
		return nil, fmt.Errorf("%d sentinels among the pieces, but extra_ids is %d", own, extra)
	}
	if settings.extraSaid {
		return settings.extra, nil
	}
	for i := 0; i < extra && own == 0; i++ {
		list = append(list, addedToken{Content: sentinel(i), Special: true})
	}
	return list, nil
}

// joined returns all added tokens in the order in which they get ids: those that
// the settings give one, those with a role, the others. A role makes special.
func joined(settings *tokenizerSettings, others []addedToken) []addedToken {
	named := settings.withRoles(namedDefaults)
	list, held, role := slices.Clone(settings.added), contents(settings.added), contents(named)
	for _, t := range slices.Concat(named, others) {
		if !held[t.Content] {
			list = append(list, t)
		}
	}
	for i, t := range list {
		list[i].Special = t.Special || role[t.Content]
	}
	return list
}

// placed returns added tokens with their ids, sorted by them: one that the
// vocabulary has keeps that id, another gets the next. Of two with one text the
// last counts.
// Source: tokenizers src/tokenizer/added_vocabulary.rs (add_tokens).
func placed(tokens []addedToken, vocab []piece) []addedToken {
	ids := map[string]int64{}
	for id, p := range vocab {
		ids[p.Text] = int64(id)
	}
	next := int64(len(vocab))
	byID := map[int64]addedToken{}
	for _, t := range tokens {
		if t.Content == "" {
			continue
		}
		id, ok := ids[t.Content]
		if !ok {
			id = next
			ids[t.Content] = id
			next++
		}
		t.ID = id
		byID[id] = t
	}
	var list []addedToken
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		list = append(list, byID[id])
	}
	return list
}

// precompiled is the normalizer of a compiled set of rules.
func precompiled(charsmap []byte) any {
	if len(charsmap) == 0 {
		return nil
	}
	return map[string]any{"type": "Precompiled", "precompiled_charsmap": base64.StdEncoding.EncodeToString(charsmap)}
}

// words is the step between words and pieces, which begin with "▁" in place of
// a space.
func words() map[string]any {
	return map[string]any{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}
}

// endOfSequence is the post-processor that ends each text with </s>. EncodeEOS
// does this for us; it is for other readers of the file.
func endOfSequence(id int) any {
	sequence := func(name string) any { return map[string]any{"Sequence": map[string]any{"id": name, "type_id": 0}} }
	end := map[string]any{"SpecialToken": map[string]any{"id": "</s>", "type_id": 0}}
	return map[string]any{
		"type":           "TemplateProcessing",
		"single":         []any{sequence("A"), end},
		"pair":           []any{sequence("A"), end, sequence("B"), end},
		"special_tokens": map[string]any{"</s>": map[string]any{"id": "</s>", "ids": []int{id}, "tokens": []string{"</s>"}}},
	}
}
