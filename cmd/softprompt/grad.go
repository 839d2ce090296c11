package main

import (
	"context"
	"fmt"

	"softprompt/grad"
	"softprompt/onnx"
)

// gradCmd derives gradients.
type gradCmd struct {
	File     string   `arg:"" help:"An ONNX model."`
	Loss     string   `required:"" placeholder:"NAME" help:"The value to differentiate, of one element."`
	WRT      []string `name:"wrt" required:"" placeholder:"NAME" help:"The inputs, weights or interior values to differentiate in."`
	Out      string   `required:"" placeholder:"FILE" help:"Where to write the model with its gradient."`
	External bool     `help:"Put the weights into FILE_data."`
}

// Help has the examples.
func (gradCmd) Help() string {
	return `The model written has the outputs of the given one and grad.NAME for each NAME.

    softprompt grad model.onnx --loss loss --wrt prompt --out model-grad.onnx`
}

// Run derives.
func (c *gradCmd) Run(ctx context.Context, ui *tui) error {
	m, err := onnx.Load(ctx, c.File)
	if err != nil {
		return err
	}
	defer m.Close()
	out, err := grad.Reverse(m, c.Loss, c.WRT)
	if err != nil {
		return fmt.Errorf("model %s: %w", c.File, err)
	}
	save := out.Save
	if c.External {
		save = out.SaveExternal
	}
	if err := save(c.Out); err != nil {
		return err
	}
	gradients := out.Graph.Outputs[len(m.Graph.Outputs):]
	if ui.json {
		var names []string
		for _, v := range gradients {
			names = append(names, v.Name)
		}
		return ui.emit(map[string]any{"file": c.Out, "nodes": len(m.Graph.Nodes), "nodes_with_gradient": len(out.Graph.Nodes), "gradients": names})
	}
	ui.printf("%s: %d nodes, %d of them for the gradient\n", c.Out, len(out.Graph.Nodes), len(out.Graph.Nodes)-len(m.Graph.Nodes))
	for _, v := range gradients {
		ui.printf("  %s %v%v\n", v.Name, v.Type, v.Shape)
	}
	return nil
}
