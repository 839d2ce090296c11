package prompt

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// full returns a prompt with every field set.
func full() *Prompt {
	p := New([]float32{1, -2, 3, 4, 0.5, 6}, 2, 3)
	p.Meta = Meta{
		Length: 2, DModel: 3, Sizes: map[string]int{"rank": 4, "layers": 8},
		Task: "sst2", Template: "sst2 sentence: {sentence}\n", Verbalizer: "negative=terrible,bad;positive=great",
		Labels: []string{"negative", `"positive", <so to say>`}, MaxInput: 128, MaxTarget: 4, Calibration: []float64{-0.1, 1.0 / 3},
		BaseModel: "org/model", Revision: "abc", TokenizerHash: "0123456789abcdef", Fingerprint: "…",
		Step: 1200, Score: 0.9507, ScoreName: "held-out accuracy", Version: "0.1.0", Seed: math.MaxUint64, Init: "class-labels",
		Extra: map[string]string{"format": "pt", "note": "kept"},
	}
	return p
}

func TestSaveLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	if err := Save(path, full()); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got); diff != "" {
		t.Errorf("saved -, loaded +:\n%s", diff)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Save(path, got); err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(path); err != nil || !bytes.Equal(first, second) {
		t.Errorf("the same prompt gave other bytes (%v)", err)
	}
}

// A file and the method that uses it speak of the same things.
func TestNamesAreTheMethods(t *testing.T) {
	m := PromptTuning(3)
	if m.Name != MethodPromptTuning || len(m.Trainables) != 1 || m.Trainables[0].Name != TensorPrompt {
		t.Errorf("method %q trains %v, want %q to train %q", m.Name, m.Trainables, MethodPromptTuning, TensorPrompt)
	}
}

// The keys are a contract with every file written.
func TestMetadataKeys(t *testing.T) {
	p := full()
	want := map[string]string{
		"softprompt.format":      "1",
		"softprompt.method":      "prompt-tuning",
		"softprompt.length":      "2",
		"softprompt.d_model":     "3",
		"softprompt.size.rank":   "4",
		"softprompt.size.layers": "8",
		"softprompt.task":        "sst2",
		"softprompt.template":    "sst2 sentence: {sentence}\n",
		"softprompt.verbalizer":  "negative=terrible,bad;positive=great",
		"softprompt.labels":      `["negative","\"positive\", \u003cso to say\u003e"]`,
		"softprompt.max_input":   "128",
		"softprompt.max_target":  "4",
		"softprompt.calibration": "-0.1 0.3333333333333333",
		"softprompt.base_model":  "org/model",
		"softprompt.revision":    "abc",
		"softprompt.fingerprint": "…",
		"softprompt.tokenizer":   "0123456789abcdef",
		"softprompt.step":        "1200",
		"softprompt.score":       "0.9507",
		"softprompt.score_name":  "held-out accuracy",
		"softprompt.version":     "0.1.0",
		"softprompt.seed":        "18446744073709551615",
		"softprompt.init":        "class-labels",
		"format":                 "pt",
		"note":                   "kept",
	}
	if diff := cmp.Diff(want, p.Meta.encode(p.Method)); diff != "" {
		t.Error(diff)
	}
	bare := Meta{}
	if diff := cmp.Diff(map[string]string{"softprompt.format": "1", "softprompt.method": "m"}, bare.encode("m")); diff != "" {
		t.Error(diff)
	}
}

// drawMeta draws metadata as a program may set it.
func drawMeta(t *rapid.T, length, width int) Meta {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", " ", "a b", "\"", "[]", "\n", "é", "\u2028"}))
	number := rapid.IntRange(0, math.MaxInt32)
	labels := rapid.SliceOfN(text, 0, 4).Draw(t, "labels")
	m := Meta{
		Length: length, DModel: width,
		Task: text.Draw(t, "task"), Template: text.Draw(t, "template"), Verbalizer: text.Draw(t, "verbalizer"),
		Labels: labels, MaxInput: number.Draw(t, "input"), MaxTarget: number.Draw(t, "target"),
		BaseModel: text.Draw(t, "model"), Revision: text.Draw(t, "revision"), Fingerprint: text.Draw(t, "fingerprint"),
		TokenizerHash: text.Draw(t, "hash"), Step: rapid.Int64Range(0, math.MaxInt64).Draw(t, "step"),
		Score: rapid.Float64().Draw(t, "score"), ScoreName: text.Draw(t, "score name"),
		Version: text.Draw(t, "version"), Seed: rapid.Uint64().Draw(t, "seed"), Init: text.Draw(t, "init"),
		Sizes: rapid.MapOfN(text, rapid.Int(), 0, 3).Draw(t, "sizes"),
		Extra: rapid.MapOfN(text.Filter(func(s string) bool { return !strings.HasPrefix(s, keyPrefix) }), text, 0, 3).Draw(t, "extra"),
	}
	if rapid.Bool().Draw(t, "calibrated") {
		m.Calibration = rapid.SliceOfN(rapid.Float64Range(-1e300, 1e300), len(labels), len(labels)).Draw(t, "calibration")
	}
	return m
}

func TestSaveLoadRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	rapid.Check(t, func(t *rapid.T) {
		length, width := rapid.IntRange(1, 4).Draw(t, "length"), rapid.IntRange(1, 4).Draw(t, "width")
		values := rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32)
		p := New(rapid.SliceOfN(values, length*width, length*width).Draw(t, "rows"), length, width)
		p.Meta = drawMeta(t, length, width)
		if err := Save(path, p); err != nil {
			t.Fatal(err)
		}
		got, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("saved -, loaded +:\n%s", diff)
		}
	})
}

func TestSaveRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Prompt)
		want  string
	}{
		"no method":    {func(p *Prompt) { p.Method = "" }, "no method"},
		"no tensors":   {func(p *Prompt) { p.Tensors = nil }, "no tensors"},
		"no name":      {func(p *Prompt) { p.Tensors[0].Name = "" }, "no name"},
		"twice":        {func(p *Prompt) { p.Tensors = append(p.Tensors, p.Tensors[0]) }, "there twice"},
		"shape":        {func(p *Prompt) { p.Tensors[0].Shape = []int64{2, 2} }, "6 values"},
		"no shape":     {func(p *Prompt) { p.Tensors[0].Shape = nil }, "shape []"},
		"NaN":          {func(p *Prompt) { p.Tensors[0].Data[4] = float32(math.NaN()) }, "row 1, column 1 is NaN"},
		"length":       {func(p *Prompt) { p.Meta.Length = 9 }, "9 vectors"},
		"step":         {func(p *Prompt) { p.Meta.Step = -1 }, "step is -1"},
		"calibration":  {func(p *Prompt) { p.Meta.Calibration = []float64{1} }, "1 calibration"},
		"own prefix":   {func(p *Prompt) { p.Meta.Extra["softprompt.x"] = "1" }, "softprompt's own"},
		"not UTF-8":    {func(p *Prompt) { p.Meta.Task = "\xff" }, "not UTF-8"},
		"other tensor": {func(p *Prompt) { p.Tensors[0].Name = "other" }, "no matrix"},
		"more tensors": {func(p *Prompt) { p.Tensors = append(p.Tensors, Tensor{"z", []int64{1}, []float32{1}}) }, `"z" is none of method`},
		"other method": {func(p *Prompt) { p.Method = "magic" }, `no method "magic"`},
		"bad size":     {func(p *Prompt) { p.Meta.Sizes["rank"] = -1 }, "rank is -1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), FileName)
			if err := os.WriteFile(path, []byte("the prompt of yesterday"), 0o644); err != nil {
				t.Fatal(err)
			}
			p := full()
			c.spoil(p)
			if err := Save(path, p); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if data, err := os.ReadFile(path); err != nil || string(data) != "the prompt of yesterday" {
				t.Errorf("the old file is now %q, %v", data, err)
			}
		})
	}
}

func TestLoadFileForms(t *testing.T) {
	dir := t.TempDir()
	run, peft, empty := filepath.Join(dir, "run"), filepath.Join(dir, "peft"), filepath.Join(dir, "empty")
	for _, d := range []string{run, peft, empty} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := Save(filepath.Join(run, FileName), full()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(peft, "adapter_config.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{run, filepath.Join(run, FileName)} {
		got, err := LoadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(full(), got); diff != "" {
			t.Errorf("%s:\n%s", path, diff)
		}
	}
	p, err := LoadFile("testdata/prompt_5x256.npy")
	if err != nil {
		t.Fatal(err)
	}
	if rows, length, width, err := p.Matrix(); err != nil || length != 5 || width != 256 || len(rows) != 5*256 {
		t.Errorf("a matrix [%d,%d] of %d values, %v", length, width, len(rows), err)
	}
	for path, want := range map[string]string{
		peft:                         "peft_type is",
		empty:                        "no prompt.safetensors in this folder",
		filepath.Join(dir, "absent"): "no such file",
	} {
		_, err := LoadFile(path)
		if err == nil || !strings.Contains(err.Error(), want) || hint.Of(err) == "" {
			t.Errorf("%s: error %v with hint %q, want one with %q", path, err, hint.Of(err), want)
		}
	}
	if _, err := LoadFile(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

// modelOf returns the configuration and fingerprint of a made-up T5 whose
// weights depend on seed.
func modelOf(t *testing.T, width int, seed uint64) (models.Config, models.Fingerprint) {
	t.Helper()
	config := models.Config{
		ModelType: "t5", VocabSize: 50, DModel: width, DKV: 2, DFF: 6, NumLayers: 1, NumDecoderLayers: 1,
		NumHeads: 2, NumBuckets: 32, MaxDistance: 128, Activation: "relu", TieWordEmbeddings: true,
	}
	f, err := models.NewFingerprint(config, func(name string, index int64) (float32, error) {
		r := NewRand(seed, uint64(len(name)), uint64(index))
		return r.Float32() - 0.5, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return config, f
}

func TestCheckModel(t *testing.T) {
	config, fingerprint := modelOf(t, 3, 1)
	_, others := modelOf(t, 3, 2)
	wideConfig, wide := modelOf(t, 4, 1)
	p := full()
	p.Meta.Fingerprint = fingerprint.String()
	if err := p.CheckModel(fingerprint, config, p.Meta.TokenizerHash); err != nil {
		t.Error(err)
	}
	if err := p.CheckModel(fingerprint, config, ""); err != nil {
		t.Error("unknown tokenizer:", err)
	}
	for name, c := range map[string]struct {
		err  error
		is   error
		want string
		hint string
	}{
		"weights":   {p.CheckModel(others, config, ""), ErrOtherModel, "other weights", "org/model@abc"},
		"width":     {p.CheckModel(wide, wideConfig, ""), ErrOtherModel, "width 3, the model's 4", "org/model@abc"},
		"tokenizer": {p.CheckModel(fingerprint, config, "fedcba"), ErrOtherTokenizer, "fedcba", "tokenizer's files"},
	} {
		if !errors.Is(c.err, c.is) || !strings.Contains(c.err.Error(), c.want) || !strings.Contains(hint.Of(c.err), c.hint) {
			t.Errorf("%s: error %v with hint %q, want %q and %q", name, c.err, hint.Of(c.err), c.want, c.hint)
		}
	}

	bare := New(make([]float32, 6), 2, 3) // as from a .npy file
	if err := bare.CheckModel(others, config, "fedcba"); err != nil {
		t.Error("a bare matrix:", err)
	}
	if err := bare.CheckModel(wide, wideConfig, ""); !errors.Is(err, ErrOtherModel) {
		t.Error("a bare matrix of another width:", err)
	}
	p.Meta.Fingerprint = "garbage"
	if err := p.CheckModel(fingerprint, config, ""); err == nil {
		t.Error("a fingerprint that cannot be read passes")
	}
}

func FuzzLoad(f *testing.F) {
	addHostile(f, ".safetensors")
	path := filepath.Join(f.TempDir(), FileName)
	if err := Save(path, full()); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "fuzz.safetensors")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := LoadFile(path)
		if err != nil {
			return
		}
		// Without Save, whose syncing would leave the fuzzer waiting.
		method, meta, err := decodeMeta(p.Meta.encode(p.Method))
		if err != nil {
			t.Fatalf("what was loaded cannot be loaded again: %v", err)
		}
		again := &Prompt{Method: method, Meta: meta, Tensors: p.Tensors}
		if diff := cmp.Diff(p, again, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); diff != "" {
			t.Fatalf("loaded -, written and loaded +:\n%s", diff)
		}
	})
}
