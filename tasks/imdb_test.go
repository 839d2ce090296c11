package tasks

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/onnx/hint"
)

// imdbRows loads both splits of a data folder.
func imdbRows(t *testing.T, data string) []Example {
	t.Helper()
	var all []Example
	for _, split := range []Split{Train, Validation} {
		rows, err := lookup(t, "imdb").Load(t.Context(), split, LoadOptions{Data: data})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rows...)
	}
	return all
}

func TestIMDBCastGolden(t *testing.T) {
	var got strings.Builder
	for _, ex := range imdbRows(t, "testdata") {
		fmt.Fprintf(&got, "%s %q -> %q\n", ex.ID, ex.Input, ex.Target)
	}
	path := filepath.Join("testdata", "golden", "imdb_cast.txt")
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

// A review goes to the model as it was published, as in the reference's
// recipe: no field's name, and the tags stay.
func TestIMDBCastKeepsTags(t *testing.T) {
	const review = `Bad.<br /><br />"Very" bad...`
	got, err := lookup(t, "imdb").CastText(review)
	if err != nil || got != review {
		t.Errorf("cast %q, %v", got, err)
	}
}

// The same rows are read from every place and form that they may have.
func TestIMDBPlaces(t *testing.T) {
	want := imdbRows(t, "testdata")
	for _, place := range []string{"imdb/%s.jsonl", "imdb/%s.jsonl.gz", "aclImdb/%s.jsonl", "%s.jsonl", "%s.jsonl.gz"} {
		dir := t.TempDir()
		for _, split := range []string{"train", "test"} {
			data, err := os.ReadFile(filepath.Join("testdata", "imdb", split+".jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(place, ".gz") {
				data = pack(t, string(data))
			}
			put(t, dir, fmt.Sprintf(place, split), data)
		}
		if diff := cmp.Diff(want, imdbRows(t, dir)); diff != "" {
			t.Errorf("%s:\n%s", place, diff)
		}
	}
}

// The reported split is the test split, under either name.
func TestIMDBReportsTheTestSplit(t *testing.T) {
	task := lookup(t, "imdb")
	reported, err := task.Load(t.Context(), Validation, LoadOptions{Data: "testdata"})
	if err != nil {
		t.Fatal(err)
	}
	test, err := task.Load(t.Context(), Test, LoadOptions{Data: "testdata"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range test {
		if test[i].ID != fmt.Sprint("test:", i) || test[i].Input != reported[i].Input || test[i].Label != reported[i].Label {
			t.Errorf("row %d is %+v and %+v", i, test[i], reported[i])
		}
	}
	if diff := cmp.Diff([]string{"imdb/train.jsonl", "imdb/test.jsonl"}, task.Wanted()); diff != "" {
		t.Error(diff)
	}
}

// Nothing of IMDB travels; the error says what is missing and where it goes.
func TestIMDBDoesNotTravel(t *testing.T) {
	task := lookup(t, "imdb")
	if task.Travels() || !lookup(t, "sst2").Travels() {
		t.Error("of these two, sst2 alone travels")
	}
	_, err := task.Load(t.Context(), Train, LoadOptions{})
	if err == nil || err.Error() != "task imdb: train.jsonl does not travel with the project" {
		t.Errorf("error %v", err)
	}
	want := "and put it at " + filepath.Join("DIR", "imdb", "train.jsonl") + " for --data DIR"
	if got := hint.Of(err); !strings.HasSuffix(got, want) || !strings.Contains(got, "ai.stanford.edu") {
		t.Errorf("hint %q, want at its end %q", got, want)
	}
	empty := t.TempDir()
	_, err = task.Load(t.Context(), Test, LoadOptions{Data: empty})
	if err == nil || !strings.Contains(err.Error(), "no test.jsonl in "+empty+", nor below it in imdb or aclImdb") {
		t.Errorf("error %v", err)
	}
}
