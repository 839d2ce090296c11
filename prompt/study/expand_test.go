package study

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/prompt/tune"
)

// axes are settings that can be varied, with values that make sense.
var axes = map[string][]string{
	"length": {"1", "5", "20"}, "steps": {"1", "30", "7"}, "batch": {"2", "4"}, "learning_rate": {"0.1", "0.25"}, "init": {"vocab", "class-labels"},
}

// value is a setting of a run, as a study would write it.
func value(s tune.Settings, key string) string {
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return fmt.Sprint(v.Field(i).Interface())
		}
	}
	return "no such setting"
}

// TestEveryCombination: the variants of any study are those of nested loops, the
// last axis innermost, each with its values, its name and a run for each seed,
// which count on from the base's.
func TestEveryCombination(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(axes))), 0, 5, rapid.ID[string]).Draw(t, "axes")
		seeds, from := rapid.IntRange(0, 3).Draw(t, "seeds"), rapid.IntRange(0, 5).Draw(t, "from")
		text := fmt.Sprintf("base: {task: sst2, seed: %d}\nseeds: %d\nvary:\n", from, seeds)
		want := []map[string]string{{}}
		names := []string{""}
		for _, key := range keys {
			n := rapid.IntRange(1, len(axes[key])).Draw(t, key)
			text += fmt.Sprintf("  - %s: [%s]\n", key, strings.Join(axes[key][:n], ", "))
			var longer []map[string]string
			var called []string
			for i, before := range want {
				for _, v := range axes[key][:n] {
					own := maps.Clone(before)
					own[key] = v
					longer, called = append(longer, own), append(called, strings.TrimPrefix(names[i]+","+key+"="+v, ","))
				}
			}
			want, names = longer, called
		}
		if len(keys) == 0 {
			names = []string{"base"}
		}
		f, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		variants, err := f.Variants(Select{})
		if err != nil || len(variants) != len(want) {
			t.Fatalf("%s\n%d variants, want %d, %v", text, len(variants), len(want), err)
		}
		for i, v := range variants {
			if v.Name != names[i] || !maps.Equal(v.Choice, want[i]) || len(v.Runs) != max(1, seeds) {
				t.Fatalf("variant %d is %s, %v, %d runs; want %s, %v", i, v.Name, v.Choice, len(v.Runs), names[i], want[i])
			}
			for k, r := range v.Runs {
				if r.Settings.Seed != uint64(from+k) || r.Name != fmt.Sprint("seed-", from+k) {
					t.Fatalf("run %d is %s of seed %d", k, r.Name, r.Settings.Seed)
				}
				for key, v := range want[i] {
					if got := value(r.Settings, key); got != v {
						t.Fatalf("%s: %s is %s", names[i], key, got)
					}
				}
			}
		}
		only := rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[string]).Draw(t, "only")
		variants, err = f.Variants(Select{Only: only})
		var got []string
		for _, v := range variants {
			got = append(got, v.Name)
		}
		// In the study's order, not in that of the list.
		some := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return len(only) > 0 && !slices.Contains(only, n) })
		if err != nil || !slices.Equal(got, some) {
			t.Fatalf("only %v: %v, %v", only, got, err)
		}
	})
}

// TestFull: at its real size a study has each of its keys in the place of the
// small one's, and settings of the base one by one; the small one stays.
func TestFull(t *testing.T) {
	const small = "base: {task: sst2, steps: 3, batch: 4}\nseeds: 2\nvary: [{length: [1, 2]}]\ntransfer: [{task: imdb}]\n"
	for full, want := range map[string]struct {
		variants, seeds, steps, batch int
		transfer                      []Target
		ensemble                      bool
	}{
		"":                             {2, 2, 3, 4, []Target{{Task: "imdb"}}, false},
		"base: {steps: 9}":             {2, 2, 9, 4, []Target{{Task: "imdb"}}, false},
		"base: {}\nseeds: 5":           {2, 5, 3, 4, []Target{{Task: "imdb"}}, false},
		"vary: [{batch: [5, 6, 7]}]":   {3, 2, 3, 5, []Target{{Task: "imdb"}}, false},
		"vary: []":                     {1, 2, 3, 4, []Target{{Task: "imdb"}}, false},
		"transfer: [{task: sst2}]":     {2, 2, 3, 4, []Target{{Task: "sst2"}}, false},
		"transfer: []\nensemble: true": {2, 2, 3, 4, nil, true},
	} {
		f := parse(t, small+"full:\n  "+strings.ReplaceAll(full, "\n", "\n  "))
		for _, size := range []bool{true, false} {
			w := want
			if !size {
				w.variants, w.seeds, w.steps, w.batch, w.transfer, w.ensemble = 2, 2, 3, 4, []Target{{Task: "imdb"}}, false
			}
			variants, err := f.Variants(Select{Full: size})
			if err != nil || len(variants) != w.variants {
				t.Errorf("%q, full %v: %d variants, %v", full, size, len(variants), err)
				continue
			}
			p, s := f.plan(size), variants[0].Runs[0].Settings
			if len(variants[0].Runs) != w.seeds || s.Steps != w.steps || s.Batch != w.batch || !slices.Equal(p.Transfer, w.transfer) || p.Ensemble != w.ensemble {
				t.Errorf("%q, full %v: %d seeds, %d steps, batch %d, %+v", full, size, len(variants[0].Runs), s.Steps, s.Batch, p)
			}
		}
	}
}

// TestSetFull: what is set from outside holds for the small study and the full
// one, whichever of them varies it.
func TestSetFull(t *testing.T) {
	const text = "base: {task: sst2, steps: 3}\nvary: [{length: [1, 2]}]\nfull: {base: {steps: 9}, vary: [{batch: [5, 6]}]}\n"
	for set, want := range map[string][2]string{ // the variants with their steps, length and batch
		"steps=4":    {"length=1 4/1/32 length=2 4/2/32", "batch=5 4/100/5 batch=6 4/100/6"},
		"length=7,8": {"length=7 3/7/32 length=8 3/8/32", ""}, // one length for all, in the full one
		"length=7":   {"length=7 3/7/32", "batch=5 9/7/5 batch=6 9/7/6"},
		"batch=8":    {"length=1 3/1/8 length=2 3/2/8", "batch=8 9/100/8"},
		"batch=8,9":  {"", "batch=8 9/100/8 batch=9 9/100/9"},
	} {
		f := parse(t, text)
		other := *f
		key, v, _ := strings.Cut(set, "=")
		f.Set(key, v)
		for i, full := range []bool{false, true} {
			var got []string
			variants, err := f.Variants(Select{Full: full})
			for _, v := range variants {
				s := v.Runs[0].Settings
				got = append(got, fmt.Sprintf("%s %d/%d/%d", v.Name, s.Steps, s.Length, s.Batch))
			}
			if strings.Join(got, " ") != want[i] || (err != nil) != (want[i] == "") {
				t.Errorf("%s, full %v: %v, %v; want %s", set, full, got, err, want[i])
			}
		}
		if got := names(t, &other, Select{}); !slices.Equal(got, []string{"length=1", "length=2"}) {
			t.Errorf("%s changed a copy from before: %v", set, got)
		}
	}
	f := parse(t, text)
	f.Set("length", "5,5")
	if _, err := f.Variants(Select{}); err == nil || err.Error() != "study test: vary: length has 5 twice" {
		t.Errorf("one value twice: %v", err)
	}
	f.Set("length", numbers(maxVariants+1))
	if _, err := f.Variants(Select{}); err == nil || err.Error() != "study test: vary: more than 10000 combinations" {
		t.Errorf("too many values: %v", err)
	}
}

// TestFolderStays: whatever axes and values are called, a variant's folder lies
// right below the study's.
func TestFolderStays(t *testing.T) {
	for _, name := range []string{"../..", "a/b", `..\x`, "/etc", ".", "a: b", "\x00"} {
		f := &File{Name: "test", Plan: Plan{Base: Values{{"task", scalar("sst2")}}}}
		f.Vary = []Axis{{Name: name, Values: []Choice{{Name: name, Settings: Values{{"steps", scalar("3")}}}}}}
		for _, got := range names(t, f, Select{}) {
			if got != filepath.Base(got) || strings.ContainsAny(got, `/\:`+"\x00") || got == "." || got == ".." {
				t.Errorf("an axis %q makes the folder %q", name, got)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		got := folderName(rapid.String().Draw(t, "value"))
		if len(got) > 40 || strings.Trim(got, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+@-") != "" {
			t.Fatalf("a folder is called %q", got)
		}
	})
}
