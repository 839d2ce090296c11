package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"softprompt/export"
	"softprompt/grad"
	"softprompt/models"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/prompt/tune"
)

// optimizers has the rule and the learning rate behind each name, set as
// bench_peft.py sets those of PyTorch and transformers.
var optimizers = map[string]func() (grad.Rule, float64){
	"adamw": func() (grad.Rule, float64) {
		a := grad.DefaultAdamW()
		a.WeightDecay = 0
		return a, 0.3
	},
	"adafactor": func() (grad.Rule, float64) {
		a := grad.DefaultAdafactor()
		a.InitialStep, a.MinDimToFactor = 0, 1
		a.WeightDecay = 0.3 * 1e-5 // transformers multiplies it by the rate
		return a, 0.3
	},
}

// stepMain is softprompt's peer: what bench_peft.py is for PEFT.
func stepMain(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("step", flag.ContinueOnError)
	dir := flags.String("model", "", "`folder` that make_model.py wrote")
	threads := flags.Int("threads", 2, "threads of one operator")
	optimizer := flags.String("optimizer", "adamw", "adamw or adafactor")
	dropout := flags.Float64("dropout", 0, "rate for every site")
	profile := flags.String("profile", "", "start of the `name` of the runtime's trace")
	if err := flags.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	t, err := newTrainer(ctx, *dir, *threads, *optimizer, *dropout, *profile)
	if err != nil {
		return err
	}
	defer t.close()
	hello := ready{
		Ready: time.Since(began).Seconds(), DType: "float32", Threads: *threads, Optimizer: *optimizer, Dropout: *dropout,
		Batch: t.batches.inputs[1:], Targets: t.batches.labels[2], Prompt: t.batches.prompt, Runtime: t.rt.Version(),
	}
	return serve(in, out, hello, func() (stepped, error) { return t.step(ctx) }, func() (memory, error) { return memoryOf("self") })
}

// trainer trains a prompt as package tune does, on batches from a file.
type trainer struct {
	rt        *ort.Runtime
	model     *export.Model
	frozen    *tune.Frozen
	bank      *tune.Bank
	optimizer *grad.Optimizer
	rate      float64
	dropout   *tune.Dropout
	batches   *batches
	steps     int
}

func newTrainer(ctx context.Context, dir string, threads int, optimizer string, dropout float64, profile string) (*trainer, error) {
	t := &trainer{}
	var err error
	if t.batches, err = readBatches(filepath.Join(dir, batchesFile)); err != nil {
		return nil, err
	}
	if t.rt, err = ort.Open(ort.Options{}); err != nil {
		return nil, err
	}
	if t.model, err = export.Open(ctx, dir, models.Options{}); err != nil {
		return nil, err
	}
	t.frozen, err = tune.Freeze(ctx, t.rt, t.model, tune.FreezeOptions{
		Method: prompt.MethodPromptTuning, Threads: threads, Dropout: dropout > 0, NoTokenizer: true, Profile: profile,
	})
	if err != nil {
		return nil, err
	}
	length, width := t.batches.prompt[0], t.batches.prompt[1]
	if t.bank, err = tune.NewBank(t.frozen.Method, prompt.New(t.batches.values, int(length), int(width))); err != nil {
		return nil, err
	}
	if dropout > 0 {
		t.dropout = &tune.Dropout{Rate: dropout, Seeds: []uint64{0}}
	}
	make, ok := optimizers[optimizer]
	if !ok {
		return nil, fmt.Errorf("no optimizer %q: want adamw or adafactor", optimizer)
	}
	var rule grad.Rule
	rule, t.rate = make()
	t.optimizer, err = grad.NewOptimizer(rule, grad.Param{Name: prompt.TensorPrompt, Shape: []int64{1, length, width}})
	return t, err
}

// step is forward, backward and update on the mean loss of the next batch.
func (t *trainer) step(ctx context.Context) (stepped, error) {
	rows := t.batches.rows[t.steps%len(t.batches.rows)]
	began := time.Now()
	opts := tune.StepOptions{Weight: 1 / float32(int64(len(rows))*t.batches.labels[2]), Dropout: t.dropout}
	if t.dropout != nil {
		t.dropout.Step = uint64(t.steps)
	}
	res, err := t.frozen.Step(ctx, t.bank, rows, opts)
	if err != nil {
		return stepped{}, err
	}
	values, grads := t.bank.Tensors()
	if _, err := t.optimizer.Update(0, t.rate, values, grads); err != nil {
		return stepped{}, err
	}
	t.steps++
	return stepped{Seconds: time.Since(began).Seconds(), Loss: res.Loss}, nil
}

func (t *trainer) close() error {
	t.bank.Close()
	err := t.frozen.Close() // writes the profile
	t.model.Close()
	return err
}
