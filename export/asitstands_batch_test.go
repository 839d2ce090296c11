package export

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// checkpointOf describes the checkpoint that models were exported from.
func checkpointOf(t *testing.T, arch string) Spec {
	t.Helper()
	m, err := models.Open(t.Context(), filepath.Join("testdata", "arch", arch), models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	weights, err := m.Float32File(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Config: m.Config, Weights: weights, Method: prompt.PromptTuning(m.Config.DModel)}
}

// lengths is a batch of two prompts, the second padded on the left, over rows
// of different lengths, with three candidates a row: none of it as long as
// what the graphs were exported with.
func lengths(d, rows, text, promptLength int) map[string]*onnx.Tensor {
	ids, mask, index := make([]int64, rows*text), make([]int64, rows*text), make([]int64, rows)
	for i := range ids {
		row, at := i/text, i%text
		if at < text-row%3 {
			ids[i], mask[i] = int64(2+(i*7+row)%90), 1
		}
		index[row] = int64(row % 2)
	}
	prompts, promptMask := make([]float32, 2*promptLength*d), make([]float32, 2*promptLength)
	for i := range prompts {
		prompts[i] = float32((i*37)%23-11) / 9
	}
	for i := range promptMask {
		if i < promptLength || i >= promptLength+promptLength/2 {
			promptMask[i] = 1
		}
	}
	var candidates []int64
	right := make([]float32, rows*3)
	for row := range rows {
		for c := range 3 {
			candidates = append(candidates, int64(3+c*5), int64(9+row), 1)
			if c == 1 {
				candidates[len(candidates)-1] = -100
			}
			right[row*3+c] = float32(1 - min(1, (c+row)%3))
		}
	}
	weights := make([]float32, rows)
	for i := range weights {
		weights[i] = 1 / float32(i+1)
	}
	return map[string]*onnx.Tensor{
		"input_ids":      onnx.Longs("", []int64{int64(rows), int64(text)}, ids),
		"attention_mask": onnx.Longs("", []int64{int64(rows), int64(text)}, mask),
		"prompts":        onnx.Floats("", []int64{2, int64(promptLength), int64(d)}, prompts),
		"prompt_mask":    onnx.Floats("", []int64{2, int64(promptLength)}, promptMask),
		"prompt_index":   onnx.Longs("", []int64{int64(rows)}, index),
		"candidate_ids":  onnx.Longs("", []int64{int64(rows), 3, 3}, candidates),
		"right":          onnx.Floats("", []int64{int64(rows), 3}, right),
		"row_weights":    onnx.Floats("", []int64{int64(rows)}, weights),
	}
}

// only returns the inputs that a model has.
func only(m *onnx.Model, all map[string]*onnx.Tensor) map[string]*onnx.Tensor {
	in := map[string]*onnx.Tensor{}
	for _, v := range m.Graph.Inputs {
		in[v.Name] = all[v.Name]
	}
	return in
}

// TestExportedLengths: exported graphs and our own from the same weights give
// the same scores, losses and gradients, whatever the number of rows and the
// lengths of text and prompts, and whether prompts are padded.
func TestExportedLengths(t *testing.T) {
	for name, arch := range map[string]string{"t5-opset11": "t5", "t5-v1_1-merged": "t5-v1_1", "umt5": "umt5", "t5-optimized-extended": "t5"} {
		t.Run(name, func(t *testing.T) {
			theirs, ours := graphsOf(t, name), checkpointOf(t, arch)
			theirs.Rank, ours.Rank = true, true
			for _, size := range [][3]int{{1, 1, 1}, {3, 9, 4}, {4, 30, 2}, {2, 3, 40}} {
				in := lengths(ours.Config.DModel, size[0], size[1], size[2])
				for graph, build := range map[string]func(Spec) (*onnx.Model, error){"score": Score, "train": Train} {
					a, err := build(theirs)
					if err != nil {
						t.Fatal(err)
					}
					b, err := build(ours)
					if err != nil {
						t.Fatal(err)
					}
					got, want := orttest.Run(t, a, only(a, in)), orttest.Run(t, b, only(b, in))
					for output, y := range want {
						values, err := y.Float32s()
						if err != nil {
							t.Fatal(err)
						}
						close(t, fmt.Sprintf("%v %s %s", size, graph, output), got[output], values)
					}
				}
			}
		})
	}
}

// TestExportedHalf: a model exported in float16 trains as its weights say,
// which were rounded once.
func TestExportedHalf(t *testing.T) {
	exportedModels(t, map[string]bool{"fp16": true}, func(t *testing.T, spec Spec, g *golden) {
		m, err := Train(spec)
		if err != nil {
			t.Fatal(err)
		}
		out := orttest.Run(t, m, g.inputs(m))
		for name, want := range map[string]string{"loss": "loss", "grad.prompts": "grad"} {
			got, err := out[name].Float32s()
			if err != nil {
				t.Fatal(err)
			}
			if diff, scale := worst(got, g.want(want)); !(diff <= 1e-2*scale) {
				t.Errorf("%s differs by %.2g of %.3g", name, diff, scale)
			}
		}
	})
}

// TestExportedEmbeds: the gradient in the embeddings is there for who looks
// them up outside.
func TestExportedEmbeds(t *testing.T) {
	for _, name := range []string{"t5-opset18", "flan-t5"} {
		theirs, ours := graphsOf(t, name), checkpointOf(t, strings.TrimSuffix(name, "-opset18"))
		in := map[string]*onnx.Tensor{
			"inputs_embeds":  lengths(theirs.Config.DModel, 1, 1, 6)["prompts"],
			"attention_mask": onnx.Longs("", []int64{2, 6}, []int64{1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1}),
			"labels":         onnx.Longs("", []int64{2, 2}, []int64{5, 1, 7, -100}),
			"label_weights":  onnx.Floats("", []int64{2, 2}, []float32{1, 1, 1, 1}),
		}
		var out [2]map[string]*onnx.Tensor
		for i, spec := range []Spec{theirs, ours} {
			spec.Method, spec.Embeds, spec.ZLoss = nil, true, 1e-2
			m, err := Train(spec)
			if err != nil {
				t.Fatal(err)
			}
			out[i] = orttest.Run(t, m, in)
		}
		for output, y := range out[1] {
			want, err := y.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			close(t, name+" "+output, out[0][output], want)
		}
	}
}

// TestExportedStandard: what was exported in standard operators alone trains
// in them alone.
func TestExportedStandard(t *testing.T) {
	exportedModels(t, map[string]bool{"fp32": true}, func(t *testing.T, spec Spec, g *golden) {
		for _, m := range []*onnx.Model{spec.Graphs.Encoder, spec.Graphs.Decoder} {
			if len(m.Opset) > 1 || slices.ContainsFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return lowerings[n.Op] != nil }) {
				return // it went through ONNX Runtime's optimiser
			}
		}
		spec.Standard = true
		m, err := Train(spec)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Opset) != 1 {
			t.Errorf("it uses operator sets %v", m.Opset)
		}
		out := orttest.Run(t, m, g.inputs(m))
		close(t, "grad.prompts", out["grad.prompts"], g.want("grad"))
	})
}

// TestExportedBaked: a prompt is built into exported graphs as into our own.
func TestExportedBaked(t *testing.T) {
	theirs, ours := graphsOf(t, "t5-merged"), checkpointOf(t, "t5")
	all := lengths(theirs.Config.DModel, 3, 6, 4)
	values, err := all["prompts"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	tuned := &prompt.Prompt{Method: theirs.Method.Name, Tensors: []prompt.Tensor{{
		Name: "prompt", Shape: []int64{4, int64(theirs.Config.DModel)}, Data: values[:4*theirs.Config.DModel],
	}}}
	var out [2][]float32
	for i, spec := range []Spec{theirs, ours} {
		spec.Prompt = tuned
		m, err := Score(spec)
		if err != nil {
			t.Fatal(err)
		}
		if out[i], err = orttest.Run(t, m, only(m, all))["log_probability"].Float32s(); err != nil {
			t.Fatal(err)
		}
	}
	if diff, scale := worst(out[0], out[1]); !(diff <= tolerance*scale) {
		t.Errorf("scores differ by %.2g of %.3g", diff, scale)
	}
}
