package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/prompt/tune"
)

// outcome is what a role reports.
type outcome struct {
	Phases       []phase `json:"phases"`
	Loss         float64 `json:"loss"`
	GradientNorm float64 `json:"gradient_norm"`
	GradientSize int     `json:"gradient_size"`
}

// peak has the most of all phases.
func (o outcome) peak() phase {
	var most phase
	for _, p := range o.Phases {
		most.Anonymous, most.Resident = max(most.Anonymous, p.Anonymous), max(most.Resident, p.Resident)
	}
	return most
}

func (o outcome) within(what string, got, limit int64) error {
	if got > limit {
		return fmt.Errorf("%d MB of %s, wanted at most %d", got/megabyte, what, limit/megabyte)
	}
	return nil
}

// gradient reports whether training would go somewhere.
func (o outcome) gradient() error {
	if !(o.GradientNorm > 0) || math.IsInf(o.GradientNorm, 0) || math.IsNaN(o.Loss) || math.IsInf(o.Loss, 0) {
		return fmt.Errorf("loss %v and a gradient of norm %v, wanted finite ones and not 0", o.Loss, o.GradientNorm)
	}
	return nil
}

// roles are played in processes of their own. Each works on the model in one
// folder and may write to another.
var roles = map[string]func(ctx context.Context, w *watcher, o *outcome, model, work string) error{
	"export": exportRole,
	"step":   stepRole,
}

func rolesMain(ctx context.Context, role string, args []string, out io.Writer) error {
	flags := flag.NewFlagSet(role, flag.ContinueOnError)
	model := flags.String("model", "", "the model's `folder`")
	work := flags.String("work", "", "`folder` to write to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *model == "" || *work == "" {
		return errors.New("-model and -work are needed")
	}
	w, err := watch()
	if err != nil {
		return err
	}
	var o outcome
	err = roles[role](ctx, w, &o, *model, *work)
	phases, watchErr := w.close()
	if err := errors.Join(err, watchErr); err != nil {
		return err
	}
	o.Phases = phases
	return json.NewEncoder(out).Encode(o)
}

// exportRole writes all graphs of a model with their weights, as `softprompt
// export` does.
func exportRole(ctx context.Context, w *watcher, _ *outcome, model, work string) error {
	w.phase("open")
	m, err := export.Open(ctx, model, models.Options{CacheDir: filepath.Join(work, "cache")})
	if err != nil {
		return err
	}
	defer m.Close()
	w.phase("weights as float32")
	spec, err := m.Spec(ctx)
	if err != nil {
		return err
	}
	if spec.Method, err = prompt.NewMethod(prompt.MethodPromptTuning, m.Config, prompt.Sizes{}); err != nil {
		return err
	}
	w.phase("make graphs")
	var made []*onnx.Model
	for _, graph := range []func(export.Spec) (*onnx.Model, error){export.Train, export.Score, export.Encode, export.Decode} {
		g, err := graph(spec)
		if err != nil {
			return err
		}
		made = append(made, g)
	}
	w.phase("write folder")
	return export.WriteFolder(ctx, filepath.Join(work, "graphs"), m.Model, made...)
}

// What a step trains on: a prompt of the paper's length before one example.
const (
	promptLength = 100
	textLength   = 128
	targetLength = 8
)

// stepRole takes two training steps: the first loads the session too.
func stepRole(ctx context.Context, w *watcher, o *outcome, model, work string) error {
	w.phase("open")
	m, err := export.Open(ctx, model, models.Options{CacheDir: filepath.Join(work, "cache")})
	if err != nil {
		return err
	}
	defer m.Close()
	w.phase("fingerprint")
	if _, err := m.Fingerprint(); err != nil {
		return err
	}
	w.phase("weights as float32")
	spec, err := m.Spec(ctx)
	if err != nil {
		return err
	}
	w.phase("make train graph")
	if spec.Method, err = prompt.NewMethod(prompt.MethodPromptTuning, m.Config, prompt.Sizes{}); err != nil {
		return err
	}
	if _, err := export.Train(spec); err != nil {
		return err
	}
	w.phase("start runtime")
	rt, err := ort.Open(ort.Options{})
	if err != nil {
		return err
	}
	frozen, err := tune.Freeze(ctx, rt, m, tune.FreezeOptions{Method: prompt.MethodPromptTuning, NoTokenizer: true})
	if err != nil {
		return err
	}
	defer frozen.Close()
	bank, row, err := example(frozen.Method, m)
	if err != nil {
		return err
	}
	defer bank.Close()
	for _, name := range []string{"load and first step", "second step"} {
		w.phase(name)
		res, err := frozen.Step(ctx, bank, []tune.Row{row}, tune.StepOptions{Weight: 1.0 / targetLength})
		if err != nil {
			return err
		}
		o.Loss = res.Loss
	}
	_, grads := bank.Tensors()
	sum := 0.0
	for _, g := range grads {
		o.GradientSize += len(g)
		for _, v := range g {
			sum += float64(v) * float64(v)
		}
	}
	o.GradientNorm = math.Sqrt(sum)
	return nil
}

// example draws a prompt, from the deviation of embeddings, and the ids of one
// text and its target.
func example(method *prompt.Method, m *export.Model) (*tune.Bank, tune.Row, error) {
	rng := rand.New(rand.NewPCG(1, 2))
	ids := func(n int) []int64 {
		list := make([]int64, n)
		for i := range list {
			list[i] = 2 + rng.Int64N(int64(m.Config.VocabSize-2))
		}
		list[n-1] = int64(m.Config.EOSID)
		return list
	}
	values := make([]float32, promptLength*m.Config.DModel)
	for i := range values {
		values[i] = float32(rng.NormFloat64())
	}
	bank, err := tune.NewBank(method, prompt.New(values, promptLength, m.Config.DModel))
	return bank, tune.Row{IDs: ids(textLength), Target: ids(targetLength), Label: -1}, err
}
