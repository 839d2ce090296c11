package export

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"

	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// Exported graphs as they stand: the encoder and the decoder of [Spec.Graphs]
// take the place of stack.go's, between the embeddings, which a method may
// change, and the logits, which the losses read.

// checkGraphs refuses what an exported model's own graphs cannot give.
func (s Spec) checkGraphs(graph string) error {
	refuse := func(what, advice string) error {
		return hint.Wrap(fmt.Errorf("exporting graph %s%s: %s", graph, s.source(), what), "%s", advice)
	}
	const recover = "use the checkpoint that it was exported from, or let its weights be recovered"
	switch m := s.Method; {
	case s.Weights != nil:
		return errors.New("exporting a graph: the spec has both weights and graphs")
	case graph == "encode" || graph == "decode":
		return refuse("answers are generated with a cache, which they are not used with", "choose among answers, or "+recover)
	case s.Dropout:
		return refuse("they have no dropout", "train with --dropout 0, or "+recover)
	case m == nil:
	case m.EncoderMask != nil, m.LayerInput != nil, m.KeysValues != nil, m.Hidden != nil, m.Weight != nil:
		return refuse(fmt.Sprintf("method %s reaches inside the layers, which have no names there", m.Name), "use prompt tuning, or "+recover)
	}
	if graph != "train" {
		return nil
	}
	return s.Graphs.Differentiable()
}

// source says for errors which files a graph is made from, if they are exported
// ones.
func (s Spec) source() string {
	if s.Graphs == nil {
		return ""
	}
	return fmt.Sprintf(" from %s and %s as they stand", s.Graphs.EncoderFile, s.Graphs.DecoderFile)
}

// exportedEmbedding looks token ids [B,S] up in the encoder's table: [B,S,d].
func (g *t5) exportedEmbedding(ids string) string {
	e := g.Graphs.Embedding
	e.Table = g.placed(e.Table, "shared.weight")
	return e.Lookup(g.Builder, e.Table.Name, ids)
}

// exportedEncoder returns the states [B,E,d] of embeddings [B,E,d] under a mask
// [B,E].
func (g *t5) exportedEncoder(emb, mask string) string {
	m := g.Graphs.Encoder
	g.at("encoder", -1, "")
	return g.splice(m, map[string]string{
		"inputs_embeds": emb, "attention_mask": g.asInput(m, "attention_mask", mask),
	}, "last_hidden_state")
}

// exportedDecoder is [t5.teacherForced] with the exported decoder, which makes
// its keys and values for each candidate anew.
func (g *t5) exportedDecoder(states, mask, labels string) string {
	m := g.Graphs.Decoder
	g.at("decoder", -1, "")
	if g.row != "" {
		states, mask = g.Gather(states, g.row, 0), g.Gather(mask, g.row, 0)
	}
	return g.splice(m, map[string]string{
		"input_ids": g.asInput(m, "input_ids", g.shiftRight(labels)), "encoder_hidden_states": states,
		"encoder_attention_mask": g.asInput(m, "encoder_attention_mask", mask),
	}, "logits")
}

// asInput casts x to the type that a model's input of that name has.
func (g *t5) asInput(m *onnx.Model, name, x string) string {
	for _, v := range m.Graph.Inputs {
		if v.Name == name {
			return g.Cast(x, v.Type)
		}
	}
	return x
}

// splice copies a model into the graph, with given values for its inputs, and
// returns the value of one of its outputs. Names get the stack before them,
// with a colon, which no name of a builder has at that place.
func (g *t5) splice(m *onnx.Model, inputs map[string]string, output string) string {
	stack := g.site.Stack
	name := func(x string) string {
		if given, ok := inputs[x]; ok {
			return given
		}
		if x == "" {
			return ""
		}
		return stack + ":" + x
	}
	g.Model.IRVersion = max(g.Model.IRVersion, m.IRVersion)
	for domain, version := range m.Opset {
		g.Model.Opset[domain] = max(g.Model.Opset[domain], version)
	}
	shared := map[string]string{}
	for _, t := range m.Graph.Initializers {
		if twin := g.twin(t); twin != "" {
			shared[t.Name] = twin
			continue
		}
		g.Weight(g.placed(t, name(t.Name)))
	}
	for x, twin := range shared {
		inputs[x] = twin
	}
	for _, n := range m.Graph.Nodes {
		c := *n
		c.Name, c.Block = name(n.Name), blockOf(stack, n.Name)
		c.Inputs, c.Outputs = make([]string, len(n.Inputs)), make([]string, len(n.Outputs))
		for i, x := range n.Inputs {
			c.Inputs[i] = name(x)
		}
		for i, y := range n.Outputs {
			c.Outputs[i] = name(y)
		}
		g.Append(&c)
	}
	return name(output)
}

// placed returns a weight of an exported model under a name. If it lies in a
// file beside the model it is left there, as our own weights are, so that models
// of any size can be used. Small constants are needed in the graph, and the
// runtime wants elements at multiples of their size.
func (g *t5) placed(t *onnx.Tensor, name string) *onnx.Tensor {
	const small = 1 << 10
	c := *t
	c.Name = name
	if len(t.Data) == 0 {
		return &c
	}
	g.spliced[&t.Data[0]] = &c
	path, offset, ok := g.Graphs.Beside(t)
	if !ok || len(t.Data) < small || offset%int64(t.Type.Size()) != 0 || g.folder != "" && g.folder != filepath.Dir(path) {
		return &c
	}
	g.folder = filepath.Dir(path)
	g.Model.Dir = g.folder
	c.Data, c.External = nil, &onnx.External{Location: filepath.Base(path), Offset: offset, Length: int64(len(t.Data))}
	return &c
}

// twin returns the weight in the graph that lies in the same memory as t and is
// of the same shape, "" if there is none.
func (g *t5) twin(t *onnx.Tensor) string {
	if len(t.Data) == 0 {
		return ""
	}
	o := g.spliced[&t.Data[0]]
	if o == nil || o.Type != t.Type || !o.Shape().Same(t.Shape()) {
		return ""
	}
	return o.Name
}

// layerName finds a layer in the names that PyTorch's exporter gives to nodes:
// /decoder/block.0/layer.1/EncDecAttention/q/MatMul.
var layerName = regexp.MustCompile(`block\.(\d+)/layer\.(\d)`)

// blockOf returns the block of an exported node as our own nodes name theirs.
func blockOf(stack, node string) string {
	parts := map[string][]string{
		"encoder": {"self-attention", "feed-forward"},
		"decoder": {"self-attention", "cross-attention", "feed-forward"},
	}[stack]
	found := layerName.FindStringSubmatch(node)
	if found == nil {
		return stack
	}
	block := stack + "." + found[1]
	if i := int(found[2][0] - '0'); i < len(parts) {
		block += "." + parts[i]
	}
	return block
}
