package tune

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"softprompt/export"
	"softprompt/models"
	"softprompt/models/hub"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/tasks"
)

// Predictor is a prompt in use: loaded with its model, checked against it, and
// ready to answer.
type Predictor struct {
	*Frozen
	Prompt *prompt.Prompt // nil where a text prompt stands in its place
	Task   *tasks.Task
	bank   *Bank
	judge  *Judge
}

// PredictOptions says how a prompt is put to use. Zero values take what the
// prompt's file says.
type PredictOptions struct {
	Model      string // a model reference in place of the one that the file names
	Task       string // another task: its template and label words are used
	Data       string // folder of that task's files, where it is from a file
	Template   string
	Verbalizer string
	Device     ort.Device
	Threads    int
	MaxInput   int              // input tokens, EOS included, prompt not
	Precision  export.Precision // of the products; "" is float32, whatever the prompt was tuned in
	Open       models.Options   // how the model is opened
}

// NewPredictor loads a prompt, as prompt.LoadFile finds it, with its model. A
// prompt for another model is refused.
func NewPredictor(ctx context.Context, rt *ort.Runtime, path string, opts PredictOptions) (_ *Predictor, err error) {
	p, err := prompt.LoadFile(path)
	if err != nil {
		return nil, err
	}
	task, err := promptTask(p.Meta, opts)
	if err != nil {
		return nil, fmt.Errorf("prompt %s: %w", path, err)
	}
	ref := opts.Model
	if ref == "" {
		if ref, err = ModelOf(path, p); err != nil {
			return nil, err
		}
	}
	f, err := opts.open(ctx, rt, ref, p.Method, p.Sizes())
	if err != nil {
		return nil, err
	}
	out := &Predictor{Frozen: f, Prompt: p, Task: task}
	defer func() {
		if err != nil {
			out.Close()
		}
	}()
	fp, err := f.Model.Fingerprint()
	if err != nil {
		return nil, err
	}
	if err := p.CheckModel(fp, f.Model.Config, f.Tokenizer.Hash()); err != nil {
		return nil, fmt.Errorf("prompt %s: %w", path, err)
	}
	if out.bank, err = NewBank(out.Method, p); err != nil {
		return nil, fmt.Errorf("prompt %s: %w", path, err)
	}
	maxInput, maxTarget := p.Meta.MaxInput, p.Meta.MaxTarget
	if maxInput == 0 || task.Name != p.Meta.Task {
		maxInput, maxTarget = task.MaxInput, task.MaxTarget
	}
	if opts.MaxInput > 0 {
		maxInput = opts.MaxInput
	}
	if rows := out.Method.Sizes.Rows; rows > 0 { // what is longer is cut, and counted as such
		maxInput = min(maxInput, rows)
	}
	if out.judge, err = out.NewJudge(task, maxInput, maxTarget); err == nil && task.Name == p.Meta.Task {
		out.judge.calibration = p.Meta.Calibration
	}
	return out, err
}

// open opens the model that answers are asked of: texts go through it in as
// many batches at once as there are threads.
func (o PredictOptions) open(ctx context.Context, rt *ort.Runtime, ref, method string, sizes prompt.Sizes) (*Frozen, error) {
	m, err := export.Open(ctx, ref, o.Open)
	if err != nil {
		return nil, err
	}
	f := FreezeOptions{Method: method, Sizes: sizes, Device: o.Device, Threads: o.Threads, ScorePrecision: o.Precision}
	if o.Device.Kind == "" || o.Device.Kind == "cpu" {
		if f.Passes.Workers = o.Threads; o.Threads == 0 {
			f.Passes.Workers = ort.Threads()
		}
	}
	out, err := Freeze(ctx, rt, m, f)
	if err != nil {
		m.Close()
		return nil, err
	}
	return out, nil
}

// Calibrate has label words ranked by what they gain over texts without
// content, as [Frozen.Prior] has it, from now on. It returns what is added to
// the scores of the classes; in Meta.Calibration of the prompt's file it holds
// for every use of it.
func (p *Predictor) Calibrate(ctx context.Context) ([]float64, error) {
	prior, err := p.Prior(ctx, p.bank, p.judge)
	if err == nil {
		p.judge.calibration = prior
	}
	return prior, err
}

// ModelOf returns the reference of the model that a prompt in a file or folder
// is for: what the run that it lies in was started with, else the name that
// its file gives, which says nothing of a model that was a folder. A model of
// the hub is named with its commit, as others may have followed.
func ModelOf(path string, p *prompt.Prompt) (string, error) {
	dir := path
	if filepath.Base(path) == PromptFile {
		dir = filepath.Dir(path)
	}
	m := p.Meta
	if hub.IsCommit(m.Revision) {
		return m.BaseModel + "@" + m.Revision, nil
	}
	if s, err := ReadSettings(dir); err == nil {
		return s.Model, nil
	}
	if m.BaseModel == "" {
		return "", hint.Wrap(fmt.Errorf("prompt %s does not say which model it is for", path), "name it with --model")
	}
	return m.BaseModel, nil
}

// pinned returns the settings with a model on the hub named by its commit.
func pinned(s Settings, revision string) Settings {
	if hub.IsCommit(revision) {
		name, _, _ := strings.Cut(s.Model, "@")
		s.Model = name + "@" + revision
	}
	return s
}

// promptTask returns the task that a prompt answers, with its template and
// label words.
func promptTask(m prompt.Meta, opts PredictOptions) (*tasks.Task, error) {
	name, template, words := m.Task, m.Template, m.Verbalizer
	if opts.Task != "" && opts.Task != m.Task {
		name, template, words = opts.Task, "", ""
	}
	if name == "" {
		return nil, hint.Wrap(fmt.Errorf("it does not say which task it is for"), "name it with --task")
	}
	t, err := metaTask(m)
	if name != m.Task {
		t, err = tasks.Open(name, opts.Data)
	}
	if err != nil {
		return nil, err
	}
	if opts.Template != "" {
		template = opts.Template
	}
	if opts.Verbalizer != "" {
		words = opts.Verbalizer
	}
	var v tasks.Verbalizer
	if words != "" {
		if v, err = t.ParseWords(words); err != nil {
			return nil, err
		}
	}
	return t.With(tasks.Template(template), v)
}

// Prediction is the answer to one text.
type Prediction struct {
	Text  string `json:"text"`
	Label string `json:"label"`
	// Probabilities of the labels among themselves, in the task's order.
	Probabilities []float64 `json:"probabilities"`
	Labels        []string  `json:"labels"`
	Cut           bool      `json:"cut,omitempty"` // the text was longer than allowed
}

// rows turns bare texts into rows.
func (p *Predictor) rows(ctx context.Context, texts []string) ([]Row, error) {
	examples := make([]tasks.Example, len(texts))
	for i, text := range texts {
		var err error
		if examples[i], err = p.Task.TextExample(text); err != nil {
			return nil, fmt.Errorf("text %d: %w", i+1, err)
		}
		examples[i].ID, examples[i].Index = fmt.Sprint("text ", i+1), i
	}
	return p.encodeFor(ctx, p.judge, examples)
}

// Predict ranks the labels for each text.
func (p *Predictor) Predict(ctx context.Context, texts []string) ([]Prediction, error) {
	if !p.Task.HasWords() {
		return nil, hint.Wrap(fmt.Errorf("predicting: no words stand for the classes of task %s", p.Task.Name), "let the model write: softprompt generate")
	}
	rows, err := p.rows(ctx, texts)
	if err != nil {
		return nil, err
	}
	scores, err := p.Classes(ctx, p.bank, p.judge, rows)
	if err != nil {
		return nil, err
	}
	out := make([]Prediction, len(texts))
	for i, s := range scores {
		out[i] = Prediction{Text: texts[i], Labels: p.Task.Labels, Probabilities: softmax(s), Cut: rows[i].Cut}
		if c := tasks.Best(s); c >= 0 {
			out[i].Label = p.Task.Labels[c]
		}
	}
	return out, nil
}

// softmax turns log-probabilities of some answers into shares that sum to 1.
func softmax(scores []float64) []float64 {
	top, sum := math.Inf(-1), 0.0
	for _, s := range scores {
		top = max(top, s)
	}
	out := make([]float64, len(scores))
	for i, s := range scores {
		out[i] = math.Exp(s - top)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// Write generates text for each input.
func (p *Predictor) Write(ctx context.Context, texts []string, opts GenerateOptions) ([]string, error) {
	rows, err := p.rows(ctx, texts)
	if err != nil {
		return nil, err
	}
	if opts.MaxTokens == 0 {
		opts.MaxTokens = p.judge.MaxTarget
	}
	found, err := p.Generate(ctx, p.bank, rows, opts)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(found))
	for i, g := range found {
		out[i] = p.Tokenizer.Decode(g.IDs)
	}
	return out, nil
}

// ScoreSplit evaluates a split of the task, by rank classification and, if asked
// for, by generation too.
func (p *Predictor) ScoreSplit(ctx context.Context, split tasks.Split, from tasks.LoadOptions, generate bool) (*Evaluation, error) {
	examples, err := p.Task.Load(ctx, split, from)
	if err != nil {
		return nil, err
	}
	rows, err := p.encodeFor(ctx, p.judge, examples)
	if err != nil {
		return nil, err
	}
	ev, err := p.Evaluate(ctx, p.bank, p.judge, rows)
	if err != nil || !generate || !ev.Ranked {
		return ev, err
	}
	ev.Generated, err = p.EvaluateGenerated(ctx, p.bank, p.judge, rows)
	return ev, err
}

// Close frees the sessions and the model.
func (p *Predictor) Close() {
	if p.bank != nil {
		p.bank.Close()
	}
	if p.Frozen != nil {
		p.Frozen.Close()
		p.Model.Close()
	}
}
