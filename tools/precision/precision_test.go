package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
	"softprompt/tasks"
	"softprompt/tools/paired"
)

// reviews writes a folder with rows in IMDB's form, every other one positive.
func reviews(t *testing.T, train, test int) string {
	t.Helper()
	dir := t.TempDir()
	for name, rows := range map[string]int{"train.jsonl": train, "test.jsonl": test} {
		var b strings.Builder
		for i := range rows {
			fmt.Fprintf(&b, "{\"text\": \"%s <br />\\\"film\\\" number %d é\", \"label\": %d}\n", []string{"a dull", "a gorgeous"}[i%2], i, i%2)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// small is a study of some seconds.
var small = study{task: "imdb", train: 24, score: 16, apart: 4, config: `
verbalizer: negative=terrible;positive=great
max_input: 16
length: 3
steps: 4
batch: 4
micro_batch: 4
held_out: 4
eval_every: 4
loss: labels
dropout: 0
threads: 1
`}

// TestRun compares float32 with itself in other micro-batches, whose sums
// round in another order and no more.
func TestRun(t *testing.T) {
	t.Setenv("SOFTPROMPT_CACHE", t.TempDir())
	dir := t.TempDir()
	o := options{
		studies: []study{small}, data: reviews(t, 40, 100), with: "micro_batch: 2",
		dir: filepath.Join(dir, "runs"), out: filepath.Join(dir, "result.json"), seeds: 2,
	}
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), o, report{Date: "2026-01-02"}, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	if n := strings.Count(stderr.String(), "tuned in"); n != 4 {
		t.Errorf("progress of %d runs: %s", n, &stderr)
	}
	r := readReport(t, o.out)
	if r.Date != "2026-01-02" || r.Runtime == "" || r.With != o.with || len(r.Tasks) != 1 {
		t.Fatalf("result %+v", r)
	}
	got := r.Tasks[0]
	if got.Difference != 0 || got.Low != 0 || got.High != 0 || got.Disagreement != 0 || !got.Above {
		t.Errorf("float32 differs from itself: %+v", got)
	}
	if got.Examples != 20 || len(got.Changed) != 2 || got.Settings.MicroBatch != 2 || got.Settings.Data != "" {
		t.Errorf("result %+v", got)
	}
	for _, said := range []string{
		"imdb, 20 rows (16 of the reported split, 4 training rows kept apart), ", "| seed | tuned with micro_batch: 2 | tuned in float32 |", "\n| 2 | ",
		"difference +0.00 points, 95 % interval +0.00 to +0.00; 0.0 % of the answers differ\nthe lower end lies above -1 point\n",
	} {
		if !strings.Contains(stdout.String(), said) {
			t.Errorf("printed %q, want %q in it", &stdout, said)
		}
	}

	// Both sides started alike; the setting is all that sets them apart.
	for seed := uint64(1); seed <= 2; seed++ {
		var sides [2]tune.Settings
		for i, name := range []string{"changed", "float32"} {
			var err error
			if sides[i], err = tune.ReadSettings(filepath.Join(o.dir, "imdb", fmt.Sprintf("%s-%d", name, seed))); err != nil {
				t.Fatal(err)
			}
		}
		if sides[0].MicroBatch != 2 || sides[1].MicroBatch != 4 || sides[0].Seed != seed {
			t.Errorf("settings %+v", sides)
		}
		if sides[0].MicroBatch = 4; sides[0] != sides[1] {
			t.Errorf("the sides differ in more than the setting: %+v", sides)
		}
	}

	// A second study does not write over the runs of the first.
	if err := run(t.Context(), o, report{}, &stdout, &stderr); err == nil || !strings.Contains(err.Error(), "comparing on imdb: ") {
		t.Errorf("a folder that is there: %v", err)
	}
}

// Sides that really differ end in other prompts: the setting arrives.
func TestRunSeesAChange(t *testing.T) {
	t.Setenv("SOFTPROMPT_CACHE", t.TempDir())
	dir := t.TempDir()
	o := options{
		studies: []study{small}, data: reviews(t, 40, 100), with: "{steps: 1, eval_every: 1, learning_rate: 30}",
		dir: filepath.Join(dir, "runs"), out: filepath.Join(dir, "result.json"), seeds: 1,
	}
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), o, report{}, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	var prompts [2][]byte
	for i, name := range []string{"changed-1", "float32-1"} {
		var err error
		if prompts[i], err = os.ReadFile(filepath.Join(o.dir, "imdb", name, "prompt.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Equal(prompts[0], prompts[1]) {
		t.Error("both sides have one prompt")
	}
}

// Without a data folder what travels is compared, and the rest is named; the
// runs are thrown away.
func TestRunWithoutData(t *testing.T) {
	t.Setenv("SOFTPROMPT_CACHE", t.TempDir())
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var stdout, stderr bytes.Buffer
	o := options{studies: []study{small}, with: "micro_batch: 2", out: filepath.Join(t.TempDir(), "r.json"), seeds: 1}
	if err := run(t.Context(), o, report{}, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	if want := "imdb is left out: give the folder that holds it (DATA=DIR make precision)\n"; !strings.HasPrefix(stdout.String(), want) {
		t.Errorf("printed %q", &stdout)
	}
	if _, err := os.Stat(o.out); err == nil {
		t.Error("a result of nothing was written")
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "precision*")); err != nil || len(left) > 0 {
		t.Errorf("left behind %v, %v", left, err)
	}
}

func TestRunRefuses(t *testing.T) {
	rt, err := ort.Open(ort.Options{})
	if err != nil {
		t.Fatal(err)
	}
	data := reviews(t, 40, 100)
	for name, c := range map[string]struct {
		s          study
		data, with string
		want       string
	}{
		"no such setting":  {small, data, "presision: int8", "field presision not found"},
		"a senseless one":  {small, data, "micro_batch: -1", "--micro-batch and --workers cannot be negative"},
		"no settings":      {small, data, "int8", "reading the settings"},
		"no data":          {small, t.TempDir(), "micro_batch: 2", "no train.jsonl"},
		"too few rows":     {small, reviews(t, 40, 10), "micro_batch: 2", "40 training rows and 10 to report on, want 28 and 64"},
		"none kept apart":  {study{task: "imdb", train: 24, apart: 17}, data, "micro_batch: 2", "40 training rows and 100 to report on, want 41 and 64"},
		"no such task":     {study{task: "imbd"}, data, "micro_batch: 2", `no task named "imbd"`},
		"a broken default": {study{task: "sst2", config: "steps: none"}, data, "micro_batch: 2", "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			var progress bytes.Buffer
			res, err := c.s.run(t.Context(), rt, options{data: c.data, with: c.with, dir: t.TempDir(), seeds: 1}, &progress)
			if err == nil || res != nil || !strings.Contains(err.Error(), c.want) || progress.Len() > 0 {
				t.Errorf("error %v, want %q; progress %q", err, c.want, &progress)
			}
		})
	}
}

// The studies of make precision can be run as they stand, and the settings
// file of each is one that softprompt train takes.
func TestStudies(t *testing.T) {
	for _, s := range studies {
		got, err := s.settings()
		if err != nil {
			t.Fatal(err)
		}
		task, err := tasks.Lookup(s.task)
		if err != nil {
			t.Fatal(err)
		}
		if got.Task != s.task || got.Model != "tiny" || got.Dropout != 0 || got.Template != "{"+task.Fields[0]+"}" {
			t.Errorf("settings %+v", got)
		}
		if s.travels() != task.Travels() || !s.travels() && s.score == 0 {
			t.Errorf("%s travels: %v; %d rows of the reported split", s.task, s.travels(), s.score)
		}
		if s.train > 0 && s.train <= got.HeldOut {
			t.Errorf("%s: %d rows to train on, %d held out", s.task, s.train, got.HeldOut)
		}
	}
}

// What is drawn are rows of the data, each once, classes in their share; none
// is both trained on and scored, and another time they are the same.
func TestDraw(t *testing.T) {
	data := reviews(t, 40, 100)
	for _, c := range []struct {
		study
		data          string
		trained, seen int
	}{
		{small, data, 24, 20},
		{study{task: "imdb"}, data, 40, 100},
		{study{task: "sst2", apart: 1000}, "", 9000, 1872},
	} {
		var drawn [2][]tasks.Example
		for i := range drawn {
			train, score, err := c.draw(t.Context(), c.data, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			trained, seen := rows(t, c.task, tasks.Train, train), rows(t, c.task, tasks.Validation, score)
			if len(trained) != c.trained || len(seen) != c.seen || len(rows(t, c.task, tasks.Validation, train)) != reportedOn {
				t.Fatalf("%s: %d rows to train on, %d to score", c.task, len(trained), len(seen))
			}
			drawn[i] = append(trained, seen[c.seen-c.apart:]...)
			origin := labels(rows(t, c.task, tasks.Train, c.data))
			positive := 0
			for _, ex := range drawn[i] {
				if label, ok := origin[ex.Input]; !ok || label != ex.Label {
					t.Errorf("%q of class %d is no training row, or there twice", ex.Input, ex.Label)
				}
				delete(origin, ex.Input)
				positive += ex.Label
			}
			all := rows(t, c.task, tasks.Train, c.data)
			if want := sum(all) * len(drawn[i]) / len(all); positive < want-2 || positive > want+2 {
				t.Errorf("%s: %d of %d are positive, want %d", c.task, positive, len(drawn[i]), want)
			}
			origin = labels(rows(t, c.task, tasks.Validation, c.data))
			for _, ex := range seen[:c.seen-c.apart] {
				if label, ok := origin[ex.Input]; !ok || label != ex.Label {
					t.Errorf("%q of class %d is not of the reported split, or there twice", ex.Input, ex.Label)
				}
				delete(origin, ex.Input)
			}
			drawn[i] = append(drawn[i], seen...)
		}
		if !cmp.Equal(drawn[0], drawn[1]) {
			t.Errorf("%s: two draws differ", c.task)
		}
	}
}

// labels maps the texts of rows to their classes.
func labels(rows []tasks.Example) map[string]int {
	m := map[string]int{}
	for _, ex := range rows {
		m[ex.Input] = ex.Label
	}
	return m
}

func sum(rows []tasks.Example) (n int) {
	for _, ex := range rows {
		n += ex.Label
	}
	return n
}

func rows(t *testing.T, name string, split tasks.Split, dir string) []tasks.Example {
	t.Helper()
	task, err := tasks.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := task.Load(t.Context(), split, tasks.LoadOptions{Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestVerdict puts answers together whose interval is known.
func TestVerdict(t *testing.T) {
	gold := []int{0, 1, 0, 1}
	right := paired.Answers{Accuracy: 100, Predictions: gold, Gold: gold}
	wrong := paired.Answers{Predictions: []int{1, 0, 1, 0}, Gold: gold}
	for _, c := range []struct {
		changed, float32 paired.Answers
		want             string
	}{
		{right, right, "difference +0.00 points, 95 % interval +0.00 to +0.00; 0.0 % of the answers differ\nthe lower end lies above -1 point\n\n"},
		{wrong, right, "difference -100.00 points, 95 % interval -100.00 to -100.00; 100.0 % of the answers differ\nthe lower end does not lie above -1 point\n\n"},
	} {
		r := result{Task: "sst2", Seconds: [2]float64{12.4, 20}}
		if err := r.compare([]paired.Answers{c.changed}, []paired.Answers{c.float32}); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		r.print(&out, "precision: int8")
		want := fmt.Sprintf("| 1 | %.2f | 100.00 |\n| mean | %.2f | 100.00 |\n| seconds to tune | 12 | 20 |\n", c.changed.Accuracy, c.changed.Accuracy) + c.want
		if !strings.HasSuffix(out.String(), want) {
			t.Errorf("printed %q, want at its end %q", &out, want)
		}
	}
	var r result
	if err := r.compare(nil, nil); err == nil || r.Changed != nil {
		t.Errorf("compared nothing: %+v, %v", r, err)
	}
}

// TestResults holds the kept results against themselves.
func TestResults(t *testing.T) {
	files, err := filepath.Glob("results/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		readReport(t, file)
	}
}

// readReport reads a result: means are those of the seeds, their difference
// lies in its interval, and the verdict is that of the interval.
func readReport(t *testing.T, file string) report {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, task := range r.Tasks {
		for side, runs := range [][]float64{task.Changed, task.Float32} {
			sum := 0.0
			for _, accuracy := range runs {
				sum += accuracy
			}
			if mean := sum / float64(len(runs)); math.Abs(mean-task.Means[side]) > 1e-9 {
				t.Errorf("%s: %s: side %d has mean %v, its seeds %v", file, task.Task, side, task.Means[side], mean)
			}
		}
		if math.Abs(task.Means[0]-task.Means[1]-task.Difference) > 1e-9 || task.Low > task.Difference || task.High < task.Difference || task.Above != (task.Low > bound) {
			t.Errorf("%s: %+v", file, task)
		}
	}
	return r
}
