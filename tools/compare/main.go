// Command compare trains prompts with softprompt and with PEFT from the same
// start on the same batches and compares their answers, example by example:
//
//	go run ./tools/compare -python "$(make -s -C tools/reference python)"
//
// For each seed it writes the run as a replay (tune.WriteReplay), trains it
// here, has tools/reference/peft_sst2.py train it with PEFT on PyTorch, and
// scores both prompts on SST-2's development set. It prints each accuracy,
// both means and a paired bootstrap of the difference, over examples and
// seeds.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"softprompt/onnx/ort"
	"softprompt/prompt/tune"
	"softprompt/tasks"
)

func main() {
	python := flag.String("python", "python3", "interpreter with tools/reference/requirements.txt installed")
	dir := flag.String("dir", "runs/compare", "folder for the runs; must not exist")
	out := flag.String("out", "", "JSON file for the result")
	seeds := flag.Int("seeds", 5, "number of seeds")
	steps := flag.Int("steps", 400, "training steps")
	rate := flag.Float64("learning-rate", 1, "AdamW's learning rate")
	length := flag.Int("length", 20, "prompt length")
	flag.Parse()
	if err := run(context.Background(), *python, *dir, *out, *seeds, *steps, *length, *rate); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// settings are those of both sides: PEFT's optimiser, no dropout, no z-loss.
func settings(seed, steps, length int, rate float64) (tune.Settings, error) {
	task, err := tasks.Lookup("sst2")
	if err != nil {
		return tune.Settings{}, err
	}
	s := tune.Defaults(task)
	s.Template, s.Verbalizer = "{sentence}", "negative=terrible;positive=great"
	s.Optimizer, s.LearningRate, s.WeightDecay = "adamw", rate, 0
	s.Dropout, s.ZLoss, s.Loss = 0, 0, "mean"
	s.Length, s.Init, s.Steps, s.EvalEvery = length, "vocab", steps, 50
	s.Seed = uint64(seed)
	return s, nil
}

// report is the result, and its JSON form.
type report struct {
	Date       string    `json:"date"`
	Runtime    string    `json:"onnxruntime"`
	Settings   any       `json:"settings"` // of the first seed
	Softprompt []float64 `json:"softprompt"`
	PEFT       []float64 `json:"peft"`
	Means      [2]float64
	// The difference of the means with its 95 % interval, in points.
	Low, Difference, High float64
}

// peft is what peft_sst2.py writes.
type peft struct {
	Runs []struct {
		Accuracy    float64 `json:"dev_accuracy"`
		Start       float64 `json:"start_accuracy"`
		Predictions []int   `json:"predictions"`
		Gold        []int   `json:"gold"`
		Seconds     float64 `json:"seconds"`
	} `json:"runs"`
}

func run(ctx context.Context, python, dir, out string, seeds, steps, length int, rate float64) error {
	rt, err := ort.Open(ort.Options{})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	r := report{Date: time.Now().UTC().Format(time.DateOnly), Runtime: rt.Version()}
	var ours [][]float64
	args := []string{"tools/reference/peft_sst2.py", "--model", "models/tiny", "--out", filepath.Join(dir, "peft.json"), "--plan"}
	for seed := 1; seed <= seeds; seed++ {
		s, err := settings(seed, steps, length, rate)
		if err != nil {
			return err
		}
		if seed == 1 {
			r.Settings = s
		}
		plan := filepath.Join(dir, fmt.Sprintf("plan-%d.safetensors", seed))
		if err := tune.WriteReplay(ctx, rt, s, plan, tune.Options{}); err != nil {
			return err
		}
		args = append(args, plan)
		hits, accuracy, err := train(ctx, rt, s, filepath.Join(dir, fmt.Sprint("run-", seed)))
		if err != nil {
			return err
		}
		ours, r.Softprompt = append(ours, hits), append(r.Softprompt, accuracy)
	}
	theirs, err := runPEFT(ctx, python, args, filepath.Join(dir, "peft.json"), &r)
	if err != nil {
		return err
	}
	if r.Low, r.Difference, r.High, err = tasks.PairedBootstrap(ours, theirs, 1, 10_000); err != nil {
		return err
	}
	r.print()
	if out == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(data, '\n'), 0o644)
}

// train tunes a prompt and returns its hits on the development set.
func train(ctx context.Context, rt *ort.Runtime, s tune.Settings, dir string) (hits []float64, accuracy float64, err error) {
	began := time.Now()
	res, err := tune.Train(ctx, rt, s, tune.Options{Out: dir})
	if err != nil {
		return nil, 0, err
	}
	fmt.Fprintf(os.Stderr, "softprompt seed %d: %.2f before, %.2f after %d steps (%.0f s for %d)\n",
		s.Seed, res.Validation.Initial, res.Validation.Tuned, res.BestStep, time.Since(began).Seconds(), res.Steps)
	p, err := tune.NewPredictor(ctx, rt, dir, tune.PredictOptions{Device: ort.Device{Kind: "cpu"}})
	if err != nil {
		return nil, 0, err
	}
	defer p.Close()
	ev, err := p.ScoreSplit(ctx, tasks.Validation, tasks.LoadOptions{}, false)
	if err != nil {
		return nil, 0, err
	}
	examples, err := p.Task.Load(ctx, tasks.Validation, tasks.LoadOptions{})
	if err != nil {
		return nil, 0, err
	}
	gold := make([]int, len(examples))
	for i, e := range examples {
		gold[i] = e.Label
	}
	return tasks.Hits(gold, ev.Predictions), ev.Score, nil
}

// runPEFT trains the replays with PEFT and returns its hits.
func runPEFT(ctx context.Context, python string, args []string, path string, r *report) ([][]float64, error) {
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("running %s: %w", args[0], err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var found peft
	if err := json.Unmarshal(data, &found); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	var hits [][]float64
	for _, run := range found.Runs {
		r.PEFT = append(r.PEFT, run.Accuracy)
		hits = append(hits, tasks.Hits(run.Gold, run.Predictions))
	}
	return hits, nil
}

// print writes the table.
func (r *report) print() {
	fmt.Println("SST-2 development set, accuracy by rank classification")
	fmt.Println("| seed | softprompt | PEFT |")
	fmt.Println("|---|---|---|")
	for i := range r.Softprompt {
		fmt.Printf("| %d | %.2f | %.2f |\n", i+1, r.Softprompt[i], r.PEFT[i])
		r.Means[0] += r.Softprompt[i] / float64(len(r.Softprompt))
		r.Means[1] += r.PEFT[i] / float64(len(r.PEFT))
	}
	fmt.Printf("| mean | %.2f | %.2f |\n", r.Means[0], r.Means[1])
	fmt.Printf("difference %+.2f points, 95 %% interval %+.2f to %+.2f\n", r.Difference, r.Low, r.High)
}
