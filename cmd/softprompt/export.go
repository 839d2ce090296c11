package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/prompt"
	"softprompt/prompt/tune"
)

// exportCmd writes ONNX graphs.
type exportCmd struct {
	From    string   `arg:"" name:"model|dir" help:"A model, or a run folder or prompt file: its model, with the prompt built into score, encode and decode."`
	Out     string   `placeholder:"DIR" help:"Folder to write to."`
	Explain bool     `help:"Say what the graphs are made from, and why. Without --out, that is all."`
	Route   string   `placeholder:"WAY" enum:"auto,graph" default:"auto" help:"Of an exported ONNX model: auto recovers its weights where that can be done; graph takes its graphs as they stand. (${default})"`
	Graph   []string `enum:"train,score,encode,decode" default:"train,score,encode,decode" placeholder:"NAMES" help:"Which graphs. (${default})"`
	Inputs  string   `placeholder:"KIND" enum:"ids,embeds" default:"ids" help:"Whether the graphs take input_ids, or the embedded input of a caller who places the prompt: ids or embeds. (${default})"`
	Ops     string   `placeholder:"KIND" enum:"auto,fused,standard" default:"auto" help:"ONNX Runtime's fused operators, or those of the ONNX standard alone: fused, standard, or auto for what --device has. (${default})"`
	Device  string   `default:"cpu" placeholder:"DEVICE" help:"Where the graphs will run: cpu, cuda, or the library of an execution provider. (${default})"`
	Method  string   `placeholder:"NAME" enum:"prompt-tuning,none" default:"prompt-tuning" help:"Of a model: which prompt the graphs take as input, prompt-tuning or none. (${default})"`
	Dropout bool     `help:"Give the train graph inputs for dropout masks."`
	ZLoss   float64  `default:"0.0001" placeholder:"R" help:"Factor of the z-loss in the train graph. (${default})"`
	Model   string   `placeholder:"M" help:"Of a prompt: a model in place of the one that it names."`
}

// Help has the examples.
func (exportCmd) Help() string {
	return `Writes <graph>.onnx for each graph, the weights that they share, config.json and
tokenizer.json. The folder needs nothing outside it.

    softprompt export tiny --out onnx/tiny
    softprompt export google/flan-t5-small --graph train,score --out onnx/flan
    softprompt export ./by-optimum --explain
    softprompt export runs/sst2 --graph score,encode,decode --out onnx/sst2
    softprompt export ./my-t5 --graph train --inputs embeds --ops standard --out onnx/mine`
}

// graphs has the function that makes each graph.
var graphs = map[string]func(export.Spec) (*onnx.Model, error){
	"train": export.Train, "score": export.Score, "encode": export.Encode, "decode": export.Decode,
}

// routes has the ways to open a model.
var routes = map[string]func(context.Context, string, models.Options) (*export.Model, error){
	"auto": export.Open, "graph": export.OpenGraphs,
}

// Run exports.
func (c *exportCmd) Run(ctx context.Context, ui *tui) error {
	if c.Out == "" && !c.Explain {
		return usagef("--out is missing: the folder to write to")
	}
	ref, baked, err := c.source()
	if err != nil {
		return err
	}
	if baked != nil && c.Inputs == "embeds" {
		return usagef("--inputs embeds leaves the prompt to the caller: give the model in place of the prompt")
	}
	m, err := routes[c.Route](ctx, ref, ui.opening())
	if err != nil {
		return err
	}
	defer m.Close()
	if c.Explain && (c.Out == "" || !ui.json) {
		if err := ui.explain(m.Explain()); err != nil || c.Out == "" {
			return err
		}
	}
	method, sizes := c.Method, prompt.Sizes{}
	if baked != nil {
		tok, err := m.Tokenizer()
		if err != nil {
			return err
		}
		fp, err := m.Fingerprint()
		if err != nil {
			return err
		}
		if err := baked.CheckModel(fp, m.Config, tok.Hash()); err != nil {
			return fmt.Errorf("prompt %s: %w", c.From, err)
		}
		method, sizes = baked.Method, baked.Sizes()
	}
	spec, err := m.Spec(ctx)
	if err != nil {
		return err
	}
	if spec.Standard, err = c.standard(ctx, ui); err != nil {
		return err
	}
	spec.Embeds, spec.Dropout, spec.ZLoss = c.Inputs == "embeds", c.Dropout, c.ZLoss
	if method != "none" && !spec.Embeds {
		if spec.Method, err = prompt.NewMethod(method, m.Config, sizes); err != nil {
			return err
		}
	}
	var made []*onnx.Model
	for _, name := range c.Graph {
		s := spec
		if name != "train" {
			s.Prompt, s.Dropout = baked, false
		}
		g, err := graphs[name](s)
		if err != nil {
			return err
		}
		made = append(made, g)
	}
	if err := export.WriteFolder(ctx, c.Out, m.Model, made...); err != nil {
		return err
	}
	if baked != nil { // what the graphs do not say: the template, the label words
		if err := prompt.Save(filepath.Join(c.Out, prompt.FileName), baked); err != nil {
			return err
		}
	}
	var explain []string
	if c.Explain {
		explain = m.Explain()
	}
	return ui.showGraphs(c.Out, made, explain)
}

// standard tells whether fused operators are to be left out. Only a provider's
// library has to be asked, and so only then the runtime is needed.
func (c *exportCmd) standard(ctx context.Context, ui *tui) (bool, error) {
	device, err := ort.ParseDevice(c.Device)
	if err != nil {
		return false, usageError{err}
	}
	if c.Ops != "auto" || device.Kind != "library" {
		return c.Ops == "standard", nil
	}
	rt, err := ort.Open(ort.Options{Log: ui.log})
	if err != nil {
		return false, err
	}
	return tune.NeedsStandard(ctx, rt, device)
}

// explain prints how a model was opened.
func (ui *tui) explain(lines []string) error {
	if ui.json {
		return ui.emit(map[string][]string{"explain": lines})
	}
	for _, l := range lines {
		ui.printf("%s\n", l)
	}
	return nil
}

// source finds out what is to be exported: a model, or a prompt and its model.
func (c *exportCmd) source() (ref string, p *prompt.Prompt, err error) {
	info, err := os.Stat(c.From)
	if err != nil || c.From == "tiny" { // a file of that name is ./tiny
		return c.From, nil, nil
	}
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(c.From, prompt.FileName)); err != nil {
			return c.From, nil, nil
		}
	}
	if p, err = prompt.LoadFile(c.From); err != nil {
		return "", nil, err
	}
	if ref = c.Model; ref == "" {
		ref, err = tune.ModelOf(c.From, p)
	}
	return ref, p, err
}

// signature is what a graph takes and gives, for JSON.
type signature struct {
	File    string   `json:"file"`
	Inputs  []string `json:"inputs"`
	Outputs []string `json:"outputs"`
}

// showGraphs prints what was written; explain is for JSON alone.
func (ui *tui) showGraphs(dir string, made []*onnx.Model, explain []string) error {
	var out []signature
	for _, m := range made {
		s := signature{File: filepath.Join(dir, m.Graph.Name+".onnx")}
		for _, v := range m.Graph.Inputs {
			s.Inputs = append(s.Inputs, fmt.Sprintf("%s %v%v", v.Name, v.Type, v.Shape))
		}
		for _, v := range m.Graph.Outputs {
			s.Outputs = append(s.Outputs, fmt.Sprintf("%s %v%v", v.Name, v.Type, v.Shape))
		}
		out = append(out, s)
	}
	switch {
	case ui.json && explain != nil:
		return ui.emit(map[string]any{"explain": explain, "graphs": out})
	case ui.json:
		return ui.emit(out)
	}
	for _, s := range out {
		ui.printf("%s\n  in   %s\n  out  %s\n", s.File, strings.Join(s.Inputs, "\n       "), strings.Join(s.Outputs, "\n       "))
	}
	return nil
}
