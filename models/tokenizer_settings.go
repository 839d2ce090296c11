package models

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
)

// tokenizerSettings is what the files beside a tokenizer say about it. They
// decide what spiece.model, and ByT5 that has no file at all, leave open.
// Source: transformers' tokenization_utils_base.py (_from_pretrained).
type tokenizerSettings struct {
	extraIDs *int // how many sentinels; nil if not said
	// named are the tokens with a role, by it: eos_token and others. One that
	// is null is there, with no content.
	named map[string]addedToken
	// extra are special tokens without a role. Said to be none is another
	// thing than not said.
	extra     []addedToken
	extraSaid bool
	// old are special tokens of special_tokens_map.json, which count less.
	old []addedToken
	// added are tokens with ids of their own, by id.
	added []addedToken
}

// roles are the keys of named tokens in the order in which those that are not
// in the vocabulary get ids.
var roles = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// withRoles returns the named tokens, those of defaults where nothing is said.
func (s *tokenizerSettings) withRoles(defaults map[string]addedToken) []addedToken {
	var list []addedToken
	for _, role := range roles {
		t, said := s.named[role]
		if !said {
			t = defaults[role]
		}
		if t.Content != "" {
			list = append(list, t)
		}
	}
	return list
}

// contents returns the texts of tokens.
func contents(tokens []addedToken) map[string]bool {
	set := map[string]bool{}
	for _, t := range tokens {
		set[t.Content] = true
	}
	return set
}

// readTokenizerSettings reads tokenizer_config.json, special_tokens_map.json
// and added_tokens.json, as far as they are there.
func readTokenizerSettings(dir string) (*tokenizerSettings, error) {
	s := &tokenizerSettings{named: map[string]addedToken{}}
	var config, special map[string]json.RawMessage
	var added map[string]int64
	for _, f := range []struct {
		name string
		into any
		take func() error
	}{
		{"tokenizer_config.json", &config, func() error { return s.takeConfig(config) }},
		{"special_tokens_map.json", &special, func() error { return s.takeSpecial(special) }},
		{"added_tokens.json", &added, func() error { return s.takeAdded(added) }},
	} {
		path := filepath.Join(dir, f.name)
		data, err := readWhole(path, indexLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(data, f.into)
		}
		if err == nil && (f.name == "tokenizer_config.json" || config["added_tokens_decoder"] == nil) {
			err = f.take() // the other two are from before added_tokens_decoder
		}
		if err != nil {
			return nil, unreadable(path, err)
		}
	}
	slices.SortFunc(s.added, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	for role, t := range s.named { // with an id of its own, it is as it says there
		if at := slices.IndexFunc(s.added, func(a addedToken) bool { return a.Content == t.Content }); at >= 0 {
			s.named[role] = s.added[at]
		}
	}
	return s, nil
}

// takeConfig takes what tokenizer_config.json says.
func (s *tokenizerSettings) takeConfig(config map[string]json.RawMessage) error {
	var decoder map[int64]json.RawMessage
	for key, into := range map[string]any{"extra_ids": &s.extraIDs, "added_tokens_decoder": &decoder} {
		if raw := config[key]; raw != nil {
			if err := json.Unmarshal(raw, into); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	if len(decoder) > addedLimit {
		return fmt.Errorf("added_tokens_decoder: %d tokens, at most %d are allowed", len(decoder), addedLimit)
	}
	for id, raw := range decoder {
		t, err := parseToken(raw, false)
		if err != nil {
			return fmt.Errorf("added_tokens_decoder: %d: %w", id, err)
		}
		t.ID = id
		s.added = append(s.added, t)
	}
	for _, key := range []string{"additional_special_tokens", "extra_special_tokens"} { // the new name wins
		tokens, err := parseTokens(config[key])
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if raw := config[key]; raw != nil && raw[0] != '{' && (len(tokens) > 0 || !s.extraSaid) {
			s.extra, s.extraSaid = tokens, true
		}
	}
	return s.takeNamed(config, false)
}

// takeSpecial takes what special_tokens_map.json says.
func (s *tokenizerSettings) takeSpecial(special map[string]json.RawMessage) error {
	var err error
	if s.old, err = parseTokens(special["additional_special_tokens"]); err != nil {
		return fmt.Errorf("additional_special_tokens: %w", err)
	}
	more, err := parseTokens(special["extra_special_tokens"])
	if err != nil {
		return fmt.Errorf("extra_special_tokens: %w", err)
	}
	if len(more) > 0 {
		s.extra, s.extraSaid = append(s.extra, more...), true
	}
	return s.takeNamed(special, true)
}

// takeNamed takes the tokens with a role.
func (s *tokenizerSettings) takeNamed(file map[string]json.RawMessage, special bool) error {
	for _, role := range roles {
		if raw := file[role]; raw != nil {
			t, err := parseToken(raw, special)
			if err != nil {
				return fmt.Errorf("%s: %w", role, err)
			}
			s.named[role] = t
		}
	}
	return nil
}

// takeAdded takes what added_tokens.json says.
func (s *tokenizerSettings) takeAdded(added map[string]int64) error {
	if len(added) > addedLimit {
		return fmt.Errorf("%d tokens, at most %d are allowed", len(added), addedLimit)
	}
	special := contents(slices.Concat(s.extra, slices.Collect(maps.Values(s.named))))
	for content, id := range added {
		s.added = append(s.added, addedToken{ID: id, Content: content, Normalized: !special[content], Special: special[content]})
	}
	return nil
}

// parseToken reads a token given as its text alone, as an object, or as null.
func parseToken(raw json.RawMessage, special bool) (addedToken, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		return addedToken{Content: text, Special: true, bare: true}, nil // null is no text
	}
	var parsed struct {
		addedToken
		Normalized *bool `json:"normalized"`
	}
	parsed.Special = special
	if json.Unmarshal(raw, &parsed) != nil {
		return addedToken{}, fmt.Errorf("%.60s is no token, which is a text or an object with content", raw)
	}
	t := parsed.addedToken
	t.Normalized = !t.Special
	if parsed.Normalized != nil {
		t.Normalized = *parsed.Normalized
	}
	return t, nil
}

// parseTokens reads a list of tokens. Newer files may have an empty object in
// its place.
func parseTokens(raw json.RawMessage) ([]addedToken, error) {
	var object map[string]json.RawMessage
	if raw == nil || json.Unmarshal(raw, &object) == nil && len(object) == 0 {
		return nil, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, fmt.Errorf("%.60s is no list of tokens", raw)
	}
	if len(list) > addedLimit {
		return nil, fmt.Errorf("%d tokens, at most %d are allowed", len(list), addedLimit)
	}
	tokens := make([]addedToken, len(list))
	for i, raw := range list {
		var err error
		if tokens[i], err = parseToken(raw, false); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}
