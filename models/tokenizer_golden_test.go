package models

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// folderGolden is what transformers makes of a tokenizer's folder and of all
// texts; tools/reference/tokenizer_folders.py says what the sums are of.
type folderGolden struct {
	Texts         int
	IDs           int
	VocabSize     int    `json:"vocab_size"`
	IDsSHA256     string `json:"ids_sha256"`
	DecodedSHA256 string `json:"decoded_sha256"`
	VocabSHA256   string `json:"vocab_sha256"`
	Tokenizer     any
	Sums          []byte
	Decodes       [][2]json.RawMessage // ids and their text
}

func gunzip(t testing.TB, path string) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// goldenTexts returns 20,000 sentences and more than 2,000 hostile texts.
func goldenTexts(t testing.TB) []string {
	t.Helper()
	var texts []string
	for data := gunzip(t, "testdata/tokenizers/texts.gz"); len(data) > 0; {
		n, used := binary.Uvarint(data)
		texts = append(texts, string(data[used:][:n]))
		data = data[used+int(n):]
	}
	if len(texts) < 22000 {
		t.Fatalf("%d texts", len(texts))
	}
	return texts
}

// sharedModels has the folders whose spiece.model lies in another one.
var sharedModels = map[string]string{"t5-v1_1": "t5", "mt5-silent": "mt5", "added": "symbols", "legacy": "symbols"}

// unpackTokenizer copies a folder of testdata/tokenizers, with spiece.model
// unpacked if it has one.
func unpackTokenizer(t testing.TB, name string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []string{"config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"} {
		data, err := os.ReadFile(filepath.Join("testdata/tokenizers", name, file))
		if err == nil {
			write(t, filepath.Join(dir, file), data)
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if !strings.HasPrefix(name, "byt5") {
		from := name
		if sharedModels[name] != "" {
			from = sharedModels[name]
		}
		write(t, filepath.Join(dir, "spiece.model"), gunzip(t, filepath.Join("testdata/tokenizers", from, "spiece.model.gz")))
	}
	return dir
}

// openFolder makes the tokenizer of an unpacked folder.
func openFolder(t testing.TB, dir string, rows int) *Tokenizer {
	t.Helper()
	tok, err := openTokenizer(dir, Config{ModelType: "t5", VocabSize: rows, PadID: 0, EOSID: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	return tok
}

// tokenizerRows is the embedding of each folder's model.
var tokenizerRows = map[string]int{
	"t5": 32128, "t5-v1_1": 32128, "mt5": 2432, "mt5-silent": 2432, "umt5": 2304, "symbols": 1664, "added": 1536, "legacy": 1536,
	"byt5": 384, "byt5-published": 384, "byt5-added": 384,
}

// Every id of every text is the one that transformers gives, and so is the
// text that the ids become again.
func TestTokenizerFoldersLikeTransformers(t *testing.T) {
	texts := goldenTexts(t)
	for name, rows := range tokenizerRows {
		t.Run(name, func(t *testing.T) {
			want := loadFolderGolden(t, name)
			tok := openFolder(t, unpackTokenizer(t, name), rows)
			ids, differ := holdTexts(t, tok, texts, want)
			t.Logf("tokenizer of %s: %d texts, %d ids, %d texts differ from transformers", name, len(texts), ids, differ)
			if got := tok.VocabSize(); got != want.VocabSize {
				t.Errorf("%d ids known, wanted %d", got, want.VocabSize)
			}
			if want.Tokenizer != nil {
				holdFile(t, tok, want)
			}
		})
	}
}

// The published tokenizer.json gives the ids that its spiece.model does.
func TestPublishedTokenizerLikeTransformers(t *testing.T) {
	texts := goldenTexts(t)
	ids, differ := holdTexts(t, loadTokenizer(t, t5JSON(t), 32128), texts, loadFolderGolden(t, "t5"))
	t.Logf("tokenizer.json of T5: %d texts, %d ids, %d texts differ from transformers", len(texts), ids, differ)
}

func loadFolderGolden(t testing.TB, name string) (g folderGolden) {
	t.Helper()
	if err := json.Unmarshal(read(t, filepath.Join("testdata/tokenizers", name, "golden.json")), &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// Ids in an order that no text gives become what they become there.
func TestByT5DecodesLikeTransformers(t *testing.T) {
	for _, name := range []string{"byt5", "byt5-published", "byt5-added"} {
		tok := openFolder(t, unpackTokenizer(t, name), 384)
		want := loadFolderGolden(t, name).Decodes
		if len(want) != 300 {
			t.Fatalf("%s: %d cases", name, len(want))
		}
		for _, pair := range want {
			var ids []int64
			var text string
			if err := errors.Join(json.Unmarshal(pair[0], &ids), json.Unmarshal(pair[1], &text)); err != nil {
				t.Fatal(err)
			}
			if got := tok.Decode(ids); got != text {
				t.Errorf("%s: %v is %q, wanted %q", name, ids, got, text)
			}
		}
	}
}

// holdTexts encodes and decodes all texts and returns how many ids that made
// and how many texts came out different.
func holdTexts(t *testing.T, tok *Tokenizer, texts []string, want folderGolden) (count, differ int) {
	if len(texts) != want.Texts || len(want.Sums) != 2*len(texts) {
		t.Fatalf("golden.json is of %d texts", want.Texts)
	}
	allIDs, allText := sha256.New(), sha256.New()
	for i, text := range texts {
		ids, err := tok.Encode(text)
		if err != nil {
			t.Fatalf("%.60q: %v", text, err)
		}
		part := binary.AppendUvarint(nil, uint64(len(ids)))
		for _, id := range ids {
			part = binary.AppendUvarint(part, uint64(id))
		}
		if sum := sha256.Sum256(part); !bytes.Equal(sum[:2], want.Sums[2*i:2*i+2]) {
			if differ++; differ <= 10 {
				t.Errorf("text %d, %.80q, gives %v", i, text, ids[:min(len(ids), 40)])
			}
		}
		allIDs.Write(part)
		decoded := tok.Decode(ids)
		allText.Write(append(binary.AppendUvarint(nil, uint64(len(decoded))), decoded...))
		count += len(ids)
	}
	if count != want.IDs || sum(allIDs) != want.IDsSHA256 {
		t.Errorf("%d ids, wanted %d and the same", count, want.IDs)
	}
	if sum(allText) != want.DecodedSHA256 {
		t.Error("the ids become another text")
	}
	return count, differ
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// holdFile compares the tokenizer.json made from spiece.model with the one
// that transformers makes: scores to the last bit, and everything else.
func holdFile(t *testing.T, tok *Tokenizer, want folderGolden) {
	files, err := tok.Files()
	if err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := json.Unmarshal(files["tokenizer.json"], &top); err != nil {
		t.Fatal(err)
	}
	model := top["model"].(map[string]any)
	vocab := sha256.New()
	for _, p := range model["vocab"].([]any) {
		text, score := p.([]any)[0].(string), p.([]any)[1].(float64)
		part := append(binary.AppendUvarint(nil, uint64(len(text))), text...)
		vocab.Write(binary.LittleEndian.AppendUint64(part, math.Float64bits(score)))
	}
	if sum(vocab) != want.VocabSHA256 {
		t.Error("another vocabulary")
	}
	delete(model, "vocab")
	if normalizer, ok := top["normalizer"].(map[string]any); ok {
		rules, err := base64.StdEncoding.DecodeString(normalizer["precompiled_charsmap"].(string))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(rules)
		normalizer["precompiled_charsmap"] = hex.EncodeToString(sum[:])
	}
	if diff := cmp.Diff(want.Tokenizer, any(top)); diff != "" {
		t.Errorf("tokenizer.json, - wanted, + made:\n%s", diff)
	}
}

func BenchmarkOpenSpiece(b *testing.B) {
	dir := unpackTokenizer(b, "t5")
	for b.Loop() {
		tok, err := openTokenizer(dir, Config{ModelType: "t5", VocabSize: 32128, EOSID: 1})
		if err != nil {
			b.Fatal(err)
		}
		tok.Close()
	}
}

// Whatever the files beside a tokenizer say, the ids are those of transformers.
// It loads tokenizers whose padding or end of sequence is no token, or has
// another id than the model's; those, and no others, are refused.
func TestTokenizerSettingsLikeTransformers(t *testing.T) {
	var golden struct {
		Texts []string
		Cases []struct {
			Bytes bool
			Files map[string]json.RawMessage
			IDs   [][]int64
			Ends  [][]int64
			Error string
		}
	}
	if err := json.Unmarshal(gunzip(t, "testdata/tokenizers/settings.json.gz"), &golden); err != nil {
		t.Fatal(err)
	}
	spiece := gunzip(t, "testdata/tokenizers/symbols/spiece.model.gz")
	held, refused := 0, 0
	for i, c := range golden.Cases {
		dir := t.TempDir()
		for name, content := range c.Files {
			write(t, filepath.Join(dir, name), content)
		}
		if !c.Bytes {
			write(t, filepath.Join(dir, "spiece.model"), spiece)
		}
		tok, err := openTokenizer(dir, Config{ModelType: "t5", VocabSize: 2000, PadID: 0, EOSID: 1})
		good := c.Error == "" && cmp.Equal(c.Ends, [][]int64{{0}, {1}})
		if (err == nil) != good {
			t.Errorf("case %d, %s: %v, wanted %v %s", i, c.Files["tokenizer_config.json"], err, c.Ends, c.Error)
		}
		if err != nil {
			refused++
			continue
		}
		for j, text := range golden.Texts {
			if ids, err := tok.Encode(text); err != nil || !cmp.Equal(ids, c.IDs[j], cmpopts.EquateEmpty()) {
				t.Errorf("case %d, %q gives %v, %v, wanted %v", i, text, ids, err, c.IDs[j])
			}
		}
		tok.Close()
		held++
	}
	if held < 80 {
		t.Errorf("only %d settings make a tokenizer", held)
	}
	t.Logf("%d settings with %d texts each, %d refused", held, len(golden.Texts), refused)
}
