package tasks

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestSST2TravellingPart(t *testing.T) {
	for _, c := range []struct {
		split              Split
		negative, positive int
	}{{Train, 4414, 5586}, {Validation, 428, 444}} {
		examples, err := load(t, c.split, LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		counts := map[int]int{}
		for i, ex := range examples {
			counts[ex.Label]++
			if ex.Index != i || ex.ID != fmt.Sprintf("%s:%d", c.split, i) {
				t.Fatalf("example %d is %+v", i, ex)
			}
			if ex.Target != []string{"negative", "positive"}[ex.Label] {
				t.Fatalf("example %d of class %d has the target %q", i, ex.Label, ex.Target)
			}
		}
		if want := map[int]int{0: c.negative, 1: c.positive}; !cmp.Equal(counts, want) {
			t.Errorf("%s: classes %v, want %v", c.split, counts, want)
		}
	}
}

// The training part repeats nothing and holds nothing of the development
// split, or held-out and reported scores would be too good.
func TestSST2TravellingPartIsClean(t *testing.T) {
	dev, err := load(t, Validation, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	train, err := load(t, Train, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, ex := range append(dev, train...) {
		s := strings.TrimSpace(ex.Input)
		if seen[s] {
			t.Errorf("%s: %q is there twice", ex.ID, s)
		}
		seen[s] = true
	}
}

// The README names the digests of the unpacked files.
func TestSST2TravellingPartIsTheOneDescribed(t *testing.T) {
	readme, err := travelling.ReadFile("data/sst2/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"train.tsv", "dev.tsv"} {
		packed, err := travelling.ReadFile("data/sst2/" + name + ".gz")
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.New()
		if _, err := io.Copy(digest, z); err != nil {
			t.Fatal(err)
		}
		if line := hex.EncodeToString(digest.Sum(nil)) + "  " + name; !strings.Contains(string(readme), line) {
			t.Errorf("README.md does not say %q", line)
		}
	}
}

// referenceCast is the reference's way to the same text: T5's glue
// preprocessor joins "<name> key: value ...", then prompt tuning's
// remove_first_text_token takes everything up to the first space away.
func referenceCast(sentence string) string {
	glue := strings.Join([]string{"sst2", "sentence:", sentence}, " ")
	return regexp.MustCompile(`^[^ ]* `).ReplaceAllString(glue, "")
}

func TestSST2CastGolden(t *testing.T) {
	examples, err := load(t, Validation, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := lookup(t, "sst2").With("{sentence}", Verbalizer{})
	if err != nil {
		t.Fatal(err)
	}
	sentences, err := raw.Load(t.Context(), Validation, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, ex := range examples {
		if want := referenceCast(sentences[i].Input); ex.Input != want {
			t.Fatalf("%s: cast %q, want %q", ex.ID, ex.Input, want)
		}
	}

	var got strings.Builder
	for _, i := range []int{0, 6, 29, 199, 599} {
		fmt.Fprintf(&got, "%q -> %q\n", examples[i].Input, examples[i].Target)
	}
	path := filepath.Join("testdata", "golden", "sst2_cast.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("the cast changed (-update if that is meant):\n%s", diff)
	}
}
