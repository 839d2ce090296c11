package models

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// t5JSON returns the published T5's tokenizer.json.
func t5JSON(t testing.TB) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(read(t, "testdata/t5_tokenizer.json.gz")))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func loadTokenizer(t testing.TB, data []byte, rows int) *Tokenizer {
	t.Helper()
	tok, err := parsedTokenizer(data, Config{VocabSize: rows, PadID: 0, EOSID: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	return tok
}

// parsedTokenizer makes a tokenizer of the content of a tokenizer.json.
func parsedTokenizer(data []byte, c Config) (*Tokenizer, error) {
	f, err := parseTokenizer(data)
	if err != nil {
		return nil, err
	}
	return newTokenizer(f, c)
}

func tinyTokenizer(t testing.TB) *Tokenizer {
	return loadTokenizer(t, read(t, "tiny/tokenizer.json"), 8192)
}

// golden is what Hugging Face's tokenizers make of a text; the files are made
// by tools/reference/tokenizer.py.
type golden struct {
	Cases []struct {
		Text    []byte  `json:"text"`
		IDs     []int64 `json:"ids"`
		Decoded string  `json:"decoded"`
	} `json:"cases"`
}

func loadGolden(t testing.TB, file string) golden {
	t.Helper()
	var g golden
	if err := json.Unmarshal(read(t, filepath.Join("testdata", file)), &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Cases) < 300 {
		t.Fatalf("%d cases in %s", len(g.Cases), file)
	}
	return g
}

func TestTokenizerLikeHuggingFace(t *testing.T) {
	for file, tok := range map[string]*Tokenizer{
		"tokenizer_tiny.json": tinyTokenizer(t),
		"tokenizer_t5.json":   loadTokenizer(t, t5JSON(t), 32128),
	} {
		for _, c := range loadGolden(t, file).Cases {
			ids, err := tok.Encode(string(c.Text))
			if err != nil {
				t.Fatalf("%s: %.60q: %v", file, c.Text, err)
			}
			if !slices.Equal(ids, c.IDs) {
				t.Errorf("%s: %.60q gives\n%v, wanted\n%v", file, c.Text, ids, c.IDs)
			}
			if text := tok.Decode(c.IDs); text != c.Decoded {
				t.Errorf("%s: %.60q comes back as\n%q, wanted\n%q", file, c.Text, text, c.Decoded)
			}
		}
	}
}

func TestEncodeEOS(t *testing.T) {
	tok := tinyTokenizer(t)
	all, err := tok.Encode("a gorgeous , witty , seductive movie .")
	if err != nil {
		t.Fatal(err)
	}
	for max := 1; max < len(all)+4; max++ {
		ids, cut, err := tok.EncodeEOS("a gorgeous , witty , seductive movie .", max)
		if err != nil {
			t.Fatal(err)
		}
		want := append(slices.Clone(all[:min(len(all), max-1)]), 1)
		if !slices.Equal(ids, want) || cut != (len(all) > max-1) {
			t.Errorf("at most %d: %v, cut %v", max, ids, cut)
		}
	}
	if ids, cut, err := tok.EncodeEOS("", 5); err != nil || cut || !slices.Equal(ids, []int64{1}) {
		t.Error(ids, cut, err)
	}
	for _, max := range []int{0, -1} {
		_, _, err := tok.EncodeEOS("x", max)
		wantError(t, err, "no room")
	}
}

func TestDecodeStrangeIDs(t *testing.T) {
	tok := tinyTokenizer(t)
	ids, err := tok.Encode("a great film")
	if err != nil {
		t.Fatal(err)
	}
	ids = append([]int64{0, -100, 8191, 1 << 40, 8099}, append(ids, 1, 0, 0, -1<<62)...)
	if got := tok.Decode(ids); got != "a great film" {
		t.Errorf("%q", got)
	}
	if got := tok.Decode(nil); got != "" {
		t.Errorf("%q", got)
	}
}

// Settings that a file was saved with do not leak into our lengths.
func TestTokenizerResetsTruncation(t *testing.T) {
	var top map[string]any
	if err := json.Unmarshal(read(t, "tiny/tokenizer.json"), &top); err != nil {
		t.Fatal(err)
	}
	top["truncation"] = map[string]any{"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
	top["padding"] = map[string]any{"strategy": map[string]any{"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": nil, "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>"}
	data, err := json.Marshal(top)
	if err != nil {
		t.Fatal(err)
	}
	text := "one two three four five six seven eight"
	want, err := tinyTokenizer(t).Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := loadTokenizer(t, data, 8192).Encode(text)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, wanted %v, %v", got, want, err)
	}
}

func TestTokenizerConcurrent(t *testing.T) {
	tok := tinyTokenizer(t)
	cases := loadGolden(t, "tokenizer_tiny.json").Cases[:120]
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for _, c := range cases {
				ids, err := tok.Encode(string(c.Text))
				if err != nil || !slices.Equal(ids, c.IDs) || tok.Decode(ids) != c.Decoded {
					t.Errorf("%q: %v, %v", c.Text, ids, err)
				}
			}
		})
	}
	wait.Wait()
}

// Close while others encode: each call works or says that it is closed.
func TestTokenizerCloseWhileEncoding(t *testing.T) {
	tok := tinyTokenizer(t)
	var wait sync.WaitGroup
	started := make(chan bool, 4)
	for range 4 {
		wait.Go(func() {
			for n := 0; ; n++ {
				if _, err := tok.Encode("a great film"); err != nil {
					wantError(t, err, "closed")
					return
				}
				if n == 0 {
					started <- true
				}
			}
		})
	}
	for range 4 {
		<-started
	}
	tok.Close()
	wait.Wait()
	if err := tok.Close(); err != nil || tok.Decode([]int64{5}) != "" || tok.VocabSize() != 0 {
		t.Error("a closed tokenizer answers")
	}
}

// change edits a tokenizer.json as a value.
func change(t testing.TB, edit func(top map[string]any)) []byte {
	t.Helper()
	var top map[string]any
	if err := json.Unmarshal(read(t, "tiny/tokenizer.json"), &top); err != nil {
		t.Fatal(err)
	}
	edit(top)
	data, err := json.Marshal(top)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// added returns the tiny model's tokenizer.json with one more token.
func added(t testing.TB, token addedToken) []byte {
	return change(t, func(top map[string]any) { top["added_tokens"] = append(top["added_tokens"].([]any), token) })
}

// Added tokens of all kinds that are let through end in no panic, whatever
// stands around them.
func TestAddedTokensAtBorders(t *testing.T) {
	around := []string{"", " ", "\n", "\u3000", "\u200b", "a", "<r>", "<r>  ", "é", "\u0301"}
	for _, content := range []string{" ", "\n", "  ", " a", "a ", "\u0301", "\u00ad", "\u3000", "<l>", "A", "\u200ba", "ﬁ"} {
		for flags := range 8 {
			token := addedToken{ID: 8100, Content: content, Normalized: flags&1 > 0, LStrip: flags&2 > 0, RStrip: flags&4 > 0, SingleWord: flags == 7}
			data := change(t, func(top map[string]any) {
				top["added_tokens"] = append(top["added_tokens"].([]any)[:3], token, addedToken{ID: 8101, Content: "<r>", RStrip: true, Normalized: token.Normalized})
				model := top["model"].(map[string]any)
				model["vocab"] = model["vocab"].([]any)[:300] // loads faster
			})
			tok, err := parsedTokenizer(data, Config{VocabSize: 8192, PadID: 0, EOSID: 1})
			if err != nil {
				wantError(t, err, "is empty when normalised")
				continue
			}
			for _, before := range around {
				for _, after := range around {
					if _, err := tok.Encode(before + content + after + content + content + after); err != nil {
						t.Errorf("%q: %v", content, err)
					}
				}
			}
			tok.Close()
		}
	}
}

func TestTokenizerErrors(t *testing.T) {
	whole := read(t, "tiny/tokenizer.json")
	model := func(top map[string]any) map[string]any { return top["model"].(map[string]any) }
	for _, test := range []struct {
		name string
		data []byte
		rows int
		want string
	}{
		{"empty", nil, 8192, "no JSON object"},
		{"cut", whole[:len(whole)/2], 8192, "no JSON object"},
		{"list", []byte("[]"), 8192, "no JSON object"},
		{"added token of nothing", added(t, addedToken{ID: 8100, Content: "\u200b", Normalized: true}), 8192, "is empty when normalised"},
		{"added token of what is removed", added(t, addedToken{ID: 8100, Content: "\x01", Normalized: true}), 8192, "is empty when normalised"},
		{"added token of spaces that takes spaces", added(t, addedToken{ID: 8100, Content: "  ", LStrip: true}), 8192, "is empty when normalised"},
		{"added token of what becomes spaces", added(t, addedToken{ID: 8100, Content: "\u3000", LStrip: true, Normalized: true}), 8192, "is empty when normalised"},
		{"regular expression without end", change(t, func(top map[string]any) {
			top["normalizer"] = map[string]any{"type": "Replace", "pattern": map[string]any{"Regex": "(a+)+$"}, "content": ""}
		}), 8192, "has the regular expression"},
		{"more added tokens than can be compared", change(t, func(top map[string]any) {
			top["added_tokens"] = slices.Repeat(top["added_tokens"].([]any), 100)
		}), 8192, "10300 added tokens, at most 10000"},
		{"piece too long for the library's stack", change(t, func(top map[string]any) {
			model(top)["vocab"].([]any)[5000] = []any{strings.Repeat("z", 10_000_000), -5.0}
		}), 8192, "piece 5000 of the vocabulary has 10000000 bytes"},
		{"added token as long", change(t, func(top map[string]any) {
			top["added_tokens"].([]any)[3].(map[string]any)["content"] = strings.Repeat("z", 1_000_000)
		}), 8192, "has 1000000 bytes"},
		{"all pieces too long", change(t, func(top map[string]any) {
			for id := range 5000 {
				model(top)["vocab"].([]any)[id+100] = []any{strings.Repeat("z", 4000), -5.0}
			}
		}), 8192, "a vocabulary of"},
		{"score out of reach", change(t, func(top map[string]any) { model(top)["vocab"].([]any)[7] = []any{"x", 1e300} }), 8192, "has the score 1e+300"},
		{"piece of one", change(t, func(top map[string]any) { model(top)["vocab"].([]any)[7] = []any{"x"} }), 8192, "no pair"},
		{"no model", []byte("{}"), 8192, "not a tokenizer.json"},
		{"config", []byte(`{"model_type": "t5"}`), 8192, "not a tokenizer.json"},
		{"not UTF-8", []byte("{\"model\": \"\xff\"}"), 8192, "not UTF-8"},
		{"model of no type", []byte(`{"model": {}}`), 8192, "model: no type"},
		{"model of another type", []byte(`{"model": {"type": "Trigram", "vocab": []}}`), 8192, `the model is of type "Trigram", wanted one of Unigram`},
		{"decoder that can panic", change(t, func(top map[string]any) {
			top["decoder"] = map[string]any{"type": "Sequence", "decoders": []any{top["decoder"], map[string]any{"type": "Strip", "content": "a", "start": 1, "stop": 1}}}
		}), 8192, `the decoder is of type "Strip"`},
		{"type is no text", change(t, func(top map[string]any) { top["pre_tokenizer"] = map[string]any{"type": 1} }), 8192, "the pre_tokenizer is of type"},
		{"charsmap hidden by a second key", []byte(strings.Replace(string(whole), `"precompiled_charsmap":`, `"precompiled_charsmap": "", "Precompiled_charsmap":`, 1)), 8192, "precompiled_charsmap: too short"},
		{"NUL in a name", []byte(`{"model": {"type": "\u0000"}}`), 8192, "NUL"},
		{"empty vocabulary", change(t, func(top map[string]any) { model(top)["vocab"] = []any{} }), 8192, ""},
		{"unknown id outside", change(t, func(top map[string]any) { model(top)["unk_id"] = 1 << 20 }), 8192, ""},
		{"no unknown token", change(t, func(top map[string]any) { model(top)["unk_id"] = nil }), 8192, "there is no unknown token"},
		{"no special tokens", change(t, func(top map[string]any) { top["added_tokens"] = []any{} }), 8192, "the special token </s> is missing"},
		{"more ids than rows", whole, 8099, "8100 ids, but the model's embedding has 8099 rows"},
		{"T5's for tiny", t5JSON(t), 8192, "32100 ids, but the model's embedding has 8192 rows"},
		{"charsmap missing", change(t, func(top map[string]any) { top["normalizer"] = map[string]any{"type": "Precompiled"} }), 8192, "precompiled_charsmap: too short"},
		{"charsmap with a line break", change(t, func(top map[string]any) { charsmap(top, "BAAA\nAP////8=") }), 8192, "line breaks or loose bits"},
		{"charsmap with loose bits", change(t, func(top map[string]any) { charsmap(top, "BAAAAP////9=") }), 8192, "line breaks or loose bits"},
		{"decoder of no type", change(t, func(top map[string]any) { top["decoder"] = map[string]any{"content": "a", "start": 1, "stop": 1} }), 8192, "the decoder is of type"},
		{"normalizer that is a text", change(t, func(top map[string]any) { top["normalizer"] = "NFC" }), 8192, "the normalizer is of type"},
		{"sequence of nothing", change(t, func(top map[string]any) { top["pre_tokenizer"] = map[string]any{"type": "Sequence"} }), 8192, "a Sequence without pretokenizers"},
		{"sequence of null", change(t, func(top map[string]any) {
			top["pre_tokenizer"] = map[string]any{"type": "Sequence", "pretokenizers": []any{nil}}
		}), 8192, "a Sequence with null"},
		{"charsmap no base64", change(t, func(top map[string]any) { charsmap(top, "!!") }), 8192, "precompiled_charsmap"},
		{"charsmap empty", change(t, func(top map[string]any) { charsmap(top, "") }), 8192, "precompiled_charsmap: too short"},
		{"charsmap far", change(t, func(top map[string]any) { charsmap(top, "BAAAAP////8=") }), 8192, "unit 0 leads out of the trie"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "tokenizer.json")
			write(t, path, test.data)
			_, err := openTokenizer(dir, Config{VocabSize: test.rows, PadID: 0, EOSID: 1})
			wantError(t, err, path, test.want, "hint:tokenizer.json")
		})
	}
	for _, c := range []Config{{VocabSize: 8192, PadID: 0, EOSID: 2}, {VocabSize: 8192, PadID: 3, EOSID: 1}} {
		_, err := parsedTokenizer(whole, c)
		wantError(t, err, "in config.json is", "the tokenizer of another model")
	}
}

// charsmap replaces the character map of the tiny model's normalizer.
func charsmap(top map[string]any, encoded string) {
	list := top["normalizer"].(map[string]any)["normalizers"].([]any)
	list[0].(map[string]any)["precompiled_charsmap"] = encoded
}

func TestTokenizerMissing(t *testing.T) {
	dir := randomModel(t, nil, 1, F32)
	if err := os.Remove(filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, dir).Tokenizer()
	wantError(t, err, "opening the tokenizer of", "neither tokenizer.json nor spiece.model", "hint:copy or download")
}

// smallCharsmap returns rules that make "A" an "a".
func smallCharsmap() []byte {
	// 256 units: the root leads to "A" (65), a leaf with "a" as replacement.
	blob := make([]byte, 4+4*256, 4+4*256+2)
	put := func(at int, v uint32) {
		copy(blob[4+4*at:], []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)})
	}
	blob[1] = 4                // 1024 bytes
	put(0, 1<<10)              // children at 0^1
	put(1^'A', 'A'|1<<8|2<<10) // its value at (1^'A')^2
	put(1^'A'^2, 1<<31)        // replacement 0
	blob = append(blob, 'a', 0)
	return blob
}

// Every map that the library could not walk safely is refused: each bit of a
// small, true map flipped either is refused or encodes without incident.
func TestCharsmapBitFlips(t *testing.T) {
	blob := smallCharsmap()
	if err := checkCharsmap(blob); err != nil {
		t.Fatal(err)
	}
	encode := func(blob []byte) string {
		tok := loadTokenizer(t, change(t, func(top map[string]any) { charsmap(top, base64.StdEncoding.EncodeToString(blob)) }), 8192)
		ids, err := tok.Encode("A")
		if err != nil {
			t.Fatal(err)
		}
		return tok.Decode(ids)
	}
	if got := encode(blob); got != "a" {
		t.Errorf("A becomes %q", got)
	}
	refused := 0
	for _, at := range []int{0, 1, 4, 5, 6, 7, 4 + 4*(1^'A'), 5 + 4*(1^'A'), 6 + 4*(1^'A'), 7 + 4*(1^'A'), 4 + 4*(1^'A'^2), 7 + 4*(1^'A'^2), len(blob) - 2, len(blob) - 1} {
		for bit := range 8 {
			flipped := slices.Clone(blob)
			flipped[at] ^= 1 << bit
			if checkCharsmap(flipped) != nil {
				refused++
			} else if bit == 0 || bit == 7 { // loading takes time
				encode(flipped)
			}
		}
	}
	if refused < 20 {
		t.Errorf("only %d of the flips were refused", refused)
	}
}

func FuzzCharsmap(f *testing.F) {
	f.Add([]byte{4, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 4, 0, 0, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, blob []byte) { checkCharsmap(blob) }) // must not panic
}

// Any bytes encode, decode to text, and stay below the embedding's rows.
func FuzzTokenizer(f *testing.F) {
	tok := tinyTokenizer(f)
	for _, c := range loadGolden(f, "tokenizer_tiny.json").Cases {
		f.Add(string(c.Text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := tok.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if id < 0 || id >= 8100 {
				t.Fatalf("%q gives id %d", text, id)
			}
		}
		if len(ids) == 0 && strings.ContainsAny(text, "abcdefghijklmnopqrstuvwxyz") {
			t.Fatalf("%q gives no ids", text)
		}
		if !utf8.ValidString(tok.Decode(ids)) {
			t.Fatalf("%q decodes to broken text", text)
		}
		again, cut, err := tok.EncodeEOS(text, len(ids)+1)
		if err != nil || cut || !cmp.Equal(again, append(slices.Clone(ids), 1)) {
			t.Fatalf("%q: %v, %v, %v", text, again, cut, err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	tok := tinyTokenizer(b)
	for b.Loop() {
		if _, err := tok.Encode("a gorgeous , witty , seductive movie ."); err != nil {
			b.Fatal(err)
		}
	}
}

// Any tokenizer.json is refused or makes a tokenizer that works: the library
// that loads it ends the process where we would see an error.
func FuzzTokenizerJSON(f *testing.F) {
	s, err := parseSpiece(spieceBytes(plainPieces, normalizer(smallCharsmap())), 100)
	if err != nil {
		f.Fatal(err)
	}
	file, err := s.tokenizerFile(&tokenizerSettings{}, 8)
	if err != nil {
		f.Fatal(err)
	}
	parts := []func(){
		func() {},
		func() { file.Normalizer = map[string]any{"type": "Prepend", "prepend": "▁"} },
		func() { file.Normalizer = map[string]any{"type": "Strip", "strip_left": true, "strip_right": true} },
		func() {
			file.Normalizer = map[string]any{"type": "Replace", "pattern": map[string]any{"Regex": "a{2,}"}, "content": ""}
		},
		func() {
			file.PreTokenizer = map[string]any{"type": "Punctuation", "behavior": "MergedWithNext"}
			file.Decoder = map[string]any{"type": "Sequence", "decoders": []any{map[string]any{"type": "ByteFallback"}, map[string]any{"type": "Fuse"}}}
		},
		func() { file.Model.ByteFallback = true },
		func() {
			file.AddedTokens = append(file.AddedTokens, addedToken{ID: 6, Content: "b", Normalized: true, LStrip: true, RStrip: true})
		},
	}
	for _, edit := range parts {
		edit()
		data, err := json.Marshal(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, " aaa  b \t</s>b ")
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		tok, err := parsedTokenizer(data, Config{VocabSize: 500, EOSID: 1})
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q", err)
			}
			return
		}
		defer tok.Close()
		ids, err := tok.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.ValidString(tok.Decode(ids)) {
			t.Fatalf("%v decodes to broken text", ids)
		}
	})
}
