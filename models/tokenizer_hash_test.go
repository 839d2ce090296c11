package models

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// jsonHash returns the hash of the content of a tokenizer.json.
func jsonHash(t testing.TB, data []byte) string {
	t.Helper()
	f, err := parseTokenizer(data)
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.hash()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The published T5 has one hash: as the tokenizer.json that lies in its
// repository, written by an old version of the converter with other settings
// and scores of fewer digits, as spiece.model, and with the files of T5 v1.1
// around it.
func TestTokenizerHashOfT5(t *testing.T) {
	want := jsonHash(t, t5JSON(t))
	for _, name := range []string{"t5", "t5-v1_1"} {
		if got := openFolder(t, unpackTokenizer(t, name), 32128).Hash(); got != want {
			t.Errorf("%s: %.12s, wanted tokenizer.json's %.12s", name, got, want)
		}
	}
	if len(want) != 64 || want == jsonHash(t, read(t, "tiny/tokenizer.json")) {
		t.Errorf("%q, and the tiny model's is %q", want, jsonHash(t, read(t, "tiny/tokenizer.json")))
	}
}

// Another way to write the same has the same hash; whatever may change an id
// changes it.
func TestTokenizerHash(t *testing.T) {
	type object = map[string]any
	want := jsonHash(t, read(t, "tiny/tokenizer.json"))
	model := func(top object) object { return top["model"].(object) }
	first := func(top object) object { return top["added_tokens"].([]any)[0].(object) }
	steps := func(top object) []any { return top["normalizer"].(object)["normalizers"].([]any) }
	for _, test := range []struct {
		name string
		same bool
		edit func(top object)
	}{
		{"nothing", true, func(top object) {}},
		{"truncation", true, func(top object) { top["truncation"] = object{"max_length": 3} }},
		{"padding", true, func(top object) { top["padding"] = object{"pad_id": 7} }},
		{"post-processor", true, func(top object) { top["post_processor"] = nil }},
		{"decoder", true, func(top object) { top["decoder"] = nil }},
		{"version", true, func(top object) { top["version"] = "2.0" }},
		{"unknown key", true, func(top object) { top["more"] = 1 }},
		{"fewer digits", true, func(top object) {
			p := model(top)["vocab"].([]any)[100].([]any)
			p[1] = float64(float32(p[1].(float64))) * (1 + 1e-12)
		}},
		{"defaults left out", true, func(top object) { top["pre_tokenizer"] = object{"type": "Metaspace", "replacement": "▁"} }},
		{"old name of a setting", true, func(top object) {
			top["pre_tokenizer"] = object{"type": "Metaspace", "replacement": "▁", "add_prefix_space": true, "str_rep": "▁"}
		}},
		{"sequence of one", true, func(top object) {
			top["pre_tokenizer"] = object{"type": "Sequence", "pretokenizers": []any{top["pre_tokenizer"]}}
		}},
		{"sequence in a sequence", true, func(top object) {
			s := steps(top)
			top["normalizer"] = object{"type": "Sequence", "normalizers": []any{s[0], object{"type": "Sequence", "normalizers": s[1:]}}}
		}},
		{"no byte_fallback", true, func(top object) { delete(model(top), "byte_fallback") }},

		{"a score", false, func(top object) { model(top)["vocab"].([]any)[100].([]any)[1] = -1.5 }},
		{"a piece", false, func(top object) { model(top)["vocab"].([]any)[100].([]any)[0] = "▁something" }},
		{"pieces swapped", false, func(top object) {
			v := model(top)["vocab"].([]any)
			v[100], v[101] = v[101], v[100]
		}},
		{"unknown id", false, func(top object) { model(top)["unk_id"] = 3 }},
		{"byte_fallback", false, func(top object) { model(top)["byte_fallback"] = true }},
		{"no prefix", false, func(top object) {
			top["pre_tokenizer"] = object{"type": "Metaspace", "replacement": "▁", "add_prefix_space": false, "prepend_scheme": "never"}
		}},
		{"first prefix", false, func(top object) { top["pre_tokenizer"].(object)["prepend_scheme"] = "first" }},
		{"not split", false, func(top object) { top["pre_tokenizer"].(object)["split"] = false }},
		{"another space", false, func(top object) { top["pre_tokenizer"].(object)["replacement"] = "_" }},
		{"no pre-tokenizer", false, func(top object) { top["pre_tokenizer"] = nil }},
		{"no normalizer", false, func(top object) { top["normalizer"] = nil }},
		{"a step less", false, func(top object) { top["normalizer"].(object)["normalizers"] = steps(top)[:1] }},
		{"other rules", false, func(top object) { charsmap(top, "AAAAAA==") }},
		{"a token less", false, func(top object) { top["added_tokens"] = top["added_tokens"].([]any)[:102] }},
		{"a token's text", false, func(top object) { first(top)["content"] = "<padding>" }},
		{"a token's flag", false, func(top object) { first(top)["rstrip"] = true }},
		{"an ordinary token", false, func(top object) { first(top)["special"] = false }},
	} {
		data := change(t, test.edit)
		if test.name == "other rules" { // which checks would refuse
			var f tokenizerFile
			if err := json.Unmarshal(data, &f); err != nil {
				t.Fatal(err)
			}
			if got, err := f.hash(); err != nil || got == want {
				t.Error("other rules have the same hash", err)
			}
			continue
		}
		if got := jsonHash(t, data); (got == want) != test.same {
			t.Errorf("%s: same hash: %v, wanted %v", test.name, got == want, test.same)
		}
	}
}

// The hash is as good as its stability: prompts on disk hold it.
func TestTokenizerHashStays(t *testing.T) {
	const tiny = "bbb162034a0cc778"
	if got := tinyTokenizer(t).Hash(); !strings.HasPrefix(got, tiny) {
		t.Errorf("the tiny model's tokenizer has hash %s, in prompts it is %s…", got, tiny)
	}
}

// The same holds for bytes: other tokens, or the same ones found in another
// way, give texts other ids.
func TestTokenizerHashOfByT5(t *testing.T) {
	const class = `"tokenizer_class": "ByT5Tokenizer"`
	hashes := map[string]string{}
	for _, config := range []string{
		`{` + class + `}`,
		`{` + class + `, "extra_ids": 3}`,
		`{` + class + `, "eos_token": {"content": "</s>"}}`,
		`{` + class + `, "eos_token": {"content": "</s>", "lstrip": true}}`,
		`{` + class + `, "added_tokens_decoder": {"258": {"content": "<x>"}}}`,
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "tokenizer_config.json"), []byte(config))
		h := openFolder(t, dir, 384).Hash()
		if other, ok := hashes[h]; ok || len(h) != 64 {
			t.Errorf("%s and %s have the hash %q", config, other, h)
		}
		hashes[h] = config
	}
	// Said or not, it is the same.
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tokenizer_config.json"), []byte(`{`+class+`, "extra_ids": 125, "pad_token": "<pad>", "model_max_length": 512}`))
	if h := openFolder(t, dir, 384).Hash(); hashes[h] == "" {
		t.Errorf("a new hash %s", h)
	}
}
