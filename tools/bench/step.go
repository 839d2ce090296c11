package main

import (
	"cmp"
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

// optimizers has the rule behind each name, set as bench_peft.py sets those of
// PyTorch and transformers.
var optimizers = map[string]func() grad.Rule{
	"adamw": func() grad.Rule {
		a := grad.DefaultAdamW()
		a.WeightDecay = 0
		return a
	},
	"adafactor": func() grad.Rule {
		a := grad.DefaultAdafactor()
		a.InitialStep, a.MinDimToFactor = 0, 1
		a.WeightDecay = 0.3 * 1e-5 // transformers multiplies it by the rate
		return a
	},
}

// stepMain is softprompt's peer: what bench_peft.py is for PEFT.
func stepMain(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	o := training{}
	flags := flag.NewFlagSet("step", flag.ContinueOnError)
	flags.StringVar(&o.dir, "model", "", "`folder` that make_model.py wrote")
	flags.StringVar(&o.batches, "batches", "", "`file` of batches (default: that in the folder)")
	flags.IntVar(&o.threads, "threads", 2, "threads in all")
	flags.StringVar(&o.optimizer, "optimizer", "adamw", "adamw or adafactor")
	flags.Float64Var(&o.rate, "rate", 0.3, "learning rate")
	flags.Float64Var(&o.dropout, "dropout", 0, "rate for every site")
	flags.IntVar(&o.passes.MicroBatch, "micro-batch", 0, "`rows` of a pass, 0 for all")
	flags.IntVar(&o.passes.Workers, "workers", 1, "passes at once")
	flags.BoolVar(&o.passes.Prepack, "prepack", false, "pack the weights")
	precision := flags.String("precision", "fp32", "of the products: fp32 or int8")
	if err := flags.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	var err error
	if o.precision, err = export.ParsePrecision(*precision); err != nil {
		return err
	}
	o.passes.Workers = cmp.Or(o.passes.Workers, o.threads)
	t, err := newTrainer(ctx, o)
	if err != nil {
		return err
	}
	defer t.close()
	hello := ready{
		Ready: time.Since(began).Seconds(), DType: dtypes[o.precision], Threads: o.threads, Optimizer: o.optimizer, Dropout: o.dropout,
		Batch: t.batches.inputs[1:], Targets: t.batches.labels[2], Prompt: t.batches.prompt, Runtime: t.rt.Version(),
	}
	step := func() (any, error) { return t.step(ctx) }
	return serve(in, out, hello, commands{"step": step}, func() (memory, error) { return memoryOf("self") })
}

// dtypes names precisions as the table does.
var dtypes = map[export.Precision]string{export.FP32: "float32", export.INT8: "int8"}

// training says what a trainer trains, and how.
type training struct {
	dir       string // of the model
	batches   string // their file; "" for the one in dir
	threads   int
	precision export.Precision
	optimizer string
	rate      float64 // learning rate
	dropout   float64
	passes    tune.Passes
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

func newTrainer(ctx context.Context, o training) (*trainer, error) {
	t := &trainer{rate: o.rate}
	newRule, ok := optimizers[o.optimizer]
	if !ok {
		return nil, fmt.Errorf("no optimizer %q: want adamw or adafactor", o.optimizer)
	}
	var err error
	if t.batches, err = readBatches(cmp.Or(o.batches, filepath.Join(o.dir, batchesFile))); err != nil {
		return nil, err
	}
	t.rt, t.model, t.frozen, err = freeze(ctx, o.dir, tune.FreezeOptions{
		Threads: o.threads, Dropout: o.dropout > 0, Precision: o.precision, NoTokenizer: true, Passes: o.passes,
	})
	if err != nil {
		return nil, err
	}
	if t.bank, err = t.batches.bank(t.frozen); err != nil {
		return nil, err
	}
	if o.dropout > 0 {
		t.dropout = &tune.Dropout{Rate: o.dropout, Seeds: []uint64{0}}
	}
	length, width := t.batches.prompt[0], t.batches.prompt[1]
	t.optimizer, err = grad.NewOptimizer(newRule(), grad.Param{Name: prompt.TensorPrompt, Shape: []int64{1, length, width}})
	return t, err
}

// freeze opens a model for prompt tuning.
func freeze(ctx context.Context, dir string, opts tune.FreezeOptions) (*ort.Runtime, *export.Model, *tune.Frozen, error) {
	rt, err := ort.Open(ort.Options{})
	if err != nil {
		return nil, nil, nil, err
	}
	m, err := export.Open(ctx, dir, models.Options{})
	if err != nil {
		return nil, nil, nil, err
	}
	opts.Method = prompt.MethodPromptTuning
	f, err := tune.Freeze(ctx, rt, m, opts)
	return rt, m, f, err
}

// bank holds the prompt that the batches start from.
func (b *batches) bank(f *tune.Frozen) (*tune.Bank, error) {
	return tune.NewBank(f.Method, prompt.New(b.values, int(b.prompt[0]), int(b.prompt[1])))
}

// step is forward, backward and update on the mean loss of the next batch.
func (t *trainer) step(ctx context.Context) (stepped, error) {
	rows := t.batches.rows[t.steps%len(t.batches.rows)]
	began := time.Now()
	opts := tune.StepOptions{Weights: []float32{1 / float32(tokens(rows))}, Dropout: t.dropout}
	if t.dropout != nil {
		t.dropout.Step = uint64(t.steps)
	}
	res, err := t.frozen.Batch(ctx, t.bank, rows, opts)
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
