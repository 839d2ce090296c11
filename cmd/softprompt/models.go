package main

import (
	"context"
	"fmt"
	"strings"

	"softprompt/export"
)

// modelsCmd shows models.
type modelsCmd struct {
	List   modelsListCmd   `cmd:"" default:"withargs" help:"List the models, and what of them is on this machine."`
	Show   modelsShowCmd   `cmd:"" help:"Show a model's sizes and how its files are read."`
	Pull   modelsPullCmd   `cmd:"" help:"Download models."`
	Params modelsParamsCmd `cmd:"" help:"Count what each method tunes: the paper's table 4 and figure 4."`
}

// model is the JSON form of a model.
type model struct {
	Name          string `json:"name"`
	Revision      string `json:"revision,omitempty"`
	Folder        string `json:"folder"`
	Type          string `json:"type"`
	Parameters    int64  `json:"parameters"`
	DModel        int    `json:"d_model"`
	DFF           int    `json:"d_ff"`
	DKV           int    `json:"d_kv"`
	Heads         int    `json:"heads"`
	Layers        int    `json:"encoder_layers"`
	DecoderLayers int    `json:"decoder_layers"`
	Vocabulary    int    `json:"vocabulary"` // rows of the embedding
	Words         int    `json:"words"`      // ids that the tokenizer knows
	Activation    string `json:"activation"`
	Gated         bool   `json:"gated"`
	Tied          bool   `json:"tied_head"`
	Weights       string `json:"weights"` // element type in the file
	Fingerprint   string `json:"fingerprint"`
	TokenizerHash string `json:"tokenizer"`

	Explain []string `json:"explain"` // how its files are read
}

// describe opens a model and reads off its sizes.
func describe(ctx context.Context, ui *tui, ref string) (model, error) {
	m, err := export.Open(ctx, ref, ui.opening())
	if err != nil {
		return model{}, err
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		return model{}, err
	}
	fp, err := m.Fingerprint()
	if err != nil {
		return model{}, err
	}
	weights := "its graphs"
	if m.Graphs == nil {
		embedding, _ := m.Checkpoint.Lookup("shared.weight")
		weights = string(embedding.DType)
	}
	c := m.Config
	return model{
		Name: m.Name, Revision: m.Revision, Folder: m.Dir, Type: c.ModelType, Parameters: m.Config.Parameters(),
		DModel: c.DModel, DFF: c.DFF, DKV: c.DKV, Heads: c.NumHeads, Layers: c.NumLayers, DecoderLayers: c.NumDecoderLayers,
		Vocabulary: c.VocabSize, Words: tok.VocabSize(), Activation: c.Activation, Gated: c.Gated, Tied: c.TieWordEmbeddings,
		Weights: weights, Fingerprint: fp.String(), TokenizerHash: tok.Hash(),
		Explain: m.Explain(),
	}, nil
}

type modelsShowCmd struct {
	Ref string `arg:"" name:"model" help:"tiny, a folder, or a name on the hub."`
}

// Help has the examples.
func (modelsShowCmd) Help() string {
	return `
    softprompt models show tiny
    softprompt models show google/flan-t5-small
    softprompt models show ./my-t5 --json`
}

// Run shows.
func (c *modelsShowCmd) Run(ctx context.Context, ui *tui) error {
	m, err := describe(ctx, ui, c.Ref)
	if err != nil {
		return err
	}
	if ui.json {
		return ui.emit(m)
	}
	head, feed := "its own", m.Activation
	if m.Tied {
		head = "the embedding"
	}
	if m.Gated {
		feed = "gated " + feed
	}
	name := m.Name
	if m.Revision != "" {
		name += "@" + m.Revision
	}
	ui.table(
		cells("model", name),
		cells("folder", m.Folder),
		cells("type", m.Type+", "+m.Weights),
		cells("parameters", count(m.Parameters)),
		cells("layers", fmt.Sprintf("%d encoder, %d decoder", m.Layers, m.DecoderLayers)),
		cells("width", fmt.Sprintf("%d, %d heads of %d, feed-forward %d (%s)", m.DModel, m.Heads, m.DKV, m.DFF, feed)),
		cells("vocabulary", fmt.Sprintf("%s rows, %s words", count(int64(m.Vocabulary)), count(int64(m.Words)))),
		cells("head", head),
		cells("fingerprint", short(m.Fingerprint)),
		cells("tokenizer", m.TokenizerHash),
	)
	ui.printf("\n%s\n", strings.Join(m.Explain, "\n"))
	return nil
}
