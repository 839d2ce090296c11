package tune

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"softprompt/models"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

func setupOf(t *testing.T, s Settings) *setup {
	t.Helper()
	u, err := newSetup(context.Background(), orttest.Runtime(t), s, Options{Open: models.Options{CacheDir: cache()}, Version: "v9"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

// TestSetup derives all of a run from its settings: the rows, what the prompt
// will say of itself, and where it starts.
func TestSetup(t *testing.T) {
	s := smallRun(t)
	s.TrainRows, s.Init = 16, "vocab"
	u := setupOf(t, s)
	if len(u.encoder.rows) != 16 || len(u.held) != 8 || len(u.validation) != 12 {
		t.Errorf("%d rows to train on, %d held out, %d to report on", len(u.encoder.rows), len(u.held), len(u.validation))
	}
	seen := map[uint64]bool{}
	for _, r := range u.held {
		seen[r.Key] = true
	}
	for _, r := range u.encoder.rows {
		if seen[r.Key] {
			t.Errorf("row %d is trained on and held out, or there twice", r.Key)
		}
		seen[r.Key] = true
	}
	m := u.meta
	if m.Length != 4 || m.DModel != 256 || m.Task != "sst2" || m.Template != "{sentence}" || m.Verbalizer != s.Verbalizer ||
		m.MaxInput != 24 || m.BaseModel != "tiny" || m.Version != "v9" || m.ScoreName != "held-out accuracy" || m.Init != "vocab" {
		t.Errorf("metadata %+v", m)
	}
	if m.TokenizerHash != u.frozen.Tokenizer.Hash() || m.Fingerprint == "" || !slices.Equal(m.Labels, []string{"negative", "positive"}) {
		t.Errorf("metadata %+v", m)
	}
	again := setupOf(t, s)
	if !slices.Equal(u.start.Tensors[0].Data, again.start.Tensors[0].Data) || u.encoder.rows[3].Key != again.encoder.rows[3].Key {
		t.Error("the same settings start elsewhere")
	}
	s.Seed = 2
	other := setupOf(t, s)
	if slices.Equal(u.start.Tensors[0].Data, other.start.Tensors[0].Data) {
		t.Error("another seed starts from the same prompt")
	}
}

// TestSetupFromFile starts from a prompt of another run.
func TestSetupFromFile(t *testing.T) {
	s := smallRun(t)
	file := filepath.Join(t.TempDir(), "start.npy")
	values := make([]float32, 4*256)
	for i := range values {
		values[i] = float32(i)
	}
	if err := prompt.WriteNPY(file, []int64{4, 256}, values); err != nil {
		t.Fatal(err)
	}
	s.Init = "file:" + file
	if u := setupOf(t, s); !slices.Equal(u.start.Tensors[0].Data, values) {
		t.Error("the run does not start from the file")
	}
}

// TestSetupRefuses settings that name what is not there, each with what and
// where.
func TestSetupRefuses(t *testing.T) {
	rt := orttest.Runtime(t)
	for _, c := range []struct {
		name   string
		change func(s *Settings)
		want   string
		hint   string
	}{
		{"a value out of range", func(s *Settings) { s.Steps = 0 }, "--steps is 0", ""},
		{"an unknown task", func(s *Settings) { s.Task = "sst3" }, `no task named "sst3"`, "did you mean sst2?"},
		{"an unknown label", func(s *Settings) { s.Verbalizer = "bad=bad;good=good" }, `no label "bad"`, ""},
		{"an unknown device", func(s *Settings) { s.Device = "abacus" }, "abacus", ""},
		{"no model", func(s *Settings) { s.Model = filepath.Join(s.Data, "model") }, "model", ""},
		{"a long label word", func(s *Settings) {
			s.Verbalizer = "negative=bad;positive=one of the very best films of this and any other year"
		}, "has more than 8 tokens", ""},
		{"no data", func(s *Settings) { s.Data = filepath.Join(s.Data, "nowhere") }, "nowhere", ""},
		{"no validation data", func(s *Settings) { os.Remove(filepath.Join(s.Data, "dev.tsv")) }, "dev.tsv", ""},
		{"all rows held out", func(s *Settings) { s.HeldOut = 48 }, "task sst2 has 48 training rows, and --held-out keeps back 48", "choose a smaller --held-out"},
		{"an unknown start", func(s *Settings) { s.Init = "zeros-and-ones" }, "zeros-and-ones", ""},
		{"a start that is not there", func(s *Settings) { s.Init = "file:" + filepath.Join(s.Data, "start.npy") }, "making the initial prompt: ", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := smallRun(t)
			c.change(&s)
			dir := filepath.Join(t.TempDir(), "run")
			_, err := Train(context.Background(), rt, s, Options{Out: dir, Open: models.Options{CacheDir: cache()}})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(hint.Of(err), c.hint) {
				t.Errorf("error %v, hint %q", err, hint.Of(err))
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("a run folder was left")
			}
			if _, err := NewPlan(context.Background(), rt, s, Options{Open: models.Options{CacheDir: cache()}}); err == nil {
				t.Error("a plan was made")
			}
		})
	}
}

// TestTrainer checks what decides the course of a run on numbers by hand.
func TestTrainer(t *testing.T) {
	s := smallRun(t)
	s.EvalEvery, s.Steps, s.Schedule, s.LearningRate = 3, 8, "linear=10", 0.5
	u := setupOf(t, s)
	dir := t.TempDir()
	g, err := newGroup([]*setup{u}, []*state{u.first()}, dir, nil, Options{Out: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	tr := g.runs[0]
	var due []int
	for tr.Step = 0; tr.Step <= 8; tr.Step++ {
		if tr.due() {
			due = append(due, tr.Step)
			tr.Evaluated = tr.Step
		}
		if tr.due() {
			t.Errorf("step %d is due twice", tr.Step)
		}
	}
	if !slices.Equal(due, []int{3, 6, 8}) {
		t.Errorf("scored at steps %v", due)
	}
	tr.Step = 5
	if got := tr.rate(); got != 0.5*tr.schedule.At(5) || got >= 0.5 || got <= 0 {
		t.Errorf("rate %v half-way down", got)
	}
	tr.Best, tr.Score = bestStep{Step: 3, Score: 75}, 70
	tr.timedStep = 5
	if e := tr.event(1); e.Rate != 0 || e.Left != 0 {
		t.Errorf("this process made no step, and its event is %+v", e)
	}
	tr.timed, tr.timedStep = time.Now().Add(-4*time.Second), 3 // two steps of two seconds
	e := tr.event(1.5)
	if e.Step != 5 || e.Steps != 8 || e.Loss != 1.5 || e.Score != 70 || e.Best != 75 || e.BestStep != 3 || e.Evaluated {
		t.Errorf("event %+v", e)
	}
	if e.Rate < 3.5 || e.Rate > 4 || e.Left < 6*time.Second || e.Left > 7*time.Second {
		t.Errorf("8 rows every two seconds, and the event is %+v", e)
	}
	tr.Step, tr.timed = 6, time.Now().Add(-6*time.Second) // and one of six
	if e := tr.event(1); e.Left < 6*time.Second || e.Left > 7*time.Second {
		t.Errorf("a slow step counts a quarter: %v left for two steps of three seconds", e.Left)
	}
	tr.before = 100
	if got := tr.seconds(); got < 100 || got > 200 {
		t.Errorf("%v seconds", got)
	}
}

// TestPatience ends a run when its score has not risen for as many looks.
func TestPatience(t *testing.T) {
	s := smallRun(t)
	s.Steps, s.EvalEvery, s.Patience, s.LearningRate = 12, 1, 2, 30 // far too high: it gets worse
	looks, stale := 0, 0
	best := 0 // the start, which is scored with the first look
	res, err := Train(context.Background(), orttest.Runtime(t), s, Options{Out: filepath.Join(t.TempDir(), "run"), Open: models.Options{CacheDir: cache()}, Report: func(e Event) {
		if !e.Evaluated {
			return
		}
		looks++
		stale++
		if e.BestStep != best {
			best, stale = e.BestStep, 0
		}
		if stale > 2 {
			t.Errorf("look %d is the %dth without a better score", looks, stale)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if res.Steps == s.Steps || stale != 2 || res.BestStep != best {
		t.Errorf("ended after %d steps, best %d, %d looks without a better one", res.Steps, res.BestStep, stale)
	}
}

// TestReplayIsTheRun compares the file with the batches that a run takes.
func TestReplayIsTheRun(t *testing.T) {
	s := smallRun(t)
	s.Optimizer, s.Dropout, s.ZLoss, s.Loss = "adamw", 0, 0, "mean"
	path := filepath.Join(t.TempDir(), "replay.safetensors")
	if err := WriteReplay(context.Background(), orttest.Runtime(t), s, path, Options{Open: models.Options{CacheDir: cache()}}); err != nil {
		t.Fatal(err)
	}
	ck, err := models.OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	u := setupOf(t, s)
	if start, err := ck.Float32("prompt"); err != nil || !slices.Equal(start, u.start.Tensors[0].Data) {
		t.Errorf("another prompt, %v", err)
	}
	numbers := func(name string) (shape []int64, values []int64) {
		t.Helper()
		info, _ := ck.Lookup(name)
		data, err := ck.Bytes(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(data); i += 4 {
			values = append(values, int64(int32(uint32(data[i])|uint32(data[i+1])<<8|uint32(data[i+2])<<16|uint32(data[i+3])<<24)))
		}
		return info.Shape, values
	}
	shape, ids := numbers("input_ids")
	_, labels := numbers("labels")
	width, target := int(shape[2]), len(labels)/(s.Steps*s.Batch)
	for step := range s.Steps {
		for i, r := range stepRows(t, u.sequence, step) {
			at := step*s.Batch + i
			if got := ids[at*width : at*width+len(r.IDs)]; !slices.Equal(got, r.IDs) {
				t.Fatalf("step %d, row %d: %v, want %v", step, i, got, r.IDs)
			}
			if got := labels[at*target : at*target+len(r.Target)]; !slices.Equal(got, r.Target) {
				t.Fatalf("step %d, row %d: target %v, want %v", step, i, got, r.Target)
			}
		}
	}
	_, gold := numbers("dev_label")
	for i, r := range u.validation {
		if gold[i] != int64(r.Label) {
			t.Errorf("label %d is %d, want %d", i, gold[i], r.Label)
		}
	}
	if err := WriteReplay(context.Background(), orttest.Runtime(t), s, filepath.Join(path, "x"), Options{Open: models.Options{CacheDir: cache()}}); err == nil {
		t.Error("a replay was written below a file")
	}
}

// TestTable pads on the right, and an empty list is a row of padding.
func TestTable(t *testing.T) {
	got := table("x", [][]int64{{1, -2, 3}, {4}, {}}, func(v []int64) []int64 { return v }, -100, 3)
	if !slices.Equal(got.Shape, []int64{3, 3}) || got.Name != "x" || len(got.Data) != 36 {
		t.Fatalf("tensor %+v", got)
	}
	for i, want := range []int32{1, -2, 3, 4, -100, -100, -100, -100, -100} {
		b := got.Data[4*i:]
		if v := int32(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24); v != want {
			t.Errorf("element %d is %d, want %d", i, v, want)
		}
	}
}

// TestPlanCounts what it would cut, and plans a choice of labels too.
func TestPlanCounts(t *testing.T) {
	s := smallRun(t)
	s.MaxInput, s.Loss, s.Batch, s.MicroBatch, s.Dropout = 6, "labels", 6, 4, 0.1
	p, err := NewPlan(context.Background(), orttest.Runtime(t), s, Options{Open: models.Options{CacheDir: cache()}})
	if err != nil {
		t.Fatal(err)
	}
	u := setupOf(t, s)
	cut := 0
	rows, err := u.encoder.all(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Cut {
			cut++
		}
	}
	if cut == 0 || p.CutRows != cut || p.LongestIn != 6 || p.MeanIn > 6 || p.Settings != s {
		t.Errorf("plan %+v, %d rows are cut", p, cut)
	}
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewPlan(stopped, orttest.Runtime(t), s, Options{Open: models.Options{CacheDir: cache()}}); err == nil {
		t.Error("a plan was made after the end of its context")
	}
}

// TestPromptTask: what a prompt says, what a call says in its place.
func TestPromptTask(t *testing.T) {
	meta := prompt.Meta{Task: "sst2", Template: "film: {sentence}", Verbalizer: "negative=bad;positive=good"}
	for _, c := range []struct {
		meta            prompt.Meta
		opts            PredictOptions
		template, words string
		fails           string
	}{
		{meta, PredictOptions{}, "film: {sentence}", "negative=bad;positive=good", ""},
		{meta, PredictOptions{Task: "sst2"}, "film: {sentence}", "negative=bad;positive=good", ""},
		{meta, PredictOptions{Template: "{sentence}"}, "{sentence}", "negative=bad;positive=good", ""},
		{meta, PredictOptions{Verbalizer: "negative=no;positive=yes"}, "film: {sentence}", "negative=no;positive=yes", ""},
		// Another task brings its own template and words.
		{prompt.Meta{Task: "other", Template: "{premise}", Verbalizer: "a=b"}, PredictOptions{Task: "sst2"}, "sentence: {sentence}", "negative=negative;positive=positive", ""},
		{prompt.Meta{}, PredictOptions{}, "", "", "it does not say which task it is for"},
		{meta, PredictOptions{Task: "sst3"}, "", "", `no task named "sst3"`},
		{meta, PredictOptions{Verbalizer: "positive"}, "", "", "positive"},
		{meta, PredictOptions{Template: "{title}"}, "", "", "unknown field {title}"},
	} {
		task, err := promptTask(c.meta, c.opts)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%+v: error %v, want %q", c.opts, err, c.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c.opts, err)
			continue
		}
		if got := task.Verbalizer.Format(task.Labels); string(task.Template) != c.template || got != c.words {
			t.Errorf("%+v: template %q, words %q", c.opts, task.Template, got)
		}
	}
}
