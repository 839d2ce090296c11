package tasks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/onnx/hint"
)

// countingFS is a folder that counts the files that are opened and closed.
type countingFS struct {
	dir            string
	opened, closed int
}

func (c *countingFS) Open(name string) (fs.File, error) {
	f, err := os.DirFS(c.dir).Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		c.opened++
	}
	return &countedFile{f.(*os.File), c}, err
}

// Stat does not count.
func (c *countingFS) Stat(name string) (fs.FileInfo, error) {
	return os.Stat(filepath.Join(c.dir, name))
}

type countedFile struct {
	*os.File
	fs *countingFS
}

func (f *countedFile) Close() error {
	f.fs.closed++
	return f.File.Close()
}

// Whatever ends the reading, a file is closed once: its end, a bad row, a
// packing that is broken.
func TestFilesAreClosed(t *testing.T) {
	dir := folder(t, map[string]string{
		"good.tsv": twoRows, "bad.tsv": "sentence\tlabel\nx\n", "good.tsv.gz": string(pack(t, twoRows)), "none.tsv.gz": "this is no gzip",
	})
	for name, opens := range map[string]bool{"good.tsv": true, "bad.tsv": true, "good.tsv.gz": true, "none.tsv.gz": false} {
		fsys := &countingFS{dir: dir}
		rows, err := File{Read: TSV("sentence", "label")}.rows(fsys, name)
		if (err == nil) != opens {
			t.Fatalf("%s: %v", name, err)
		}
		if opens {
			for range rows {
			}
		} else if want := "unpacking none.tsv.gz: gzip: invalid header"; err.Error() != want {
			t.Errorf("%s: error %v, want %s", name, err, want)
		}
		if fsys.opened != 1 || fsys.closed != 1 {
			t.Errorf("%s: %d opened and %d closed", name, fsys.opened, fsys.closed)
		}
	}
}

// Each published task is found in each of its folders, plain or packed, and the
// first of them wins.
func TestEveryFolderOfEveryTask(t *testing.T) {
	for _, task := range All() {
		text, name, split := publishedFile(t, task)
		dir := t.TempDir()
		var want []Example
		for i := range task.Folders { // from the last to the first, each of which then wins
			place := task.Folders[len(task.Folders)-1-i] + "/" + name
			if i%2 == 1 {
				place += ".gz"
				put(t, dir, place, pack(t, text))
			} else {
				put(t, dir, place, []byte(text))
			}
			got, err := task.Load(t.Context(), split, LoadOptions{Data: dir})
			if want == nil {
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" || err != nil || len(got) == 0 {
				t.Fatalf("%s at %s: %v\n%s", task.Name, place, err, diff)
			}
			put(t, dir, place, []byte("broken")) // which is not looked at once there is one before it
		}
	}
}

// publishedFile is a file in testdata that a task reads, under the name that the
// task has for it.
func publishedFile(t *testing.T, task *Task) (text, name string, split Split) {
	t.Helper()
	split = task.Splits()[0]
	name = task.Files[split].Name
	source := "casts/*/" + task.Folders[0] + "/" + name
	switch {
	case strings.HasPrefix(task.Name, "mrqa-"): // which are all of one form
		source = "casts/mrqa/DROP.jsonl"
	case task == mrpc:
		name = mrpc.Others[0][split].Name
		source = "casts/glue/MRPC/" + name
	case task == imdb:
		source = "imdb/" + name
	case task == squad || task == trec || task == agNews:
		source = "casts/" + task.Folders[0] + "/" + name
	}
	paths, err := filepath.Glob(filepath.Join("testdata", filepath.FromSlash(source)))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%s: %s is %v, %v", task.Name, source, paths, err)
	}
	raw, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), name, split
}

// A file that is not there is named with the folders that were looked at, for
// every task and split, and the advice says where it can be had and goes.
func TestEveryMissingFile(t *testing.T) {
	dir := t.TempDir()
	for _, task := range All() {
		for _, split := range task.Splits() {
			_, err := task.Load(t.Context(), split, LoadOptions{Data: dir})
			below := strings.Join(task.Folders[:len(task.Folders)-1], " or ")
			want := fmt.Sprintf("task %s: no %s in %s, nor below it in %s", task.Name, task.Files[split].Name, dir, below)
			if err == nil || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
			advice := "get it from " + task.Source + ", and put it at " + filepath.Join(dir, task.Folders[0], task.Files[split].Name) + " for --data " + dir
			if task == sst2 {
				advice += "; without --data, the part that travels with softprompt is read"
			}
			if got := hint.Of(err); got != advice {
				t.Errorf("%s: hint\n%s, want\n%s", task.Name, got, advice)
			}
		}
	}
}

// A file where a task's folder may be hides nothing of what lies beside it.
func TestAFileNamedLikeAFolder(t *testing.T) {
	dir := folder(t, map[string]string{"SST-2": "an archive", "glue": "another", "train.tsv": twoRows})
	if got, err := load(t, Train, LoadOptions{Data: dir}); err != nil || len(got) != 2 {
		t.Errorf("%d rows, %v", len(got), err)
	}
	want := "task sst2: no dev.tsv in " + dir + ", nor below it in SST-2 or glue/SST-2"
	if _, err := load(t, Validation, LoadOptions{Data: dir}); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// Splits are never put together from two published forms, whose rows overlap:
// one file of GLUE's own hides Microsoft's two.
func TestFormsAreNotMixed(t *testing.T) {
	own := "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t2\t3\tgood\tfine\n"
	dir := folder(t, map[string]string{"MRPC/msr_paraphrase_train.txt": own, "MRPC/msr_paraphrase_test.txt": own})
	for _, split := range []Split{Train, Validation, Test} {
		got, err := mrpc.Load(t.Context(), split, LoadOptions{Data: dir})
		if err != nil || len(got) != 1 || got[0].Label != 1 || got[0].Input != "sentence1: good sentence2: fine" {
			t.Errorf("%s: %+v, %v", split, got, err)
		}
	}
	put(t, dir, "MRPC/dev.tsv", []byte(own))
	for split, want := range map[Split]string{Train: "no train.tsv in ", Validation: "", Test: "no test.tsv in "} {
		_, err := mrpc.Load(t.Context(), split, LoadOptions{Data: dir})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q in it", split, err, want)
		}
	}
}

// The parts of a set on the hub are all there, by their names, before any is
// read.
func TestPartsOfTheHub(t *testing.T) {
	row := [][]hubCell{{{"sentence", "fine"}, {"label", int64(1)}}}
	part := func(i, n int) string { return fmt.Sprintf("sst2/train-%05d-of-%05d.parquet", i, n) }
	for name, c := range map[string]struct {
		parts []string
		want  string // "" where they are read
		rows  int
	}{
		"all of three":         {[]string{part(0, 3), part(1, 3), part(2, 3)}, "", 3},
		"all as converted":     {[]string{"sst2/train/0000.parquet", "sst2/train/0001.parquet"}, "", 2},
		"the last is missing":  {[]string{part(0, 3), part(1, 3)}, "there is no train-00000-of-00002.parquet beside sst2/train-00000-of-00003.parquet", 0},
		"one between":          {[]string{part(0, 3), part(2, 3)}, "there is no train-00000-of-00002.parquet beside sst2/train-00000-of-00003.parquet", 0},
		"the first":            {[]string{"sst2/train/0001.parquet"}, "there is no 0000.parquet beside sst2/train/0001.parquet", 0},
		"one between, by hand": {[]string{"sst2/train/0000.parquet", "sst2/train/0002.parquet"}, "there is no 0001.parquet beside sst2/train/0000.parquet", 0},
		"of two downloads":     {[]string{part(0, 1), part(0, 2), part(1, 2)}, "there is no train-00000-of-00003.parquet beside sst2/train-00000-of-00001.parquet", 0},
	} {
		dir := t.TempDir()
		for _, p := range c.parts {
			writeHub(t, filepath.Join(dir, filepath.FromSlash(p)), "", row)
		}
		got, err := load(t, Train, LoadOptions{Data: dir})
		if c.want == "" && (err != nil || len(got) != c.rows) {
			t.Errorf("%s: %d rows, %v", name, len(got), err)
		}
		if c.want != "" && (err == nil || err.Error() != "task sst2: "+c.want) {
			t.Errorf("%s: error %v, want %s", name, err, c.want)
		}
	}
}

// A load that is cancelled midway ends at the next row and says no more than
// that.
func TestLoadCancelledMidway(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	task := *sst2
	read := 0
	task.Files = map[Split]File{Train: {Name: "train.tsv", Read: func(io.Reader) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			for more := true; more && read < 10; read++ {
				if read == 3 {
					cancel()
				}
				more = yield(Record{Line: read + 2, Fields: map[string]string{"sentence": "x", "label": "1"}}, nil)
			}
		}
	}}}
	dir := folder(t, map[string]string{"train.tsv": "not looked at"})
	rows, err := task.Load(ctx, Train, LoadOptions{Data: dir})
	if !errors.Is(err, context.Canceled) || rows != nil || read != 4 || hint.Of(err) != "" {
		t.Errorf("%d rows after %d were read, error %v, hint %q", len(rows), read, err, hint.Of(err))
	}
	// A task whose validation rows are a part of the others is cancelled as well.
	own, err := Open(filepath.Join(folder(t, map[string]string{"a.tsv": ownRows}), "a.tsv"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Load(ctx, Validation, LoadOptions{}); !errors.Is(err, context.Canceled) || hint.Of(err) != "" {
		t.Errorf("a part: error %v, hint %q", err, hint.Of(err))
	}
}

// What a task wants of a folder is listed once each, in the order of splits.
func TestWantedAndSplits(t *testing.T) {
	for _, c := range []struct {
		task   *Task
		wanted []string
		splits []Split
	}{
		{
			mnli,
			[]string{"MNLI/train.tsv", "MNLI/dev_matched.tsv", "MNLI/dev_mismatched.tsv", "MNLI/test_matched.tsv", "MNLI/test_mismatched.tsv"},
			[]Split{Train, Validation, ValidationMismatched, Test, TestMismatched},
		},
		{trec, []string{"trec/train_5500.label", "trec/TREC_10.label"}, []Split{Train, Validation, Test}},
		{squad, []string{"squad/train-v1.1.json", "squad/dev-v1.1.json"}, []Split{Train, Validation}},
		{mrqaDuoRC, []string{"mrqa/DuoRC.ParaphraseRC.jsonl"}, []Split{Validation, Test}},
		{axb, []string{"AX-b/AX-b.jsonl"}, []Split{Test}},
	} {
		if diff := cmp.Diff(c.wanted, c.task.Wanted()); diff != "" {
			t.Errorf("%s:\n%s", c.task.Name, diff)
		}
		if got := c.task.Splits(); !slices.Equal(got, c.splits) {
			t.Errorf("%s has the splits %v, want %v", c.task.Name, got, c.splits)
		}
	}
	_, err := axb.Load(t.Context(), Train, LoadOptions{})
	if want := `task axb has no split "train", want one of test`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if got := hint.Of(err); got != "it is for prompts of another task: softprompt eval DIR --task axb --split test" {
		t.Errorf("hint %q", got)
	}
}
