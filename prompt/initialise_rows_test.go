package prompt

import (
	"bytes"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/onnx/hint"
)

// spelled is a text that the test's tokenizer reads as these ids.
func spelled(ids []int) string {
	var words []string
	for _, id := range ids {
		words = append(words, strconv.Itoa(id))
	}
	return strings.Join(words, " ")
}

// TestRepeatedText: row i is the text's piece i, and after the last one comes
// the end-of-sequence and then the first again, whatever the seed.
func TestRepeatedText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := testSource(100, &bytes.Buffer{})
		s.EOSID = rapid.Int64Range(0, 99).Draw(t, "end")
		ids := rapid.SliceOfN(rapid.IntRange(0, 99), 1, 6).Draw(t, "ids")
		length := rapid.IntRange(1, 20).Draw(t, "length")
		cycle := append(slices.Clone(ids), int(s.EOSID))
		var want []int
		for len(want) < length {
			want = append(want, cycle...)
		}
		if got := firsts(initialise(t, "text-repeat:"+spelled(ids), s, length)); !slices.Equal(got, want[:length]) {
			t.Fatalf("rows %v, want %v", got, want[:length])
		}
	})
}

// TestTextLeavesIDs: a tokenizer that keeps the ids it gave finds them unchanged
// after an initialiser added the end-of-sequence.
func TestTextLeavesIDs(t *testing.T) {
	s := testSource(100, &bytes.Buffer{})
	kept := []int64{5, 6, 77}
	s.EOSID, s.Encode = 1, func(string) ([]int64, error) { return kept[:2], nil }
	if got := firsts(initialise(t, "text-repeat:x", s, 4)); !slices.Equal(got, []int{5, 6, 1, 5}) || kept[2] != 77 {
		t.Errorf("rows %v, ids %v", got, kept)
	}
}

// TestRowsByHand: labels and texts give the rows that a plain count of pieces
// gives, and all rows that they leave over are those of the sample alone.
func TestRowsByHand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := testSource(60, &bytes.Buffer{})
		ids := rapid.SliceOfN(rapid.IntRange(0, 59), 1, 4)
		labels := rapid.SliceOfN(ids, 1, 5).Draw(t, "labels")
		length := rapid.IntRange(1, 8).Draw(t, "length")
		var text []int
		for _, l := range labels {
			s.Labels, text = append(s.Labels, spelled(l)), append(text, l...)
		}
		sample := initialise(t, "vocab", s, length)
		byLabel, byText := initialise(t, "class-labels", s, length), initialise(t, "text:"+spelled(text), s, length)
		for i := range length {
			wantLabel, wantText := float64(sample[i*testWidth]), float64(sample[i*testWidth])
			if i < len(labels) {
				wantLabel = 0
				for _, id := range labels[i] {
					wantLabel += float64(id) / float64(len(labels[i]))
				}
			}
			if i < len(text) {
				wantText = float64(text[i])
			}
			for j := range testWidth {
				if d := float64(byLabel[i*testWidth+j]) - wantLabel - float64(j)/4; math.Abs(d) > 1e-5 {
					t.Fatalf("labels %v: row %d, column %d is off by %v", labels, i, j, d)
				}
				if got := byText[i*testWidth+j]; float64(got) != wantText+float64(j)/4 {
					t.Fatalf("text %v: row %d, column %d is %v", text, i, j, got)
				}
			}
		}
	})
}

// TestSampleIsFair: over many seeds each id of the population is drawn about as
// often as every other, at every row, with and without repeats.
func TestSampleIsFair(t *testing.T) {
	const seeds = 3000
	for _, c := range []struct {
		spec          string
		rows, length  int
		first, beyond int // ids that are sampled
	}{{"vocab:10", 50, 4, 0, 10}, {"vocab-words", 9, 2, 3, 9}, {"vocab:3", 50, 5, 0, 3}} {
		i, err := ParseInit(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		draw := i.From(testSource(c.rows, &bytes.Buffer{}))
		counts := make([][]int, c.length)
		for at := range counts {
			counts[at] = make([]int, c.rows)
		}
		for seed := range uint64(seeds) {
			rows, err := draw(NewRand(seed, StreamInit), c.length, testWidth)
			if err != nil {
				t.Fatal(err)
			}
			for at, id := range firsts(rows) {
				counts[at][id]++
			}
		}
		share := 1 / float64(c.beyond-c.first)
		bound := 5 * math.Sqrt(seeds*share*(1-share))
		for at := range counts {
			for id, n := range counts[at] {
				want := seeds * share
				if id < c.first || id >= c.beyond {
					want = 0
				}
				if math.Abs(float64(n)-want) > bound*flag64(want > 0) {
					t.Errorf("%s: row %d was id %d %d times, want about %.0f", c.spec, at, id, n, want)
				}
			}
		}
	}
}

func flag64(b bool) float64 { return float64(flag(b)) }

// TestFromOtherPrompts: a prompt of any method that has a matrix can be started
// from, from its file or its adapter, and one without a matrix says so.
func TestFromOtherPrompts(t *testing.T) {
	dir := t.TempDir()
	for _, method := range MethodNames() {
		p := randomPromptOf(methodOf(t, method, Sizes{Length: 3, Rank: 2, Rows: 4}), 1)
		path := filepath.Join(dir, method+".safetensors")
		if err := Save(path, p); err != nil {
			t.Fatal(err)
		}
		rows, err := FromFile(path)(NewRand(1), 3, hooked.DModel)
		if matrix := p.Tensor(TensorPrompt); matrix != nil {
			if err != nil || !slices.Equal(rows, matrix.Data) {
				t.Errorf("%s: %v, %v", method, rows, err)
			}
		} else if want := "initialising from " + path + ": a prompt of method " + strconv.Quote(method) + ` has no matrix "prompt"`; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", method, err, want)
		}
	}
	adapter := adapterFolder(t, `{"peft_type": "PROMPT_TUNING"}`, stored(t, "prompt_embeddings", "F32", []float32{1, 2, 3, 4}, 1, 4))
	if rows := initialise(t, "file:"+adapter, Source{}, 1); !slices.Equal(rows, []float32{1, 2, 3, 4}) {
		t.Errorf("from an adapter: %v", rows)
	}
	_, err := FromFile(adapter)(NewRand(1), 7, 4)
	if err == nil || err.Error() != "initialising from "+adapter+": it has 1 vectors, want 7" || hint.Of(err) != "use --length 1" {
		t.Errorf("of another length: %v, hint %q", err, hint.Of(err))
	}
	_, err = FromFile(adapter)(NewRand(1), 1, 5)
	if err == nil || err.Error() != "initialising from "+adapter+": its vectors have width 4, the model's 5" || hint.Of(err) != "take a prompt of the same model" {
		t.Errorf("of another width: %v, hint %q", err, hint.Of(err))
	}
}

// TestInitialiserTexts: an error says in full what was being initialised, and the
// warnings say how many rows are meant.
func TestInitialiserTexts(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		spec  string
		spoil func(*Source)
		want  string
	}{
		{"class-labels", func(s *Source) { s.Labels = []string{"3", "50"} }, `initialising with class label "50": id 50 is outside the embedding table of 50 rows`},
		{"class-labels", func(s *Source) { s.Labels, s.Rows = []string{"3"}, 0 }, "sampling a vocabulary: no ids from 0 below 0"},
		{"text:9", func(s *Source) { s.Rows = 0 }, "sampling a vocabulary: no ids from 0 below 0"},
		{"text:9 -1", func(s *Source) {}, "initialising with text: id -1 is outside the embedding table of 50 rows"},
		{"text-repeat:9", func(s *Source) { s.Encode = fail(boom) }, "initialising with text: boom"},
		{"text-repeat:9", func(s *Source) { s.EOSID = 70 }, "initialising with text: id 70 is outside the embedding table of 50 rows"},
		{"vocab-words:9", func(s *Source) { s.Rows = 2 }, "sampling a vocabulary: no ids from 3 below 9"},
	} {
		s := testSource(50, &bytes.Buffer{})
		c.spoil(&s)
		i, err := ParseInit(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := i.From(s)(NewRand(1), 4, testWidth); err == nil || err.Error() != c.want || rows != nil {
			t.Errorf("%s: %v, %v\nwant %s", c.spec, rows, err, c.want)
		}
	}
	for spec, want := range map[string]string{
		"text:1 2 3 4 5": `msg="the prompt is shorter than its initial text: the rest is dropped" length=4 pieces=5`,
		"class-labels":   `msg="the prompt is shorter than the list of labels: the last ones are dropped" length=4 dropped="[5 6]"`,
		"vocab:3":        `msg="the prompt is longer than the vocabulary to sample from: rows will repeat" length=4 words=3`,
		"vocab:60":       `msg="the vocabulary to sample from is larger than the model's" wanted=60 rows=50`,
	} {
		var log bytes.Buffer
		s := testSource(50, &log)
		s.Labels = strings.Fields("1 2 3 4 5 6")
		rows := initialise(t, spec, s, 4)
		if !strings.Contains(log.String(), "level=WARN "+want+"\n") || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("%s warned %q, want %s", spec, log.String(), want)
		}
		s.Log = nil
		if !slices.Equal(initialise(t, spec, s, 4), rows) {
			t.Errorf("%s: without anyone to warn the rows are others", spec)
		}
	}
}
