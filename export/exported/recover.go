package exported

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"softprompt/models"
	"softprompt/onnx"
)

// Recovery says where the weights of a T5 lie in its exported graphs. Graphs
// that [Recover] accepts compute what a T5 of the configuration computes, so
// that the weights are all there is to them.
type Recovery struct {
	// Config is the configuration given, with the scaling of the head as the
	// graphs have it.
	Config models.Config
	// Notes say what was found and how, a line each.
	Notes []string

	weights []weight
	// same are pairs of weights that must be equal: each graph has its own
	// copy of the embedding.
	same []weight
	read []*onnx.Model
}

// weight is a weight and where it comes from.
type weight struct {
	models.Weight
	*source
}

const (
	sharedWeight = "shared.weight"
	headWeight   = "lm_head.weight"
)

// RecoverFiles reads the encoder and the decoder of an exported model and
// finds its weights. The caller closes the result. An error says why the
// graphs are no T5 that could be built anew.
func RecoverFiles(ctx context.Context, m *models.Model) (_ *Recovery, err error) {
	t := &T5{}
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	if m.Files.Format != models.ONNX || len(m.Files.Weights) < 2 {
		return nil, fmt.Errorf("recovering weights from %s: it is no exported model", m.Dir)
	}
	var graphs []*onnx.Model
	var notes []string
	for i, as := range []role{encoder, decoder} {
		p, err := t.open(ctx, m, m.Files.Weights[i], as)
		if err != nil {
			return nil, err
		}
		p.note("opset %d, written by %s, nodes: %d", p.model.Opset[""], cmp.Or(p.model.Producer, "nobody who says so"), len(p.model.Graph.Nodes))
		if err := p.settle(); err != nil {
			return nil, err
		}
		if n := len(p.model.Graph.Outputs) - 1; n > 0 {
			p.note("left out %d outputs besides %s", n, p.gives.Name)
		}
		notes = append(notes, p.notes...)
		p.model.Graph.Outputs = []onnx.Value{p.gives}
		p.prune()
		graphs = append(graphs, p.model)
	}
	r, err := Recover(m.Config, graphs[0], graphs[1])
	if err != nil {
		return nil, err
	}
	r.read, r.Notes = t.read, append(notes, r.Notes...)
	return r, nil
}

// Close releases the files that RecoverFiles opened.
func (r *Recovery) Close() error { return (&T5{read: r.read}).Close() }

// Recover finds the weights of a T5 of this configuration in the graphs of its
// encoder (its output last_hidden_state) and its decoder (logits), which hold
// no branches. It goes by structure: from the output back to the token ids,
// along the parts of a T5, each of which must compute what it is to compute.
// Names are only a check. The error names the first thing on the way that is
// none of a T5.
func Recover(config models.Config, encoder, decoder *onnx.Model) (*Recovery, error) {
	r := &Recovery{Config: config}
	var enc, dec *walk
	var err error
	if enc, err = start(config, "encoder", encoder); err != nil {
		return nil, err
	}
	if dec, err = start(config, "decoder", decoder); err != nil {
		return nil, err
	}
	if err := enc.run(func(out string) (string, error) { return out, nil }); err != nil {
		return nil, err
	}
	if err := dec.run(func(logits string) (states string, err error) {
		states, r.Config.ScaleDecoderOutputs, err = dec.head(logits)
		return states, err
	}); err != nil {
		return nil, err
	}
	r.Config.ScaleStated = true
	r.collect(enc, dec)
	return r, nil
}

// start prepares the walk through a graph.
func start(config models.Config, part string, m *onnx.Model) (*walk, error) {
	if err := onnx.Validate(m); err != nil {
		return nil, fmt.Errorf("recovering the %s's weights: %w", part, err)
	}
	return newWalk(config, part, newView(m)), nil
}

// outputs are what exporters call the output of each part.
var outputs = map[string]string{"encoder": "last_hidden_state", "decoder": "logits"}

// run walks from the graph's output, behind what top takes off, to its ids.
func (w *walk) run(top func(output string) (states string, err error)) error {
	fail := func(err error) error { return fmt.Errorf("recovering the %s's weights: %w", w.part, err) }
	out := outputs[w.part]
	if !slices.ContainsFunc(w.model.Graph.Outputs, func(v onnx.Value) bool { return v.Name == out }) {
		return fail(fmt.Errorf("the graph has no output %s", out))
	}
	states, err := top(out)
	if err == nil {
		err = w.stack(states)
	}
	if err == nil {
		err = w.leftovers(out)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// leftovers looks for constants that the output depends on and that are none
// of the weights found.
func (w *walk) leftovers(output string) error {
	seen := map[string]bool{}
	stack := []string{output}
	for len(stack) > 0 {
		value := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[value] {
			continue
		}
		seen[value] = true
		m := w.maker(value)
		for _, in := range m.Inputs {
			if t := w.consts[in]; t != nil && w.used[t] == "" && weighs(t) {
				return fmt.Errorf("%v reads %s %v%v, which is no weight of a T5", m.Node, in, t.Type, t.Dims)
			}
			stack = append(stack, in)
		}
	}
	return nil
}

// weighs tells constants that may be weights from those of arithmetic on
// shapes and masks.
func weighs(t *onnx.Tensor) bool {
	return t.Len() > 1 && (t.Type.IsFloat() || (t.Type == onnx.Int8 || t.Type == onnx.Uint8) && len(t.Dims) > 1)
}

// collect lists the weights in the order of [models.WeightShapes].
func (r *Recovery) collect(enc, dec *walk) {
	for _, want := range models.WeightShapes(r.Config) {
		walk := enc
		if strings.HasPrefix(want.Name, "decoder.") || want.Name == headWeight {
			walk = dec
		}
		r.weights = append(r.weights, weight{want, walk.weights[want.Name]})
	}
	if other := dec.weights[sharedWeight]; other.tensor != r.weights[0].tensor {
		r.same = append(r.same, weight{r.weights[0].Weight, other})
	}
	r.note(enc)
	r.note(dec)
	if slices.ContainsFunc(r.weights, func(w weight) bool { return w.quantum != nil }) {
		r.Notes = append(r.Notes, "quantised weights became float32 numbers; nothing else is quantised then, so answers differ a little from the exported graphs'")
	}
}

// note says what was found in one graph.
func (r *Recovery) note(w *walk) {
	agree, silent := 0, 0
	var against []string
	kinds, readers := map[string]int{}, map[*onnx.Tensor]int{}
	for _, s := range w.weights {
		readers[s.tensor]++
	}
	for _, name := range sortedKeys(w.weights) {
		s := w.weights[name]
		switch said := saidName(s, readers[s.tensor] == 1); {
		case said == "":
			silent++
		case strings.HasSuffix(name, said), said == headWeight && name == sharedWeight, said == sharedWeight && name == headWeight:
			agree++ // a tied weight goes by either name
		default:
			against = append(against, fmt.Sprintf("%s, found as %s", s.node, name))
		}
		kinds[s.kind()]++
	}
	var how []string
	for _, kind := range sortedKeys(kinds) {
		how = append(how, fmt.Sprintf("%d %s", kinds[kind], kind))
	}
	layers := r.Config.NumLayers
	if w.part == "decoder" {
		layers = r.Config.NumDecoderLayers
	}
	names := "every name agrees"
	if silent > 0 {
		names = fmt.Sprintf("names agree for %d and say nothing of %d", agree, silent)
	}
	if len(against) > 0 {
		names += fmt.Sprintf(", and speak against %d (%s)", len(against), against[0])
	}
	r.Notes = append(r.Notes, fmt.Sprintf("%s: %d weights in layers 0 to %d found by structure (%s); %s",
		w.part, len(w.weights), layers-1, strings.Join(how, ", "), names))
	r.Notes = append(r.Notes, w.notes...)
}

// scope matches what exporters keep of a weight's name in that of its node:
// /block.0/layer.1/DenseReluDense/wi_0/MatMul.
var scope = regexp.MustCompile(`block\.\d+\.layer\.\d+\.(?:(?:SelfAttention|EncDecAttention|DenseReluDense)\.(?:q|k|v|o|wi|wi_0|wi_1|wo|relative_attention_bias)|layer_norm)(?:\.|$)|final_layer_norm|lm_head|embed_tokens|shared`)

// saidName returns the end of the weight's name as the node's name says it, or
// "". A constant's own name says less: writers join equal constants, and then
// it is that of one of many.
func saidName(s *source, alone bool) string {
	names := []string{s.node}
	if alone {
		names = append(names, s.tensor.Name)
	}
	for _, name := range names {
		said := scope.FindString(strings.ReplaceAll(name, "/", "."))
		switch said = strings.TrimSuffix(said, "."); said {
		case "":
			continue
		case "embed_tokens", "shared":
			return sharedWeight
		}
		return said + ".weight"
	}
	return ""
}

// kind says how a weight is stored.
func (s *source) kind() string {
	kind := s.tensor.Type.String()
	if s.quantum != nil && s.quantum.bits != 0 {
		kind = fmt.Sprintf("%d bits in blocks of %d", s.quantum.bits, s.quantum.block)
	} else if s.quantum != nil && s.quantum.axis >= 0 {
		kind += " by channel"
	}
	if s.turned {
		kind += " [in,out]"
	}
	return kind
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
