package models

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// A byte is an id, three beyond it; the sentinels come after all bytes.
func TestByT5IDs(t *testing.T) {
	tok := openFolder(t, unpackTokenizer(t, "byt5"), 384)
	for text, want := range map[string][]int64{
		"":                     {},
		"a":                    {100},
		"ab c":                 {100, 101, 35, 102},
		"é":                    {198, 172},
		"\xff":                 {242, 194, 192}, // U+FFFD
		"\x00":                 {35},            // a space
		"<pad></s><unk>":       {0, 1, 2},
		"<extra_id_0>":         {259},
		"<extra_id_124>":       {383},
		"<extra_id_125>":       {63, 104, 123, 119, 117, 100, 98, 108, 103, 98, 52, 53, 56, 65},
		"a </s> b":             {100, 1, 101}, // which takes white space along
		"a <extra_id_1> b":     {100, 35, 260, 35, 101},
		"<<extra_id_12>":       {63, 271},
		"</s></s>  \n\t <pad>": {1, 1, 0},
	} {
		ids, err := tok.Encode(text)
		if err != nil || !slices.Equal(ids, want) {
			t.Errorf("%q gives %v, %v, wanted %v", text, ids, err, want)
		}
	}
	if tok.VocabSize() != 384 {
		t.Errorf("%d ids", tok.VocabSize())
	}
}

// A model ends where it likes: the beginning of a character is left out, as are
// special and unknown ids.
func TestByT5Decode(t *testing.T) {
	tok := openFolder(t, unpackTokenizer(t, "byt5"), 384)
	for _, test := range []struct {
		ids  []int64
		want string
	}{
		{nil, ""},
		{[]int64{100, 1, 0, 0}, "a"},
		{[]int64{198, 172}, "é"},
		{[]int64{198}, ""},
		{[]int64{198, 100}, "a"},
		{[]int64{172, 100}, "a"},
		{[]int64{243, 162, 155, 131, 100}, "😀a"},
		{[]int64{243, 162, 155, 100}, "a"}, // three bytes of its four
		{[]int64{259, 100, 383, 2, 101}, "ab"},
		{[]int64{100, 384, 1 << 40, -1, -100, 101}, "ab"},
		{[]int64{3, 100}, "\x00a"},
		{[]int64{258, 100}, "a"}, // FF
	} {
		if got := tok.Decode(test.ids); got != test.want {
			t.Errorf("%v is %q, wanted %q", test.ids, got, test.want)
		}
	}
}

// Text without special tokens comes back as it was, however it is cut: whole
// characters of any beginning of the ids are a beginning of the text.
func TestByT5RoundTrip(t *testing.T) {
	tok := openFolder(t, unpackTokenizer(t, "byt5"), 384)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.NewReplacer("\x00", "", "<", "").Replace(rapid.String().Draw(t, "text"))
		ids, err := tok.Encode(text)
		if err != nil || len(ids) != len(text) {
			t.Fatalf("%q: %d ids, %v", text, len(ids), err)
		}
		n := rapid.IntRange(0, len(ids)).Draw(t, "length")
		part := tok.Decode(ids[:n])
		if !strings.HasPrefix(text, part) || len(part) < n-3 || !utf8.ValidString(part) || n == len(ids) && part != text {
			t.Fatalf("%d ids of %q are %q", n, text, part)
		}
	})
}

// When a model is a ByT5.
func TestByT5Chosen(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		rows  int
		want  int // of the ids of "a"
	}{
		{"class in tokenizer_config.json", map[string]string{"tokenizer_config.json": `{"tokenizer_class": "ByT5Tokenizer"}`}, 500, 100},
		{"class in config.json", map[string]string{"config.json": `{"tokenizer_class": "ByT5Tokenizer"}`}, 500, 100},
		{"no file and 384 rows", map[string]string{}, 384, 100},
		{"spiece.model goes first", map[string]string{"config.json": `{"tokenizer_class": "ByT5Tokenizer"}`, "spiece.model": string(spieceBytes(plainPieces))}, 384, 5},
		{"but not before its own class", map[string]string{"tokenizer_config.json": `{"tokenizer_class": "ByT5Tokenizer"}`, "spiece.model": string(spieceBytes(plainPieces))}, 384, 100},
		{"no file", map[string]string{"config.json": `{}`}, 500, -1},
		{"another class", map[string]string{"tokenizer_config.json": `{"tokenizer_class": "T5Tokenizer"}`}, 500, -1},
	} {
		dir := t.TempDir()
		for name, content := range test.files {
			write(t, filepath.Join(dir, name), []byte(content))
		}
		tok, err := openTokenizer(dir, Config{ModelType: "t5", VocabSize: test.rows, EOSID: 1})
		if test.want < 0 {
			wantError(t, err, "neither tokenizer.json nor spiece.model in "+dir, "hint:")
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if ids, err := tok.Encode("a"); err != nil || !slices.Equal(ids, []int64{int64(test.want)}) {
			t.Errorf("%s: %v, %v", test.name, ids, err)
		}
		tok.Close()
	}
}

func TestByT5Errors(t *testing.T) {
	const class = `"tokenizer_class": "ByT5Tokenizer"`
	for config, want := range map[string]string{
		"{" + class + "":                                                                            "unexpected end of JSON",
		"{" + class + `, "extra_ids": "many"}`:                                                      "extra_ids",
		"{" + class + `, "extra_ids": 100000000000}`:                                                "ByT5 has 125",
		"{" + class + `, "extra_ids": 126}`:                                                         "has id 384, but the model's embedding has 384 rows",
		"{" + class + `, "pad_token": "[PAD]"}`:                                                     "the special token <pad> is missing",
		"{" + class + `, "eos_token": null}`:                                                        "the special token </s> is missing",
		"{" + class + `, "eos_token": 5}`:                                                           "eos_token",
		"{" + class + `, "extra_special_tokens": {"a": "b"}}`:                                       "extra_special_tokens",
		"{" + class + `, "extra_special_tokens": [7]}`:                                              "extra_special_tokens",
		"{" + class + `, "added_tokens_decoder": []}`:                                               "added_tokens_decoder",
		"{" + class + `, "added_tokens_decoder": {"0": 7}}`:                                         "added_tokens_decoder: 0",
		"{" + class + `, "added_tokens_decoder": {"-1": {"content": "x"}}}`:                         `the token "x" has id -1`,
		"{" + class + `, "extra_ids": 0, "added_tokens_decoder": {"4000000000": {"content": "x"}}}`: `the token "x" has id 4000000000`,
		"{" + class + `, "added_tokens_decoder": {"1": {"content": "x"}}}`:                          "eos_token_id in config.json is 1",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "tokenizer_config.json"), []byte(config))
		_, err := openTokenizer(dir, Config{ModelType: "t5", VocabSize: 384, EOSID: 1})
		wantError(t, err, dir, want)
	}
	_, err := openTokenizer(unpackTokenizer(t, "byt5"), Config{ModelType: "t5", VocabSize: 100, EOSID: 1})
	wantError(t, err, "the tokenizer of another model")
}

// Any text and any tokens: every id is one of the model's, and what is no
// special token comes back.
func FuzzByT5(f *testing.F) {
	f.Add("a </s> b", "<extra_id_0>", byte(3))
	f.Add("Word Words", "Word", byte(4))
	f.Add("aaa", "aa", byte(0))
	f.Add(" x", " ", byte(7))
	f.Fuzz(func(t *testing.T, text, token string, flags byte) {
		settings := &tokenizerSettings{extraIDs: new(int), named: map[string]addedToken{}, added: []addedToken{{
			ID: 300, Content: cleanText(token), LStrip: flags&1 > 0, RStrip: flags&2 > 0, SingleWord: flags&4 > 0,
		}}}
		b, err := newByT5(settings, 400)
		if err != nil {
			t.Fatal(err)
		}
		text = cleanText(text)
		ids := b.encode(text)
		for _, id := range ids {
			if int(id) >= b.vocabSize() {
				t.Fatalf("%q gives id %d of %d", text, id, b.vocabSize())
			}
		}
		if flags&3 == 0 && !strings.Contains(text, "<") && b.decode(ids) != text {
			t.Fatalf("%q comes back as %q", text, b.decode(ids))
		}
	})
}
