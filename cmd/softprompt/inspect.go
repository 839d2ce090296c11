package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"softprompt/export"
	"softprompt/onnx/hint"
	"softprompt/prompt"
	"softprompt/prompt/tune"
)

// inspectCmd shows what a prompt is.
type inspectCmd struct {
	Dir   string `arg:"" help:"A run folder, an adapter folder of PEFT or DePT, or a prompt's .safetensors or .npy file."`
	Model string `placeholder:"M" help:"A model in place of the one that the prompt names."`
	Top   int    `default:"5" placeholder:"N" help:"Words to show for each vector. (${default})"`
}

// Help has the examples.
func (inspectCmd) Help() string {
	return `The nearest words are those of the model's vocabulary with the largest cosine.

    softprompt inspect runs/sst2
    softprompt inspect prompt.npy --model tiny --top 3 --json`
}

// word is a word of the vocabulary near a vector.
type word struct {
	ID     int     `json:"id"`
	Text   string  `json:"text"`
	Cosine float32 `json:"cosine"`
}

// vector is one row of a prompt.
type vector struct {
	Norm  float64 `json:"norm"`
	Words []word  `json:"words,omitempty"`
}

// inspection is the JSON form of what is shown.
type inspection struct {
	Prompt  string   `json:"prompt"`
	Method  string   `json:"method"`
	Facts   []fact   `json:"facts"`
	Tensors []tensor `json:"tensors"`
	Vectors []vector `json:"vectors"`
}

// tensor is one of what was tuned.
type tensor struct {
	Name  string  `json:"name"`
	Shape []int64 `json:"shape"`
	RMS   float64 `json:"rms"`
}

// rms is the root of the mean square of values.
func rms(values []float32) float64 {
	sum := 0.0
	for _, v := range values {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / math.Max(1, float64(len(values))))
}

// fact is something that the prompt says about itself.
type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Run shows.
func (c *inspectCmd) Run(ctx context.Context, ui *tui) error {
	if c.Top < 0 {
		return usagef("--top is %d, want 0 or more", c.Top)
	}
	p, err := prompt.LoadFile(c.Dir)
	if err != nil {
		return err
	}
	out := inspection{Prompt: c.Dir, Method: p.Method, Facts: facts(p.Meta)}
	for _, t := range p.Tensors {
		out.Tensors = append(out.Tensors, tensor{t.Name, t.Shape, rms(t.Data)})
	}
	rows, _, width, err := p.Matrix()
	if err != nil { // it is no matrix, and so near no words
		rows, width = nil, 1
	}
	for _, n := range prompt.Norms(rows, width) {
		out.Vectors = append(out.Vectors, vector{Norm: n})
	}
	if c.Top > 0 && rows != nil {
		if err := c.words(ctx, ui, p, rows, out.Vectors); err != nil {
			ui.warn("without the nearest words: %v", err)
			if h := hint.Of(err); h != "" {
				ui.line("hint: ", "%s", h)
			}
		}
	}
	if ui.json {
		return ui.emit(out)
	}
	ui.showInspection(out)
	return nil
}

// words finds the nearest words of each vector.
func (c *inspectCmd) words(ctx context.Context, ui *tui, p *prompt.Prompt, rows []float32, vectors []vector) error {
	ref := c.Model
	if ref == "" {
		var err error
		if ref, err = tune.ModelOf(c.Dir, p); err != nil {
			return err
		}
	}
	m, err := export.Open(ctx, ref, ui.opening())
	if err != nil {
		return err
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		return err
	}
	fp, err := m.Fingerprint()
	if err != nil {
		return err
	}
	if err := p.CheckModel(fp, m.Config, tok.Hash()); err != nil {
		return err
	}
	row, _, err := m.Embedding()
	if err != nil {
		return err
	}
	// The table has rows beyond the tokenizer's words that stand for nothing.
	table := prompt.Embeddings{Rows: tok.VocabSize(), Row: row}
	near, err := prompt.Neighbours(rows, m.Config.DModel, table, c.Top)
	if err != nil {
		return err
	}
	for i, list := range near {
		for _, n := range list {
			text := tok.Decode([]int64{int64(n.ID)})
			if text == "" { // a special token
				text = fmt.Sprintf("<%d>", n.ID)
			}
			vectors[i].Words = append(vectors[i].Words, word{n.ID, text, n.Cosine})
		}
	}
	return nil
}

// facts lists what a prompt's metadata says, what is not said left out.
func facts(m prompt.Meta) []fact {
	var out []fact
	add := func(name string, format string, args ...any) {
		out = append(out, fact{name, fmt.Sprintf(format, args...)})
	}
	text := func(name, value string) {
		if value != "" {
			add(name, "%s", value)
		}
	}
	if m.Length > 0 {
		add("size", "%d vectors of width %d", m.Length, m.DModel)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Sizes)) {
		add(name, "%d", m.Sizes[name])
	}
	text("placement", m.Placement)
	text("visibility", m.Visibility)
	model := m.BaseModel
	if m.Revision != "" {
		model += "@" + m.Revision
	}
	text("model", model)
	text("task", m.Task)
	text("template", m.Template)
	text("label words", m.Verbalizer)
	if m.MaxInput > 0 {
		add("lengths", "input %d tokens, target %d", m.MaxInput, m.MaxTarget)
	}
	text("start", m.Init)
	if m.ScoreName != "" {
		add("score", "%.2f %s, at step %d", m.Score, m.ScoreName, m.Step)
		add("seed", "%d", m.Seed)
	}
	text("made by", m.Version)
	text("fingerprint", m.Fingerprint)
	text("tokenizer", m.TokenizerHash)
	return out
}

// showInspection prints the tables.
func (ui *tui) showInspection(in inspection) {
	rows := []string{cells("prompt", in.Prompt), cells("method", in.Method)}
	for _, f := range in.Facts {
		rows = append(rows, cells(f.Name, short(f.Value)))
	}
	if len(in.Tensors) > 1 || len(in.Vectors) == 0 {
		for _, t := range in.Tensors {
			rows = append(rows, cells("tensor", fmt.Sprintf("%s %v, rms %.3g", t.Name, t.Shape, t.RMS)))
		}
	}
	if len(in.Vectors) == 0 {
		rows = append(rows, cells("words", "none: this method has no vectors in the space of the embeddings"))
		ui.table(rows...)
		return
	}
	norms := make([]float64, len(in.Vectors))
	sum := 0.0
	for i, v := range in.Vectors {
		norms[i] = v.Norm
		sum += v.Norm
	}
	slices.Sort(norms)
	rows = append(rows, cells("norms", fmt.Sprintf("%.2f to %.2f, mean %.2f, median %.2f",
		norms[0], norms[len(norms)-1], sum/math.Max(1, float64(len(norms))), norms[len(norms)/2])))
	ui.table(rows...)
	ui.printf("\n")
	rows = []string{cells("vector", "norm", "nearest words")}
	for i, v := range in.Vectors {
		var words []string
		for _, w := range v.Words {
			words = append(words, fmt.Sprintf("%q %.2f", w.Text, w.Cosine))
		}
		rows = append(rows, cells(i, fmt.Sprintf("%.2f", v.Norm), strings.Join(words, "  ")))
	}
	ui.table(rows...)
}
