package models

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

// made is a piece of a SentencePiece model that a test makes.
type made struct {
	text  string
	score float32
	kind  uint64
}

// plainPieces are those of the smallest model that is one.
var plainPieces = []made{{"<pad>", 0, kindControl}, {"</s>", 0, kindControl}, {"<unk>", 0, kindUnknown}, {"▁", -2, kindNormal}, {"a", -3, kindNormal}, {"▁a", -4, kindNormal}}

func bytesField(to []byte, f field, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, f.number, f.wire), value)
}

func varintField(to []byte, f field, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(to, f.number, f.wire), value)
}

// spieceBytes writes a spiece.model of pieces and more fields.
func spieceBytes(pieces []made, more ...[]byte) []byte {
	var out []byte
	for _, p := range pieces {
		message := bytesField(nil, pieceText, []byte(p.text))
		message = protowire.AppendFixed32(protowire.AppendTag(message, pieceScore.number, pieceScore.wire), math.Float32bits(p.score))
		if p.kind != kindNormal {
			message = varintField(message, pieceKind, p.kind)
		}
		out = bytesField(out, modelPiece, message)
	}
	return append(out, bytes.Join(more, nil)...)
}

// with returns the plain pieces and others.
func with(more ...made) []made { return slices.Concat(plainPieces, more) }

// trainer and normalizer are fields of a model with one field in them.
func trainer(kind uint64) []byte {
	return bytesField(nil, modelTrainer, varintField(nil, trainerModel, kind))
}

func normalizer(rules []byte) []byte {
	return bytesField(nil, modelNormalizer, bytesField(nil, normalizerCharsmap, rules))
}

// hostileSpieces are spiece.models that must be refused, with what the error
// must say.
var hostileSpieces = []struct {
	name string
	data []byte
	want string
}{
	{"empty", nil, "no pieces in it: not a SentencePiece model"},
	{"lfs-pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:d60acb128cf7b7f2536e8f38a5b18a05535c9e14c7a355904270e15b0945ea86\nsize 791656\n"), "not a SentencePiece model"},
	{"html", []byte("<!DOCTYPE html><html><body>Not found</body></html>"), "not a SentencePiece model"},
	{"json", []byte(`{"model": {"type": "Unigram"}}`), "not a SentencePiece model"},
	{"cut", spieceBytes(plainPieces)[:40], "cut short"},
	{"cut-in-a-tag", append(spieceBytes(plainPieces), 0x80), "cut short"},
	{"length-beyond-file", append(spieceBytes(plainPieces), 0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f), "cut short"},
	{"length-beyond-int64", append(spieceBytes(plainPieces), 0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), "cut short"},
	{"varint-without-end", append(spieceBytes(plainPieces), bytes.Repeat([]byte{0xff}, 30)...), "not a SentencePiece model"},
	{"field-zero", append(spieceBytes(plainPieces), 0x02, 0x00), "not a SentencePiece model"},
	{"group-without-end", append(spieceBytes(plainPieces), bytes.Repeat([]byte{0x4b}, 20000)...), "not a SentencePiece model"},
	{"message-in-piece-cut", bytesField(nil, modelPiece, []byte{0x0a, 0x05, 'a'}), "piece 0: not a SentencePiece model"},
	{"trainer-cut", append(spieceBytes(plainPieces), bytesField(nil, modelTrainer, []byte{0x0a, 0x7f})...), "cut short"},
	{"only-settings", trainer(1), "no pieces in it"},
	{"bpe", spieceBytes(plainPieces, trainer(2)), "a SentencePiece model of type 2 (BPE), wanted Unigram"},
	{"words", spieceBytes(plainPieces, trainer(3)), "type 3 (word), wanted Unigram"},
	{"type-99", spieceBytes(plainPieces, trainer(99)), "type 99 (), wanted Unigram"},
	{"no-unknown", spieceBytes([]made{{"<pad>", 0, kindControl}, {"</s>", 0, kindControl}, {"a", -1, kindNormal}}), "no piece is the unknown token"},
	{"two-unknown", spieceBytes(with(made{"<unk2>", 0, kindUnknown})), "pieces 2 and 6 are both the unknown token"},
	{"twice", spieceBytes(with(made{"a", -9, kindNormal})), `pieces 4 and 6 are both "a"`},
	{"no-text", spieceBytes(with(made{"", -9, kindNormal})), "piece 6: no text"},
	{"not-utf8", spieceBytes(with(made{"\xff\xfe", -9, kindNormal})), "is not UTF-8"},
	{"nul", spieceBytes(with(made{"a\x00b", -9, kindNormal})), "piece 6 of the vocabulary, \"a\\x00b\", has a NUL character"},
	{"long", spieceBytes(with(made{strings.Repeat("z", 5000), -9, kindNormal})), "piece 6: 5000 bytes, at most 4096"},
	{"nan", spieceBytes(with(made{"b", float32(math.NaN()), kindNormal})), `piece 6: "b" has the score NaN`},
	{"infinite", spieceBytes(with(made{"b", float32(math.Inf(-1)), kindNormal})), `piece 6: "b" has the score -Inf`},
	{"more-pieces-than-rows", bytes.Repeat([]byte{0x0a, 0x00}, 3000), "piece 0: no text"},
	{"empty-pieces", append(spieceBytes(plainPieces), bytes.Repeat([]byte{0x0a, 0x00}, 3000)...), "piece 6: no text"},
	{"charsmap-short", spieceBytes(plainPieces, normalizer([]byte{1, 2})), "precompiled_charsmap: too short"},
	{"charsmap-out-of-bounds", spieceBytes(plainPieces, normalizer([]byte{4, 0, 0, 0, 0xff, 0xff, 0xff, 0})), "precompiled_charsmap: unit 0 leads out of the trie"},
	{"no-end-of-sequence", spieceBytes([]made{{"<unk>", 0, kindUnknown}, {"a", -1, kindNormal}}), "in config.json is"},
	{"swapped-specials", spieceBytes([]made{{"</s>", 0, kindControl}, {"<pad>", 0, kindControl}, {"<unk>", 0, kindUnknown}, {"a", -1, kindNormal}}), "the tokenizer of another model"},
	{"sentinels-of-another-count", spieceBytes(with(made{"▁<extra_id_0>", -9, kindUserDefined})), "1 sentinels among the pieces, but extra_ids is 100"},
}

func TestHostileSpiece(t *testing.T) {
	dir := filepath.Join("testdata", "hostile")
	if *update {
		for _, h := range hostileSpieces {
			write(t, filepath.Join(dir, h.name+".model"), h.data)
		}
	}
	if there, _ := filepath.Glob(filepath.Join(dir, "*.model")); len(there) != len(hostileSpieces) {
		t.Errorf("%d files in %s for %d cases: run with -update", len(there), dir, len(hostileSpieces))
	}
	for _, h := range hostileSpieces {
		t.Run(h.name, func(t *testing.T) {
			data := read(t, filepath.Join(dir, h.name+".model"))
			if !bytes.Equal(data, h.data) {
				t.Fatalf("the file is not what the test describes: run with -update")
			}
			path := filepath.Join(t.TempDir(), "spiece.model")
			write(t, path, data)
			_, err := openTokenizer(filepath.Dir(path), Config{ModelType: "t5", VocabSize: 2000, PadID: 0, EOSID: 1})
			wantError(t, err, path, h.want, "hint:take spiece.model from where the model is from")
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
				t.Errorf("an error of %d bytes: %q", len(err.Error()), err)
			}
		})
	}
}

// A tokenizer that does not match the model.
func TestSpieceOfAnotherModel(t *testing.T) {
	dir := unpackTokenizer(t, "t5")
	for rows, want := range map[int]string{
		31999: "more than 31999 pieces, but the model's embedding has 31999 rows",
		100:   "more than 100 pieces",
	} {
		_, err := openTokenizer(dir, Config{ModelType: "t5", VocabSize: rows, PadID: 0, EOSID: 1})
		wantError(t, err, "spiece.model", want, "the tokenizer of another model", "hint:")
	}
	for _, c := range []Config{{VocabSize: 32128, PadID: 1, EOSID: 0}, {VocabSize: 32128, PadID: 0, EOSID: 2}} {
		_, err := openTokenizer(dir, c)
		wantError(t, err, "spiece.model", "in config.json is", "the tokenizer of another model")
	}
}

// What spiece.model leaves open, and who decides it.
func TestSpieceSentinels(t *testing.T) {
	for _, test := range []struct {
		config string // tokenizer_config.json
		rows   int
		size   int
		want   string // of the error
	}{
		{"", 2000, 106, ""},
		{"", 106, 106, ""},
		{"", 105, 6, ""}, // no room: the model has none
		{"{}", 2000, 106, ""},
		{`{"extra_ids": 0}`, 2000, 6, ""},
		{`{"extra_ids": 7}`, 2000, 13, ""},
		{`{"extra_ids": -5}`, 2000, 6, ""},
		{`{"extra_ids": 7}`, 12, 0, "6 pieces and 7 extra_ids, but the model's embedding has 12 rows"},
		{`{"extra_ids": 9223372036854775807}`, 2000, 0, "9223372036854775807 extra_ids"},
		{`{"extra_ids": 2, "extra_special_tokens": ["<more>"]}`, 2000, 9, ""},
		{`{"extra_ids": 2, "extra_special_tokens": {}}`, 2000, 8, ""},
		{`{"extra_ids": 2, "additional_special_tokens": null, "bos_token": "<s>"}`, 2000, 9, ""},
		{`{"extra_ids": 2, "unk_token": "<other>"}`, 2000, 9, ""},
		{`{"extra_ids": 1, "added_tokens_decoder": {"6": {"content": "<a>"}, "5": {"content": "▁a"}}}`, 2000, 8, ""},
		{`{"extra_ids": 0, "added_tokens_decoder": {"6": {"content": "<a>"}}}`, 6, 0, "7 ids, but the model's embedding has 6 rows"},
		{`{"eos_token": null}`, 2000, 106, ""}, // </s> is a control piece as well
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "spiece.model"), spieceBytes(plainPieces))
		if test.config != "" {
			write(t, filepath.Join(dir, "tokenizer_config.json"), []byte(test.config))
		}
		tok, err := openTokenizer(dir, Config{ModelType: "t5", VocabSize: test.rows, PadID: 0, EOSID: 1})
		if test.want != "" {
			wantError(t, err, test.want)
			continue
		}
		if err != nil {
			t.Errorf("%s with %d rows: %v", test.config, test.rows, err)
			continue
		}
		if got := tok.VocabSize(); got != test.size {
			t.Errorf("%s with %d rows: %d ids, wanted %d", test.config, test.rows, got, test.size)
		}
		tok.Close()
	}
}

// <extra_id_0> is the last id of a T5, <extra_id_99> the first after its
// pieces.
func TestSentinelIDs(t *testing.T) {
	tok := openFolder(t, unpackTokenizer(t, "t5"), 32128)
	for i := range 100 {
		ids, err := tok.Encode(sentinel(i))
		if err != nil || len(ids) != 1 || ids[0] != int64(32099-i) {
			t.Errorf("%s is %v, %v", sentinel(i), ids, err)
		}
	}
}

// Pieces, scores and kinds survive whatever order and company the fields come
// in.
func TestSpieceReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfNDistinct(rapid.StringN(1, 12, 60), 1, 20, rapid.ID[string]).Draw(t, "texts")
		unknown := rapid.IntRange(0, len(texts)-1).Draw(t, "unknown")
		var data []byte
		var pieces []made
		noise := func(to []byte) []byte { // fields that nobody reads
			switch rapid.IntRange(0, 3).Draw(t, "noise") {
			case 0:
				return varintField(to, field{200, protowire.VarintType}, 7)
			case 1:
				return protowire.AppendFixed64(protowire.AppendTag(to, 201, protowire.Fixed64Type), 8)
			case 2:
				return varintField(to, field{1, protowire.VarintType}, 9) // the number of another type's field
			}
			return to
		}
		for id, text := range texts {
			p := made{text, rapid.Float32Range(-100, 0).Draw(t, "score"), rapid.SampledFrom([]uint64{1, 3, 4, 5, 6}).Draw(t, "kind")}
			if id == unknown {
				p.kind = kindUnknown
			}
			message := varintField(noise(nil), pieceKind, p.kind)
			message = bytesField(message, pieceText, []byte("before")) // the last one counts
			message = protowire.AppendFixed32(protowire.AppendTag(message, pieceScore.number, pieceScore.wire), math.Float32bits(p.score))
			data = bytesField(noise(data), modelPiece, bytesField(message, pieceText, []byte(p.text)))
			pieces = append(pieces, p)
		}
		s, err := parseSpiece(append(data, trainer(1)...), len(texts))
		if err != nil {
			t.Fatal(err)
		}
		for id, p := range pieces {
			if s.pieces[id] != (piece{p.text, float64(p.score)}) || s.kinds[id] != p.kind {
				t.Fatalf("piece %d is %v of kind %d, wanted %v", id, s.pieces[id], s.kinds[id], p)
			}
		}
		if s.unk != unknown {
			t.Fatalf("unknown is %d, wanted %d", s.unk, unknown)
		}
	})
}

// Any spiece.model with any settings is refused or makes a tokenizer that
// works: the library that loads it ends the process where we would see an
// error.
func FuzzSpiece(f *testing.F) {
	for _, h := range hostileSpieces {
		f.Add(h.data, "{}", "a")
	}
	f.Add(spieceBytes(plainPieces), `{"extra_ids": 2}`, "a <extra_id_1> a")
	f.Add(spieceBytes(with(made{"ab", -1, kindUserDefined}, made{" b", -1, kindControl})), `{"added_tokens_decoder": {"9": {"content": "b ", "lstrip": true, "rstrip": true, "single_word": true}}}`, " a  b  b ab")
	f.Add(spieceBytes(plainPieces, normalizer(smallCharsmap())), `{"extra_special_tokens": [{"content": "A", "normalized": true}]}`, "AaA")
	f.Fuzz(func(t *testing.T, data []byte, config, text string) {
		var file map[string]json.RawMessage
		settings := &tokenizerSettings{named: map[string]addedToken{}}
		if json.Unmarshal([]byte(config), &file) != nil || settings.takeConfig(file) != nil {
			return
		}
		c := Config{VocabSize: 500, EOSID: 1}
		s, err := parseSpiece(data, c.VocabSize)
		if err != nil {
			return
		}
		made, err := s.tokenizerFile(settings, c.VocabSize)
		if err != nil || made.check() != nil {
			return
		}
		tok, err := newTokenizer(made, c)
		if err != nil {
			return
		}
		defer tok.Close()
		ids, err := tok.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		tok.Decode(ids)
		written, err := json.Marshal(made)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parsedTokenizer(written, c)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if same, err := again.Encode(text); err != nil || !slices.Equal(same, ids) || again.Hash() != tok.Hash() {
			t.Fatalf("%v, and from the file %v, %v", ids, same, err)
		}
	})
}

// The file made from spiece.model makes the same tokenizer in another folder.
func TestSpieceFilesMakeTheSame(t *testing.T) {
	texts := goldenTexts(t)[19900:21000]
	for name, rows := range tokenizerRows {
		first := openFolder(t, unpackTokenizer(t, name), rows)
		files, err := first.Files()
		if err != nil || len(files) != 1 {
			t.Fatal(len(files), err)
		}
		dir := t.TempDir()
		for file, data := range files {
			write(t, filepath.Join(dir, file), data)
		}
		second := openFolder(t, dir, rows)
		if first.Hash() != second.Hash() || first.VocabSize() != second.VocabSize() {
			t.Errorf("%s: %d ids, hash %.12s, and then %d, %.12s", name, first.VocabSize(), first.Hash(), second.VocabSize(), second.Hash())
		}
		for _, text := range texts {
			a, err1 := first.Encode(text)
			b, err2 := second.Encode(text)
			if err1 != nil || err2 != nil || !slices.Equal(a, b) || first.Decode(a) != second.Decode(b) {
				t.Fatalf("%s: %.60q: %v and %v", name, text, a, b)
			}
		}
	}
}
