package tune

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/prompt"
	"softprompt/tasks"
)

func TestDefaultsAreThePapers(t *testing.T) {
	for _, task := range tasks.All() {
		s := Defaults(task)
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", task.Name, err)
		}
		init := "vocab" // where nothing is named that a prompt could start from
		if len(task.Labels) > 0 || len(task.InitWords) > 0 {
			init = "class-labels"
		}
		if s.Length != 100 || s.LearningRate != 0.3 || s.Optimizer != "adafactor" || s.InitialStep != 1_100_000 ||
			s.WeightDecay != 1e-5 || s.Batch != 32 || s.Dropout != 0.1 || s.ZLoss != 1e-4 || s.Init != init {
			t.Errorf("%s: %+v", task.Name, s)
		}
	}
}

func TestSettingsCheck(t *testing.T) {
	task, err := tasks.Lookup("sst2")
	if err != nil {
		t.Fatal(err)
	}
	for flag, change := range map[string]func(*Settings){
		"--length":        func(s *Settings) { s.Length = 0 },
		"--steps":         func(s *Settings) { s.Steps = -1 },
		"--batch":         func(s *Settings) { s.Batch = 0 },
		"--micro-batch":   func(s *Settings) { s.MicroBatch = -1 },
		"--workers":       func(s *Settings) { s.Workers = -1 },
		"--precision":     func(s *Settings) { s.Precision = "int7" },
		"--memory":        func(s *Settings) { s.Memory = "most" },
		"--max-input":     func(s *Settings) { s.MaxInput = 1 },
		"--max-target":    func(s *Settings) { s.MaxTarget = 1 },
		"--eval-every":    func(s *Settings) { s.EvalEvery = 0 },
		"--log-every":     func(s *Settings) { s.LogEvery = 0 },
		"--window":        func(s *Settings) { s.Window = 0 },
		"--held-out":      func(s *Settings) { s.HeldOut = -1 },
		"--shots":         func(s *Settings) { s.Shots = -1 },
		"--choose":        func(s *Settings) { s.Choose = "test" },
		"--dropout":       func(s *Settings) { s.Dropout = 1 },
		"--learning-rate": func(s *Settings) { s.LearningRate = 0 },
		"--loss":          func(s *Settings) { s.Loss = "median" },
		"--patience":      func(s *Settings) { s.Patience = -1 },
		"--placement":     func(s *Settings) { s.Placement = "infix" },
		"no such setting": func(s *Settings) { s.Method, s.Placement = prompt.MethodIA3, "suffix" },
		"--visibility":    func(s *Settings) { s.Visibility = "none" },
		"--method":        func(s *Settings) { s.Method = "magic" },
		"--optimizer":     func(s *Settings) { s.Optimizer = "sgd" },
		"schedule":        func(s *Settings) { s.Schedule = "zigzag" },
	} {
		s := Defaults(task)
		change(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
	s := Defaults(task)
	s.Verbalizer = "negative=;positive=great"
	if _, err := s.task(); err == nil {
		t.Error("an empty label word was taken")
	}
	s = Defaults(task)
	s.Template = "{sentense}"
	if _, err := s.task(); err == nil || !strings.Contains(err.Error(), "sentense") {
		t.Errorf("a field that is not there: %v", err)
	}
}

func TestReadSettings(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadSettings(dir); err == nil {
		t.Error("a folder without settings was read")
	}
	s := smallRun(t)
	path := filepath.Join(dir, ConfigFile)
	if err := WriteSettings(path, s); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSettings(dir); err != nil || got != s {
		t.Errorf("read back %+v, %v", got, err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"unknown key":  string(good) + "learning_rat: 3\n",
		"wrong type":   strings.Replace(string(good), "steps: 8", "steps: many", 1),
		"out of range": strings.Replace(string(good), "steps: 8", "steps: 0", 1),
		"no YAML":      "{",
	} {
		if text == string(good) {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSettings(dir); err == nil || !strings.Contains(err.Error(), ConfigFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
