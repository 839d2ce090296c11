package prompt

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// TestMethodTable: names are names of files and of nothing else twice, what a
// method keeps is a method, and the table that callers get is their own.
func TestMethodTable(t *testing.T) {
	seen := map[string]bool{}
	for _, info := range Methods() {
		if seen[info.Name] || info.Help == "" || strings.Trim(info.Name, "abcdefghijklmnopqrstuvwxyz3-") != "" {
			t.Errorf("method %q with the help %q is there twice, or is not named as others are", info.Name, info.Help)
		}
		seen[info.Name] = true
		if m := methodOf(t, info.Name, Sizes{Length: 4, Rank: 2 * used(info, "rank"), Hidden: 3 * used(info, "hidden"), Rows: 8}); m.Name != info.Name || (m.Fold != nil) != (info.Keeps != "") {
			t.Errorf("%s makes a method %s that folds to %q: %v", info.Name, m.Name, info.Keeps, m.Fold != nil)
		}
		if kept, err := LookupMethod(info.Keeps); info.Keeps != "" && (err != nil || kept.Keeps != "" || kept.ByModel != info.ByModel) {
			t.Errorf("%s keeps %+v, %v", info.Name, kept, err)
		}
		if _, ok := info.Defaults["length"]; ok && !slices.Contains(info.Uses, "length") {
			t.Errorf("%s has a default length and no length", info.Name)
		}
	}
	Methods()[0].Name = "spoilt"
	if MethodNames()[0] != MethodPromptTuning || Methods()[0].Name != MethodPromptTuning {
		t.Error("a caller changed the table")
	}
}

// used is 1 if a method has a setting.
func used(info MethodInfo, setting string) int {
	if slices.Contains(info.Uses, setting) {
		return 1
	}
	return 0
}

// TestTrainables: in no method do two tensors share a name or a graph input, and
// only the first size of one can be the prompt's length.
func TestTrainables(t *testing.T) {
	for _, name := range MethodNames() {
		names, inputs := map[string]bool{}, map[string]bool{}
		for _, x := range methodOf(t, name, Sizes{Length: 4, Rows: 8}).Trainables {
			if names[x.Name] || inputs[x.Input] || len(x.Shape) == 0 {
				t.Errorf("%s: %+v", name, x)
			}
			names[x.Name], inputs[x.Input] = true, true
			for i, d := range x.Shape {
				if !d.Known() && (i > 0 || d.Sym != "P") || d.Known() && d.Size < 1 {
					t.Errorf("%s: %s has shape %v", name, x.Name, x.Shape)
				}
			}
		}
	}
}

// TestDefaultRank: the default rank is the largest whose parameters, counted one
// by one, are at most those of a plain prompt of 100 vectors, and where there is
// none the error says what to do.
func TestDefaultRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width, length, rows := rapid.IntRange(1, 300).Draw(t, "width"), rapid.IntRange(1, 130).Draw(t, "length"), rapid.IntRange(1, 600).Draw(t, "rows")
		for name, parameters := range map[string]func(rank int) int{
			MethodDePT:  func(r int) int { return length*width + rows*r + r*width },
			MethodADePT: func(r int) int { return length*width + width*r + r + r*width + width },
		} {
			want := 0
			for parameters(want+1) <= 100*width {
				want++
			}
			m, err := NewMethod(name, models.Config{DModel: width}, Sizes{Length: length, Rows: rows})
			if want == 0 {
				if err == nil || !strings.HasSuffix(err.Error(), " vectors leave no parameters for a low-rank part within those of 100 vectors") ||
					hint.Of(err) != "use a shorter --length, or give a --rank" {
					t.Fatalf("%s [%d,%d] for %d rows: %v, hint %q", name, length, width, rows, err, hint.Of(err))
				}
				continue
			}
			if err != nil || m.Sizes.Rank != want || m.Tuned() != int64(parameters(want)) {
				t.Fatalf("%s [%d,%d] for %d rows: %+v of %d parameters, %v; want rank %d", name, length, width, rows, m.Sizes, m.Tuned(), err, want)
			}
		}
	})
}

// TestSizeDefaults: a size that is not given takes the default that the papers
// or PEFT have, one that is given stays.
func TestSizeDefaults(t *testing.T) {
	for _, c := range []struct {
		method      string
		given, want Sizes
	}{
		{MethodMultitask, Sizes{Length: 2}, Sizes{Length: 2, Rank: 1}},
		{MethodMultitask, Sizes{Length: 2, Rank: 5}, Sizes{Length: 2, Rank: 5}},
		{MethodPTuning, Sizes{Length: 2}, Sizes{Length: 2, Hidden: 6}},
		{MethodPTuning, Sizes{Length: 2, Hidden: 9}, Sizes{Length: 2, Hidden: 9}},
		{MethodPrefixMLP, Sizes{Length: 2}, Sizes{Length: 2, Hidden: 6}},
		{MethodPrefix, Sizes{Length: 2, Hidden: 9}, Sizes{Length: 2}}, // no such size
		{MethodPerLayer, Sizes{Length: 2, Rank: 9}, Sizes{Length: 2}},
		{MethodIA3, Sizes{Length: 2}, Sizes{}},
		{MethodModel, Sizes{Length: 2}, Sizes{}},
		{MethodDePT, Sizes{Length: 2, Rank: 3, Rows: 4, Hidden: 5}, Sizes{Length: 2, Rank: 3, Rows: 4}},
	} {
		if got := methodOf(t, c.method, c.given).Sizes; got != c.want {
			t.Errorf("%s of %+v has sizes %+v, want %+v", c.method, c.given, got, c.want)
		}
	}
}

// TestMethodRefuses: a name or a size that makes no sense is named.
func TestMethodRefuses(t *testing.T) {
	for _, c := range []struct {
		method     string
		sizes      Sizes
		want, hint string
	}{
		{"lora", Sizes{}, `there is no method "lora"`, "methods: prompt-tuning, dept, adept, p-tuning, multitask, per-layer, per-layer-add, prefix, prefix-mlp, ia3, model"},
		{MethodPromptTuning, Sizes{Length: -1}, "method prompt-tuning: the size length is -1", ""},
		{MethodDePT, Sizes{Length: 1, Rank: -2, Rows: 3}, "method dept: the size rank is -2", ""},
		{MethodPTuning, Sizes{Length: 1, Hidden: math.MaxInt32 + 1}, "method p-tuning: the size hidden is 2147483648", ""},
		{MethodDePT, Sizes{Length: 1, Rows: -3}, "method dept: the size rows is -3", ""},
		{MethodDePT, Sizes{Length: 1}, "method dept: the length of the inputs is not known, which says how many rows A has", ""},
		{MethodADePT, Sizes{Length: 100}, "method adept: 100 vectors leave no parameters for a low-rank part within those of 100 vectors", "use a shorter --length, or give a --rank"},
		{MethodPromptTuning, Sizes{Placement: "middle"}, `method prompt-tuning: there is no placement "middle"`, "placements: prefix, after-first, suffix, suffix-after-eos"},
		{MethodPromptTuning, Sizes{Visibility: "blind"}, `method prompt-tuning: there is no visibility "blind"`, "visibilities: full, causal, input, prompt, prompt-causal, self"},
	} {
		_, err := NewMethod(c.method, hooked, c.sizes)
		if err == nil || err.Error() != c.want || hint.Of(err) != c.hint {
			t.Errorf("%s of %+v: %v, hint %q", c.method, c.sizes, err, hint.Of(err))
		}
		if _, err := (MethodInfo{Name: c.method}).CountParameters(hooked, c.sizes); err == nil || err.Error() != c.want {
			t.Errorf("counting %s of %+v: %v", c.method, c.sizes, err)
		}
	}
}

// TestCheckShared: of model tuning alone a pass has one, and a name that is none
// is refused.
func TestCheckShared(t *testing.T) {
	for _, name := range MethodNames() {
		for n, refused := range map[int]bool{0: false, 1: false, 2: name == MethodModel, 9: name == MethodModel} {
			if err := CheckShared(name, n); (err != nil) != refused {
				t.Errorf("%d of %s: %v", n, name, err)
			}
		}
	}
	if err := CheckShared(MethodModel, 3); err == nil || err.Error() != "3 prompts cannot share a pass: method model has one model in it" {
		t.Error(err)
	}
	if err := CheckShared("lora", 1); err == nil || err.Error() != `there is no method "lora"` {
		t.Error(err)
	}
}

// TestSizesMap: the sizes that a file keeps are those that are not 0, and give
// the same sizes when they are read.
func TestSizesMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.Just(0), rapid.IntRange(0, math.MaxInt32))
		s := Sizes{Length: size.Draw(t, "length"), Rank: size.Draw(t, "rank"), Hidden: size.Draw(t, "hidden"), Rows: size.Draw(t, "rows")}
		want := map[string]int{"rank": s.Rank, "hidden": s.Hidden, "rows": s.Rows}
		maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
		if got := s.Map(); !maps.Equal(got, want) || (got == nil) != (len(want) == 0) {
			t.Fatalf("%+v is kept as %v, want %v", s, got, want)
		}
		p := Prompt{Meta: Meta{Length: s.Length, Sizes: s.Map()}}
		if got := p.Sizes(); got != s {
			t.Fatalf("%+v was read back as %+v", s, got)
		}
	})
}

// TestCountTuned: a method tunes as many numbers as the tensors that it starts
// with have, whatever the sizes.
func TestCountTuned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := models.Config{
			DModel: rapid.IntRange(1, 9).Draw(t, "width"), DKV: rapid.IntRange(1, 4).Draw(t, "head"), NumHeads: rapid.IntRange(1, 4).Draw(t, "heads"),
			DFF: rapid.IntRange(1, 9).Draw(t, "ff"), NumLayers: rapid.IntRange(1, 3).Draw(t, "layers"), NumDecoderLayers: rapid.IntRange(1, 3).Draw(t, "decoder"),
			VocabSize: 5, NumBuckets: 3, Gated: rapid.Bool().Draw(t, "gated"), TieWordEmbeddings: rapid.Bool().Draw(t, "tied"), PerLayerBias: rapid.Bool().Draw(t, "tables"),
		}
		size := rapid.IntRange(1, 5)
		m, err := NewMethod(rapid.SampledFrom(MethodNames()).Draw(t, "method"), c, Sizes{
			Length: size.Draw(t, "length"), Rank: size.Draw(t, "rank"), Hidden: size.Draw(t, "hidden"), Rows: size.Draw(t, "rows"),
		})
		if err != nil {
			t.Fatal(err)
		}
		weights := map[string]int{}
		for _, w := range models.WeightShapes(c) {
			if weights[w.Name] = 1; w.Optional && c.TieWordEmbeddings {
				delete(weights, w.Name)
				continue
			}
			for _, n := range w.Shape {
				weights[w.Name] *= int(n)
			}
		}
		tensors, err := m.Start(1, Uniform(0, 1), func(name string) ([]float32, error) { return make([]float32, weights[name]), nil })
		if err != nil {
			t.Fatal(err)
		}
		var total int64
		for _, x := range tensors {
			total += int64(len(x.Data))
		}
		frozen := m.Frozen(c)
		if m.Name == MethodModel {
			frozen += total // of the model's own
		}
		var all int64
		for _, n := range weights {
			all += int64(n)
		}
		if m.Tuned() != total || frozen != all {
			t.Fatalf("%s counts %d and %d, its tensors have %d and the model %d", m.Name, m.Tuned(), m.Frozen(c), total, all)
		}
	})
}
