package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"softprompt/models"
)

// Explain says, a line each, what the model is made from and which way was
// taken: for a checkpoint its format, for an exported ONNX model how each
// weight was found, or why its graphs are used as they stand and what was done
// to them.
func (m *Model) Explain() []string { return slices.Clone(m.notes) }

func (m *Model) explain(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

// explainCheckpoint describes files of weights.
func (m *Model) explainCheckpoint() {
	what := m.Files.Weights[0]
	if n := len(m.Files.Weights) - 1; n > 0 {
		what = fmt.Sprintf("%s with %d shards", what, n)
	}
	m.explain("%s checkpoint: %s", m.Files.Format, what)
	types := map[models.DType]int{}
	for _, name := range m.Checkpoint.Names() {
		info, _ := m.Checkpoint.Lookup(name)
		types[info.DType]++
	}
	var parts []string
	for _, t := range slices.Sorted(maps.Keys(types)) {
		parts = append(parts, fmt.Sprintf("%d %s", types[t], t))
	}
	m.explain("route: softprompt's own graphs with these weights")
	m.explain("tensors: %s", strings.Join(parts, ", "))
	m.explainHead()
}

// explainHead says which weight makes logits.
func (m *Model) explainHead() {
	head := "its own, lm_head.weight"
	if m.Config.TieWordEmbeddings {
		head = "tied to the embedding"
	}
	if m.Config.ScaleDecoderOutputs {
		head += ", of states scaled by d_model^-0.5"
	}
	m.explain("head: %s", head)
}

// list joins the names of files.
func list(names []string) string { return strings.Join(names, ", ") }
