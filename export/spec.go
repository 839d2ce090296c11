package export

import (
	"errors"
	"fmt"
	"path/filepath"

	"softprompt/export/exported"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/prompt"
)

// Spec says which graph of which model is wanted.
type Spec struct {
	Config models.Config
	// Weights are the model's, all float32 and in files of one folder, as
	// models.Model.Float32File returns them.
	Weights *models.Checkpoint
	// Graphs are an exported model's own, in place of Weights: [Train] and
	// [Score] use its encoder and decoder as they stand. A method can then
	// reach the input embeddings, and there is no dropout.
	Graphs *exported.T5
	// Method adapts the model; nil leaves it as it is.
	Method *prompt.Method
	// Prompt is built into the graph, if it is not nil: what the method
	// trains becomes a constant, and its inputs are gone.
	Prompt *prompt.Prompt
	// Dropout adds the inputs that carry dropout masks to a train graph.
	Dropout bool
	// ZLoss is the factor of (log Z)² in the loss; 0 leaves it out. The
	// paper's code has 1e-4.
	ZLoss float64
	// Rank trains on the choice among candidates, as a label is chosen, in
	// place of the target's tokens: see [Train].
	Rank bool
	// Embeds replaces input_ids by inputs_embeds [B,P+S,d]: the caller looks
	// up embeddings and places the prompt. The gradient is that of
	// inputs_embeds, and the method must be nil.
	Embeds bool
	// Precision is that of the products; "" is [FP32].
	Precision Precision
	// Recompute holds the values of one layer at a time for the gradient, and
	// computes them a second time: see [grad.Recompute].
	Recompute bool
	// Standard writes operators of the standard domain alone.
	Standard bool
}

// t5 is a graph of a T5 model under construction.
type t5 struct {
	*onnx.Builder
	Spec
	site   prompt.Site
	loaded map[string]string // weights by Hugging Face name
	folder string            // where the weights' files lie
	sites  map[string]int64  // dropout sites met so far by input, nil when the graph has none
	// spliced has the weights of exported graphs by their first byte.
	spliced map[*byte]*onnx.Tensor
	row     string // the encoder row of each decoder row, "" when they are the same
}

// newGraph starts a graph of the given name.
func newGraph(name string, spec Spec) (*t5, error) {
	if spec.Weights == nil && spec.Graphs == nil {
		return nil, errors.New("exporting a graph: the spec has no weights")
	}
	if spec.Graphs != nil {
		if err := spec.checkGraphs(name); err != nil {
			return nil, err
		}
	} else if activations[spec.Config.Activation] == nil {
		return nil, fmt.Errorf("exporting a graph: no activation named %q", spec.Config.Activation)
	}
	if spec.Embeds && spec.Method != nil {
		return nil, fmt.Errorf("exporting a graph: inputs_embeds and method %s exclude each other", spec.Method.Name)
	}
	if spec.Method == nil {
		spec.Method = &prompt.Method{Name: "none"}
	}
	g := &t5{
		Builder: onnx.NewBuilder(onnx.NewModel(name)),
		Spec:    spec,
		loaded:  map[string]string{},
		spliced: map[*byte]*onnx.Tensor{},
	}
	g.site = prompt.Site{B: g.Builder, Layer: -1}
	return g, nil
}

// at moves to a place in the model: nodes and hooks made next belong there.
func (g *t5) at(stack string, layer int, part prompt.Part) {
	g.site = prompt.Site{B: g.Builder, Stack: stack, Layer: layer, Part: part}
	g.Block = stack
	if layer >= 0 {
		g.Block = fmt.Sprintf("%s.%d", stack, layer)
	}
	if part != "" {
		g.Block += "." + string(part)
	}
}

// weight returns the value of a weight by its Hugging Face name, as the
// method's hook has it.
func (g *t5) weight(name string) string {
	if v, ok := g.loaded[name]; ok {
		return v
	}
	v := g.frozen(name)
	if g.Method.Weight != nil {
		v = g.Method.Weight(&g.site, name, v)
	}
	g.loaded[name] = v
	return v
}

// frozen adds a weight to the graph as external data in its own file.
func (g *t5) frozen(name string) string {
	info, ok := g.Weights.Lookup(name)
	if !ok {
		g.Fail(fmt.Errorf("exporting a graph: the checkpoint has no tensor %s", name))
		return ""
	}
	if info.DType != models.F32 {
		g.Fail(fmt.Errorf("exporting a graph: tensor %s in %s is %s, want F32", name, info.File, info.DType))
		return ""
	}
	folder := filepath.Dir(info.File)
	if g.folder == "" {
		g.folder = folder
		g.Model.Dir = folder
	}
	if folder != g.folder {
		g.Fail(fmt.Errorf("exporting a graph: weights lie in two folders, %s and %s", g.folder, folder))
		return ""
	}
	return g.Weight(&onnx.Tensor{
		Name: name, Type: onnx.Float32, Dims: info.Shape,
		External: &onnx.External{Location: filepath.Base(info.File), Offset: info.Offset, Length: info.Length},
	})
}

// linear returns x · Wᵀ for a weight [out,in]: [..,in] becomes [..,out].
func (g *t5) linear(x, name string) string {
	return g.FusedMatMul(x, g.weight(name), false, true, 1)
}

// norm returns T5's layer norm of x: no mean is subtracted and no bias added.
func (g *t5) norm(x, name string) string {
	y, _ := g.RMSNorm(x, g.weight(name), g.Config.LayerNormEpsilon)
	return y
}

// finish returns the model, lowered if the spec asks for it.
func (g *t5) finish() (*onnx.Model, error) {
	if err := g.Err(); err != nil {
		return nil, fmt.Errorf("exporting graph %s: %w", g.Model.Graph.Name, err)
	}
	if g.Standard {
		return Lower(g.Model)
	}
	return g.Model, nil
}
