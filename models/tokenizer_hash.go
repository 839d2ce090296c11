package models

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
)

// hash returns a SHA-256 of everything that decides which ids a text gets, in
// one form for all ways to write the same: tokenizer.json as published, as
// another version of the converter writes it, or made here from spiece.model.
// Scores are told apart as float32, which is what SentencePiece keeps.
func (f *tokenizerFile) hash() (string, error) {
	scores := make([]uint32, len(f.Model.Vocab))
	texts := make([]string, len(f.Model.Vocab))
	for id, p := range f.Model.Vocab {
		texts[id], scores[id] = p.Text, math.Float32bits(float32(p.Score))
	}
	tokens := slices.Clone(f.AddedTokens)
	slices.SortStableFunc(tokens, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	return contentHash([]any{
		f.Model.Type, f.Model.UnkID, f.Model.ByteFallback, texts, scores, tokens,
		flatten(f.Normalizer, "normalizers"), flatten(f.PreTokenizer, "pretokenizers"),
	})
}

// contentHash returns the SHA-256 of values as JSON, in hexadecimal.
func contentHash(values any) (string, error) {
	data, err := json.Marshal(values)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// flatten returns the steps of a normalizer or pre-tokenizer one after another,
// each with its settings spelled out.
func flatten(component any, list string) []any {
	step, ok := component.(map[string]any)
	if !ok {
		return nil
	}
	if step["type"] == "Sequence" {
		var steps []any
		inner, _ := step[list].([]any)
		for _, s := range inner {
			steps = append(steps, flatten(s, list)...)
		}
		return steps
	}
	if step["type"] == "Metaspace" {
		return []any{metaspace(step)}
	}
	return []any{step}
}

// metaspace spells out a Metaspace step. Files from before tokenizers 0.15 say
// add_prefix_space where newer ones say prepend_scheme.
// Source: tokenizers src/pre_tokenizers/metaspace.rs.
func metaspace(step map[string]any) map[string]any {
	full := map[string]any{"type": "Metaspace", "replacement": step["replacement"], "prepend_scheme": "always", "split": true}
	if step["add_prefix_space"] == false {
		full["prepend_scheme"] = "never"
	}
	for _, key := range []string{"prepend_scheme", "split"} {
		if v := step[key]; v != nil {
			full[key] = v
		}
	}
	return full
}
