package models

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// settingsOf reads files of a folder that has no others.
func settingsOf(t testing.TB, files map[string]string) (*tokenizerSettings, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(dir, name), []byte(content))
	}
	return readTokenizerSettings(dir)
}

func TestTokenizerSettings(t *testing.T) {
	const config, special, added = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
	five := 5
	bare := func(content string) addedToken { return addedToken{Content: content, Special: true, bare: true} }
	for _, test := range []struct {
		name  string
		files map[string]string
		want  tokenizerSettings
	}{
		{"nothing", nil, tokenizerSettings{}},
		{
			"names",
			map[string]string{config: `{"tokenizer_class": "T5Tokenizer", "extra_ids": 5, "eos_token": "</s>", "model_max_length": 512}`},
			tokenizerSettings{extraIDs: &five, named: map[string]addedToken{"eos_token": bare("</s>")}},
		},
		{
			"objects",
			map[string]string{config: `{"eos_token": {"__type": "AddedToken", "content": "</s>", "lstrip": true, "normalized": true}, "pad_token": {"content": "<pad>"}}`},
			tokenizerSettings{named: map[string]addedToken{
				"eos_token": {Content: "</s>", LStrip: true, Normalized: true},
				"pad_token": {Content: "<pad>", Normalized: true},
			}},
		},
		{"a token taken away", map[string]string{config: `{"eos_token": null}`}, tokenizerSettings{named: map[string]addedToken{"eos_token": bare("")}}},
		{
			"special tokens",
			map[string]string{config: `{"additional_special_tokens": ["<a>", {"content": "<b>", "rstrip": true, "special": true}]}`},
			tokenizerSettings{extraSaid: true, extra: []addedToken{bare("<a>"), {Content: "<b>", RStrip: true, Special: true}}},
		},
		{"said to be none", map[string]string{config: `{"additional_special_tokens": null}`}, tokenizerSettings{extraSaid: true}},
		{"an empty list", map[string]string{config: `{"extra_special_tokens": []}`}, tokenizerSettings{extraSaid: true}},
		{"an empty object says nothing", map[string]string{config: `{"extra_special_tokens": { }}`}, tokenizerSettings{}},
		{
			"the new name wins",
			map[string]string{config: `{"additional_special_tokens": ["<a>"], "extra_special_tokens": ["<b>"]}`},
			tokenizerSettings{extraSaid: true, extra: []addedToken{bare("<b>")}},
		},
		{
			"unless it is empty",
			map[string]string{config: `{"additional_special_tokens": ["<a>"], "extra_special_tokens": []}`},
			tokenizerSettings{extraSaid: true, extra: []addedToken{bare("<a>")}},
		},
		{
			"ids",
			map[string]string{config: `{"eos_token": "</s>", "added_tokens_decoder": {"7": {"content": "<x>"}, "1": {"content": "</s>", "rstrip": true, "normalized": false, "special": true}}}`},
			tokenizerSettings{
				named: map[string]addedToken{"eos_token": {ID: 1, Content: "</s>", RStrip: true, Special: true}},
				added: []addedToken{{ID: 1, Content: "</s>", RStrip: true, Special: true}, {ID: 7, Content: "<x>", Normalized: true}},
			},
		},
		{"old files do not count beside ids", map[string]string{config: `{"added_tokens_decoder": {}}`, special: `{"eos_token": "<eos>"}`, added: `{"<x>": 9}`}, tokenizerSettings{}},
		{"old files", map[string]string{
			config:  `{"eos_token": "<eos>", "extra_special_tokens": ["<x>"]}`,
			special: `{"eos_token": {"content": "</s>", "lstrip": true}, "additional_special_tokens": ["<o>"], "extra_special_tokens": ["<y>"]}`,
			added:   `{"<x>": 9, "<z>": 8}`,
		}, tokenizerSettings{
			named:     map[string]addedToken{"eos_token": {Content: "</s>", LStrip: true, Special: true}},
			extraSaid: true, extra: []addedToken{bare("<x>"), bare("<y>")},
			old:   []addedToken{bare("<o>")},
			added: []addedToken{{ID: 8, Content: "<z>", Normalized: true}, {ID: 9, Content: "<x>", Special: true}},
		}},
	} {
		got, err := settingsOf(t, test.files)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(&test.want, got, cmp.AllowUnexported(tokenizerSettings{}, addedToken{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s, - wanted, + read:\n%s", test.name, diff)
		}
	}
}

// manyTokens returns more entries of an object than are allowed.
func manyTokens(format string) string {
	entries := make([]string, 10001)
	for i := range entries {
		entries[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(entries, ", ")
}

func TestTokenizerSettingsErrors(t *testing.T) {
	for _, test := range []struct{ name, content, want string }{
		{"tokenizer_config.json", "", "unexpected end"},
		{"tokenizer_config.json", "[]", "cannot unmarshal array"},
		{"tokenizer_config.json", `{"extra_ids": 1.5}`, "extra_ids"},
		{"tokenizer_config.json", `{"added_tokens_decoder": {"x": {"content": "a"}}}`, "added_tokens_decoder"},
		{"tokenizer_config.json", `{"added_tokens_decoder": {"3": []}}`, "added_tokens_decoder: 3"},
		{"tokenizer_config.json", `{"additional_special_tokens": "<a>"}`, "additional_special_tokens"},
		{"tokenizer_config.json", `{"additional_special_tokens": [3]}`, "additional_special_tokens"},
		{"tokenizer_config.json", `{"extra_special_tokens": {"image_token": "<i>"}}`, "extra_special_tokens"},
		{"tokenizer_config.json", `{"pad_token": ["<pad>"]}`, "pad_token"},
		{"special_tokens_map.json", `{"pad_token": 0}`, "pad_token"},
		{"special_tokens_map.json", `{"additional_special_tokens": 1}`, "additional_special_tokens"},
		{"special_tokens_map.json", `{"extra_special_tokens": [true]}`, "extra_special_tokens"},
		{"special_tokens_map.json", `{"additional_special_tokens": [` + strings.Repeat(`"a",`, 10000) + `"b"]}`, "10001 tokens, at most 10000"},
		{"added_tokens.json", `{` + manyTokens(`"%d": %[1]d`) + `}`, "10001 tokens, at most 10000"},
		{"tokenizer_config.json", `{"added_tokens_decoder": {` + manyTokens(`"%d": {"content": "%[1]d"}`) + `}}`, "10001 tokens, at most 10000"},
		{"added_tokens.json", `{"<x>": "9"}`, "cannot unmarshal string"},
		{"added_tokens.json", strings.Repeat("[", 20000), "exceeded max depth"},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, test.name), []byte(test.content))
		write(t, filepath.Join(dir, "spiece.model"), spieceBytes(plainPieces))
		_, err := openTokenizer(dir, Config{ModelType: "t5", VocabSize: 2000, EOSID: 1})
		wantError(t, err, "reading "+filepath.Join(dir, test.name), test.want, "hint:take "+test.name)
	}
}

// tokenizer.json leaves nothing open, so that what is strange beside it does
// not matter, but for the class.
func TestTokenizerSettingsBesideTokenizerJSON(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tokenizer.json"), read(t, "tiny/tokenizer.json"))
	write(t, filepath.Join(dir, "tokenizer_config.json"), []byte(`{"extra_ids": "?", "extra_special_tokens": {"image_token": "<i>"}}`))
	write(t, filepath.Join(dir, "added_tokens.json"), nil)
	openFolder(t, dir, 8192)
	write(t, filepath.Join(dir, "tokenizer_config.json"), []byte(`{"tokenizer_class": 5}`))
	_, err := openTokenizer(dir, Config{ModelType: "t5", VocabSize: 8192, EOSID: 1})
	wantError(t, err, filepath.Join(dir, "tokenizer_config.json"), "tokenizer_class", "hint:take tokenizer_config.json")
}

// What is not UTF-8 becomes one U+FFFD for each longest beginning of a
// character. The cases are those of The Unicode Standard, tables 3-8 to 3-11.
func TestCleanText(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "",
		"plain":                                "plain",
		"a\x00b\x00":                           "a b ",
		"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82A":    "��������A",
		"\xed\xa0\x80\xed\xbf\xbf\xed\xafA":    "��������A",
		"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42": "�����A��B",
		"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41": "����A",
		"\xe2\x82":                             "�",
		"\xf0\x9f\x98":                         "�",
		"\xf0\x9f\x98\xf0\x9f\x98\x80":         "�😀",
		"a\xffé\xfe\x00":                       "a�é� ",
		"\ufffd":                               "\ufffd",
	} {
		if got := cleanText(text); got != want {
			t.Errorf("%q becomes %q, wanted %q", text, got, want)
		}
	}
}

// A regular expression that repeats anything before its end may run so long
// that the library gives up, and with it the process.
func TestPlainRegexp(t *testing.T) {
	for text, plain := range map[string]bool{
		"": true, " ": true, " {2,}": true, " {2}": true, " {,3}": true, `\s+`: true, "[\\r\\n]+": true, "ab*": true, "a?": true, "^ ": true,
		"(a+)+$": false, "a*a*b": false, "a+b": false, "a|b": false, "(?=a)": false, "a{2,}{2,}": false, "a**": false, ".*x": false, "a+?": false,
	} {
		if plainRegexp.MatchString(text) != plain {
			t.Errorf("%q: allowed is %v", text, !plain)
		}
	}
}

// Tokens get the ids that they have in the vocabulary, the others those behind
// it, in the order given; each id and each text comes once.
func TestPlaced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", ""})
		var vocab []piece
		for _, text := range rapid.SliceOfNDistinct(word, 0, 5, rapid.ID[string]).Draw(t, "vocabulary") {
			vocab = append(vocab, piece{Text: text})
		}
		var tokens []addedToken
		for _, text := range rapid.SliceOfN(word, 0, 10).Draw(t, "tokens") {
			tokens = append(tokens, addedToken{Content: text})
		}
		next, ids := int64(len(vocab)), map[string]int64{"": -1}
		for id, p := range vocab {
			if p.Text != "" {
				ids[p.Text] = int64(id)
			}
		}
		for _, token := range tokens {
			if _, ok := ids[token.Content]; !ok {
				ids[token.Content] = next
				next++
			}
		}
		last := int64(-1)
		for _, token := range placed(tokens, vocab) {
			if token.ID <= last || token.ID != ids[token.Content] || !slices.ContainsFunc(tokens, func(o addedToken) bool { return o.Content == token.Content }) {
				t.Fatalf("%q has id %d after %d, wanted %d", token.Content, token.ID, last, ids[token.Content])
			}
			last = token.ID
		}
	})
}
