package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/prompt"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

// TestResults makes one run and reads every result of it back from JSON: they
// must hold together.
func TestResults(t *testing.T) {
	data, config := useCache(t)
	dir := filepath.Join(t.TempDir(), "my run")
	var r tune.Result
	result(t, &r, "train", "--config", config, "--out", dir, "--verbalizer", "negative=terrible,bad;positive=great,good")
	if r.Steps != 4 || r.Tuned != 4*256 || r.Frozen != 11_278_080 || r.Settings.Length != 4 || r.Prompt != filepath.Join(dir, tune.PromptFile) {
		t.Errorf("result %+v", r)
	}

	t.Run("eval", func(t *testing.T) {
		var both, ranked, wrote scored
		result(t, &both, "eval", dir)
		result(t, &ranked, "eval", dir, "--decode", "rank")
		result(t, &wrote, "eval", dir, "--decode", "generate")
		if both.Split != tasks.Validation || both.Examples != 24 || both.Model != "tiny" || both.Prompt != dir {
			t.Errorf("evaluation %+v", both)
		}
		if both.Score != r.Validation.Tuned || both.Score != ranked.Score || both.Loss != ranked.Loss || both.Loss <= 0 {
			t.Errorf("scores: at the end of the run %v, of both %v, by rank %v", r.Validation.Tuned, both.Score, ranked.Score)
		}
		if ranked.Generated != nil || wrote.Generated != nil || wrote.Loss != 0 {
			t.Errorf("by rank there is %+v, written %+v", ranked.Generated, wrote)
		}
		if both.Generated == nil || both.Generated.Score != wrote.Score || both.Generated.Illegal != wrote.Illegal {
			t.Errorf("written %+v, alone %+v", both.Generated, wrote.Report)
		}
		for _, report := range []tasks.Report{both.Report, wrote.Report} {
			n := report.Illegal
			for gold := range report.Labels {
				for _, cell := range report.Confusion[gold][:len(report.Labels)] {
					n += cell
				}
			}
			if n != 24 {
				t.Errorf("the confusion matrix %v has %d rows", report.Confusion, n)
			}
		}
		// Another data folder, another split.
		small := filepath.Join(t.TempDir(), "small")
		writeData(t, small, 10, 5)
		var other scored
		result(t, &other, "eval", dir, "--data", small, "--split", "train", "--decode", "rank")
		if other.Examples != 10 || other.Split != tasks.Train {
			t.Errorf("evaluation %+v", other)
		}
	})

	t.Run("predict", func(t *testing.T) {
		texts := []string{"a gorgeous , witty , seductive movie .", "dull", strings.Repeat("slow ", 60)}
		s := succeed(t, texts[0]+"\n{\"text\": \"dull\"}\n"+texts[2]+"\n", "predict", dir, "--json")
		var got []tune.Prediction
		for line := range strings.Lines(s.stdout) {
			var p tune.Prediction
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			got = append(got, p)
		}
		if len(got) != len(texts) {
			t.Fatalf("%d answers for %d texts", len(got), len(texts))
		}
		for i, p := range got {
			best := 0
			if p.Probabilities[1] > p.Probabilities[0] {
				best = 1
			}
			if p.Text != texts[i] || p.Label != p.Labels[best] || math.Abs(p.Probabilities[0]+p.Probabilities[1]-1) > 1e-9 || p.Cut != (i == 2) {
				t.Errorf("text %d: %+v", i, p)
			}
		}
		if n := strings.Count(s.stderr, "warning: a text was longer"); n != 1 {
			t.Errorf("%d warnings of a cut text: %q", n, s.stderr)
		}
		if s := succeed(t, "", "predict", dir); s.stdout != "" {
			t.Errorf("no text gave %q", s.stdout)
		}
	})

	t.Run("generate", func(t *testing.T) {
		var lines [2]string
		for i, beams := range []string{"1", "2"} {
			s := succeed(t, "", "generate", dir, "dull", "--json", "--beams", beams)
			var w written
			if err := json.Unmarshal([]byte(s.stdout), &w); err != nil || w.Text != "dull" {
				t.Errorf("%v in %q", err, s.stdout)
			}
			lines[i] = succeed(t, "dull\n", "generate", dir, "--beams", beams).stdout
			if lines[i] != w.Output+"\n" {
				t.Errorf("%s beams: printed %q, as JSON %q", beams, lines[i], w.Output)
			}
		}
	})

	t.Run("inspect", func(t *testing.T) {
		p, err := prompt.LoadFile(dir)
		if err != nil {
			t.Fatal(err)
		}
		rows, _, width, err := p.Matrix()
		if err != nil {
			t.Fatal(err)
		}
		var in inspection
		result(t, &in, "inspect", dir, "--top", "3")
		if len(in.Vectors) != 4 || in.Method != "prompt-tuning" || in.Prompt != dir {
			t.Fatalf("inspection %+v", in)
		}
		for i, v := range in.Vectors {
			norm := 0.0
			for _, x := range rows[i*width : (i+1)*width] {
				norm += float64(x) * float64(x)
			}
			if math.Abs(v.Norm-math.Sqrt(norm)) > 1e-4*v.Norm {
				t.Errorf("vector %d has norm %v, want %v", i, v.Norm, math.Sqrt(norm))
			}
			if len(v.Words) != 3 || v.Words[0].Cosine < v.Words[1].Cosine || v.Words[1].Cosine < v.Words[2].Cosine {
				t.Errorf("vector %d lies near %+v", i, v.Words)
			}
		}
		facts := map[string]string{}
		for _, f := range in.Facts {
			facts[f.Name] = f.Value
		}
		for name, want := range map[string]string{
			"size": "4 vectors of width 256", "task": "sst2", "template": "{sentence}", "lengths": "input 32 tokens, target 8",
			"label words": "negative=terrible,bad;positive=great,good", "start": "class-labels", "seed": "1",
		} {
			if facts[name] != want {
				t.Errorf("fact %s is %q, want %q", name, facts[name], want)
			}
		}
	})

	// What travels alone does not know the folder of the data.
	t.Run("trained on", func(t *testing.T) {
		if got, err := tune.DataOf(dir); got != data || err != nil {
			t.Errorf("the run was trained on %q, %v, want %q", got, err, data)
		}
		alone := filepath.Join(t.TempDir(), "mine.safetensors")
		content, err := os.ReadFile(filepath.Join(dir, tune.PromptFile))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(alone, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := tune.DataOf(alone); got != "" || err == nil {
			t.Errorf("a prompt alone was trained on %q, %v", got, err)
		}
	})

	t.Run("export", func(t *testing.T) { testExports(t, dir, data) })
}

// TestInspectBare shows a matrix that says nothing about itself: no words, but
// a warning that tells how to get them.
func TestInspectBare(t *testing.T) {
	useCache(t)
	file := filepath.Join(t.TempDir(), "bare.npy")
	values := make([]float32, 3*256)
	values[0], values[256], values[512] = 3, 4, 12
	if err := prompt.WriteNPY(file, []int64{3, 256}, values); err != nil {
		t.Fatal(err)
	}
	s := succeed(t, "", "inspect", file)
	for _, want := range []string{"3 vectors of width 256", "3.00 to 12.00, mean 6.33, median 4.00"} {
		if !strings.Contains(s.stdout, want) {
			t.Errorf("printed %q, want %q", s.stdout, want)
		}
	}
	if !strings.Contains(s.stderr, "warning: without the nearest words: ") || !strings.Contains(s.stderr, "hint: name it with --model") {
		t.Errorf("said %q", s.stderr)
	}
	if s := succeed(t, "", "inspect", file, "--top", "0"); s.stderr != "" {
		t.Errorf("without words said %q", s.stderr)
	}
	var in inspection
	result(t, &in, "inspect", file, "--model", "tiny", "--top", "2")
	if len(in.Vectors) != 3 || len(in.Vectors[2].Words) != 2 {
		t.Fatalf("inspection %+v", in)
	}
	// The first lies near the token for what is no word, which has no text.
	if w := in.Vectors[2].Words; w[0].ID != 2 || w[0].Text != "<2>" || w[1].Text != "ob" {
		t.Errorf("it lies near %+v", w)
	}
}

// TestListings reads what the lists say and holds it against the library.
func TestListings(t *testing.T) {
	data, config := useCache(t)
	var list []struct {
		Name, Description, Source string
		Labels, Metrics, Files    []string
		Rows                      map[tasks.Split]int
		Travels                   bool
	}
	result(t, &list, "tasks")
	if len(list) != len(tasks.All()) {
		t.Errorf("%d tasks, want %d", len(list), len(tasks.All()))
	}
	for i, task := range tasks.All() {
		l := list[i]
		if l.Name != task.Name || l.Source != task.Source || len(l.Labels) != len(task.Labels) || len(l.Metrics) != len(task.Metrics) ||
			l.Rows[tasks.Train] != task.Rows[tasks.Train] || l.Travels != (l.Name == "sst2") || len(l.Files) == 0 {
			t.Errorf("task %d is %+v, want %s", i, l, task.Name)
		}
	}

	var task shown
	result(t, &task, "tasks", "show", "sst2", "--data", data, "--split", "validation", "--rows", "2")
	if task.Examples != 24 || len(task.First) != 2 || task.Labels["negative"]+task.Labels["positive"] != 24 {
		t.Errorf("task %+v", task)
	}
	n := task.Tokens
	if n.Model != "tiny" || n.Limit != 128 || n.Cut != 0 || !(n.Mean > 2 && n.Mean <= float64(n.P95)) || n.P95 > n.Max {
		t.Errorf("tokens %+v", n)
	}
	var none shown
	result(t, &none, "tasks", "show", "sst2", "--data", data, "--rows=-1")
	if len(none.First) != 0 || none.Split != tasks.Train {
		t.Errorf("task %+v", none)
	}

	var tiny model
	result(t, &tiny, "models", "show", "tiny")
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	for _, args := range [][]string{{"models"}, {"models", "list", "--cached"}} {
		var all struct {
			Cache  string
			Hub    string `json:"hub_cache"`
			Models []listed
		}
		result(t, &all, args...)
		want := 1
		if len(args) == 1 {
			want += len(models.KnownModels())
		}
		first := listed{Name: "tiny", Parameters: tiny.Parameters, Bytes: 4 * tiny.Parameters, Embedded: true}
		if len(all.Models) != want || all.Models[0] != first || all.Cache != os.Getenv("SOFTPROMPT_CACHE") || all.Hub != os.Getenv("HF_HUB_CACHE") {
			t.Errorf("%v: %d models, want %d: %+v", args, len(all.Models), want, all)
		}
	}
	var folder model
	result(t, &folder, "models", "show", tiny.Folder)
	if folder.Fingerprint != tiny.Fingerprint || folder.TokenizerHash != tiny.TokenizerHash || folder.Parameters != tiny.Parameters {
		t.Errorf("the same model in a folder is %+v, embedded %+v", folder, tiny)
	}

	var plan tune.Plan
	result(t, &plan, "train", "--config", config, "--dry-run", "--loss", "labels")
	if plan.TrainRows != 64 || plan.HeldOut != 16 || plan.Validation != 24 || plan.Epochs != 0.5 || plan.Tuned != 1024 ||
		plan.StepTime <= 0 || plan.TotalTime <= plan.StepTime || plan.Settings.Loss != "labels" {
		t.Errorf("plan %+v", plan)
	}

	var settings map[string]struct {
		Value any
		From  string
	}
	result(t, &settings, "train", "--config", config, "--print-config", "--length", "7", "--loss", "labels")
	if len(settings) != len(settingKeys()) {
		t.Errorf("%d settings, want %d", len(settings), len(settingKeys()))
	}
	for key, want := range map[string]struct {
		value any
		from  string
	}{"length": {7.0, "flag"}, "loss": {"labels", "flag"}, "steps": {4.0, config}, "seed": {1.0, "default"}} {
		if got := settings[key]; got.Value != want.value || got.From != want.from {
			t.Errorf("%s is %v from %s, want %v from %s", key, got.Value, got.From, want.value, want.from)
		}
	}

	var health struct {
		OK     bool
		Checks []checkup
	}
	result(t, &health, "doctor", "--threads", "1")
	names := ""
	for _, c := range health.Checks {
		names += c.Name + ","
	}
	if !health.OK || names != "softprompt,ONNX Runtime,providers,device,threads,cache,model,tokenizers,training," {
		t.Errorf("the doctor checked %s and says %v", names, health.OK)
	}
}
