package export

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

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
	// LongTargets says that targets of more than d_kv tokens are usual: the
	// train and score graphs then compute cross-attention as generation does
	// (see cross.go).
	LongTargets bool
	// Embeds replaces input_ids by inputs_embeds [B,P+S,d]: the caller looks
	// up embeddings and places the prompt. The gradient is that of
	// inputs_embeds, and the method must be nil.
	Embeds bool
	// Precision is that of the products; "" is [FP32].
	Precision Precision
	// Int8 has the weights for [INT8], as models.Model.Int8File returns them.
	Int8 *models.Checkpoint
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
	row     string            // the encoder row [N] of each decoder row, "" when they are the same
	index   string            // which prompt each decoder row [N] uses, "" when row is
	made    map[string]string // by prompt.Site.Once
}

// newGraph starts a graph of the given name.
func newGraph(name string, spec Spec) (*t5, error) {
	if spec.Weights == nil && spec.Graphs == nil {
		return nil, errors.New("exporting a graph: the spec has no weights")
	}
	if err := spec.checkHalf(name); err != nil {
		return nil, err
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
		made:    map[string]string{},
	}
	g.site = prompt.Site{B: g.Builder, Layer: -1, Made: g.made}
	return g, nil
}

// at moves to a place in the model: nodes and hooks made next belong there.
func (g *t5) at(stack string, layer int, part prompt.Part) {
	g.site = prompt.Site{B: g.Builder, Stack: stack, Layer: layer, Part: part, Made: g.made}
	if stack == "decoder" {
		g.site.Index = g.index
	}
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
	v := g.frozen(name, name, nil)
	if g.Method.Weight != nil {
		v = g.Method.Weight(&g.site, name, v)
	}
	g.loaded[name] = v
	return v
}

// frozen adds a weight to the graph, as external data in its own file, under the
// name as; dims are its sizes if they are to differ from the file's.
func (g *t5) frozen(name, as string, dims []int64) string {
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
	if dims == nil {
		dims = info.Shape
	}
	return g.Weight(&onnx.Tensor{
		Name: as, Type: onnx.Float32, Dims: dims,
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

// finish returns the graph in the precision and the operators that the spec
// asks for.
func (g *t5) finish() (*onnx.Model, error) {
	if err := g.Err(); err != nil {
		return nil, fmt.Errorf("exporting graph %s: %w", g.Model.Graph.Name, err)
	}
	g.dropUnread()
	return g.Spec.passes(g.Model)
}

// dropUnread leaves out what the method would feed or replace and no node
// reads: a prefix of the decoder's attention in the encode graph, a weight that
// is a trainable now.
func (g *t5) dropUnread() {
	read := map[string]bool{}
	for _, n := range g.Model.Graph.Nodes {
		for _, x := range n.Uses() {
			read[x] = true
		}
	}
	methods := map[string]bool{prompt.PromptIndex: true}
	for _, t := range g.Method.Trainables {
		methods[t.Input] = true
	}
	for _, v := range g.Method.Inputs {
		methods[v.Name] = true
	}
	graph := g.Model.Graph
	graph.Inputs = slices.DeleteFunc(graph.Inputs, func(v onnx.Value) bool { return methods[v.Name] && !read[v.Name] })
	graph.Initializers = slices.DeleteFunc(graph.Initializers, func(t *onnx.Tensor) bool { return !read[t.Name] })
}

// passes are what is done to a finished graph, gradient and all.
func (s Spec) passes(m *onnx.Model) (*onnx.Model, error) {
	var err error
	switch s.Precision {
	case "", FP32:
	case INT8:
		if s.Int8 == nil {
			return nil, fmt.Errorf("exporting graph %s: the spec has no weights in int8", m.Graph.Name)
		}
		m, err = toInt8(m, s.Int8)
	case FP16, BF16:
		m, err = toHalf(m, s.Precision)
	default:
		err = fmt.Errorf("exporting graph %s: there is no precision %q", m.Graph.Name, s.Precision)
	}
	if err != nil {
		return nil, err
	}
	if s.Standard {
		return Lower(m)
	}
	return m, nil
}
