package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx/hint"
	"softprompt/prompt/tune"
)

// saveRun writes the folder of a run that came to its end.
func saveRun(t *testing.T, dir string, e *tune.Ended) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := tune.WriteSettings(filepath.Join(dir, tune.ConfigFile), e.Settings); err != nil {
		t.Fatal(err)
	}
	last, err := json.Marshal(map[string]any{"step": e.BestStep, "validation": e.Validation})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, tune.MetricsFile), "{\"step\":1,\"loss\":2}\n"+string(last)+"\n")
	var answers strings.Builder
	for _, p := range e.Predictions {
		line, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		answers.Write(append(line, '\n'))
	}
	put(t, filepath.Join(dir, tune.PredictionsFile), answers.String())
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// folders are those of the runs.
func folders(runs []*tune.Ended, root string) (out []string) {
	for _, r := range runs {
		out = append(out, strings.TrimPrefix(r.Dir, root+string(filepath.Separator)))
	}
	return out
}

// TestLoadRuns: what a run left is read whole, and runs come in the order of the
// folders that are named and of the paths in them.
func TestLoadRuns(t *testing.T) {
	root := t.TempDir()
	e := ended(t, of("dept", 5, 3), true, false, true)
	e.BestStep = 40
	for _, dir := range []string{"b", "a/length=5/seed-2", "a/length=5/seed-1", "a/length=20/seed-1"} {
		saveRun(t, filepath.Join(root, dir), e)
	}
	runs, unfinished, err := Load(filepath.Join(root, "b"), filepath.Join(root, "a")+"/", filepath.Join(root, "b", tune.ConfigFile))
	if err != nil || len(unfinished) != 0 {
		t.Fatal(unfinished, err)
	}
	if got, want := folders(runs, root), []string{"b", "a/length=20/seed-1", "a/length=5/seed-1", "a/length=5/seed-2"}; !slices.Equal(got, want) {
		t.Errorf("runs %v, want %v", got, want)
	}
	for _, r := range runs {
		if r.Settings != e.Settings || r.BestStep != 40 || r.Validation != e.Validation || !slices.Equal(r.Predictions, e.Predictions) {
			t.Errorf("%+v, want %+v", r, e)
		}
	}
}

// TestLoadLinks: a link to a folder of runs is as good as the folder, and a run
// that two ways lead to is there once.
func TestLoadLinks(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"runs/1", "runs/2"} {
		saveRun(t, filepath.Join(root, dir), ended(t, of("dept", 5, 1), true))
	}
	for name, to := range map[string]string{"latest": "runs/2", "all": "runs", "runs/again": "1"} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
	}
	for _, c := range []struct{ named, want []string }{
		{[]string{"latest"}, []string{"latest"}},
		{[]string{"all"}, []string{"all/1", "all/2"}},
		{[]string{"latest", "all"}, []string{"latest", "all/1"}},
		{[]string{"runs", "latest", "runs/1", "runs/again"}, []string{"runs/1", "runs/2"}},
	} {
		var dirs []string
		for _, n := range c.named {
			dirs = append(dirs, filepath.Join(root, n))
		}
		runs, _, err := Load(dirs...)
		if err != nil || !slices.Equal(folders(runs, root), c.want) {
			t.Errorf("%v: %v, %v; want %v", c.named, folders(runs, root), err, c.want)
		}
	}
}

// TestLoadUnfinished: a run without a log, or whose log ends before the run's
// end, is named and not read; the others are.
func TestLoadUnfinished(t *testing.T) {
	root := t.TempDir()
	e := ended(t, of("dept", 5, 1), true)
	for _, dir := range []string{"done", "empty", "none", "under-way"} {
		saveRun(t, filepath.Join(root, dir), e)
	}
	put(t, filepath.Join(root, "empty", tune.MetricsFile), "")
	put(t, filepath.Join(root, "under-way", tune.MetricsFile), "{\"step\":1,\"loss\":2}\n{\"step\":2,\"lo")
	if err := os.Remove(filepath.Join(root, "none", tune.MetricsFile)); err != nil {
		t.Fatal(err)
	}
	runs, unfinished, err := Load(root)
	if err != nil || !slices.Equal(folders(runs, root), []string{"done"}) || len(unfinished) != 3 {
		t.Fatalf("%v, unfinished %v, %v", folders(runs, root), unfinished, err)
	}
	if err := os.RemoveAll(filepath.Join(root, "done")); err != nil {
		t.Fatal(err)
	}
	_, unfinished, err = Load(root)
	want := []string{filepath.Join(root, "empty"), filepath.Join(root, "none"), filepath.Join(root, "under-way")}
	if err == nil || err.Error() != fmt.Sprintf("reading runs: there is none in [%s] that has come to its end", root) ||
		hint.Of(err) != "name folders that softprompt train or study made" || !slices.Equal(unfinished, want) {
		t.Errorf("%v, hint %q, unfinished %v", err, hint.Of(err), unfinished)
	}
	if _, _, err := Load(); err == nil || err.Error() != "reading runs: there is none in [] that has come to its end" {
		t.Error(err)
	}
	if _, _, err := Load(root, filepath.Join(root, "nowhere")); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "reading runs: ") {
		t.Error(err)
	}
}

// TestLoadBroken: what is broken in a run is named by its file and line, and the
// run is not passed over for it.
func TestLoadBroken(t *testing.T) {
	const answer = "{\"id\":\"validation:0\",\"gold\":\"positive\",\"answer\":\"positive\",\"right\":true}\n"
	for _, c := range []struct{ file, text, want string }{
		{tune.PredictionsFile, answer + "{\"id\":\n", "reading DIR/predictions.jsonl: line 2: unexpected end of JSON input"},
		{tune.PredictionsFile, answer + answer + "\n", "reading DIR/predictions.jsonl: line 3: unexpected end of JSON input"},
		{tune.PredictionsFile, answer + "{\"right\":1}\n", "reading DIR/predictions.jsonl: line 2: json: cannot unmarshal number into Go struct field Predicted.right of type bool"},
		{tune.PredictionsFile, answer + "{\"id\":\"" + strings.Repeat("x", 1<<20) + "\"}\n", "reading DIR/predictions.jsonl: line 2: bufio.Scanner: token too long"},
		{tune.MetricsFile, "{\"step\":1}\n{\"step\":2,\"validation\":{\"tuned\":\"9\"}}\n", "reading the run DIR: metrics.jsonl: line 2: json: cannot unmarshal string into Go struct field Comparison.validation.tuned of type float64"},
		{tune.MetricsFile, "{\"step\":1}\n{\"st\n", "reading the run DIR: metrics.jsonl: line 2: unexpected end of JSON input"},
		{tune.ConfigFile, "task: sst2\nlenght: 3\n", "reading DIR/config.yaml: yaml: unmarshal errors:\n  line 2: field lenght not found in type tune.Settings"},
		{tune.ConfigFile, "task: sst2\n", "reading DIR/config.yaml: --length is 0, want at least 1"},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		saveRun(t, dir, ended(t, of("dept", 5, 1), true))
		put(t, filepath.Join(dir, c.file), c.text)
		want := strings.ReplaceAll(c.want, "DIR/", dir+string(filepath.Separator))
		want = strings.ReplaceAll(want, "DIR", dir)
		if runs, _, err := Load(filepath.Dir(dir)); err == nil || err.Error() != want || runs != nil {
			t.Errorf("%s: %d runs, %v\nwant %s", c.file, len(runs), err, want)
		}
	}
	dir := t.TempDir()
	saveRun(t, dir, ended(t, of("dept", 5, 1), true))
	if err := os.Remove(filepath.Join(dir, tune.PredictionsFile)); err != nil {
		t.Fatal(err)
	}
	if runs, _, err := Load(dir); err != nil || len(runs) != 1 || runs[0].Predictions != nil {
		t.Errorf("without answers: %v, %v", runs, err)
	}
}
