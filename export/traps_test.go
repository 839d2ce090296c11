package export

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// The places where a T5 is easily written wrong, one test each. The golden
// numbers would notice all of them; these say which.

// TestBuckets holds every distance against the reference's formula with its
// logarithm in float32 (modeling_t5.py, _relative_position_bucket), whose
// values at the edges were taken from PyTorch.
func TestBuckets(t *testing.T) {
	// First distance of each bucket, n = 32 and 128, as PyTorch has them.
	bidirectional := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91}
	causal := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113}
	at := func(starts []int, distance int) int {
		b := 0
		for i, s := range starts {
			if distance >= s {
				b = i
			}
		}
		return b
	}
	for d := -300; d <= 300; d++ {
		want := at(bidirectional, max(d, -d))
		if d > 0 {
			want += 16
		}
		if got := models.RelativeBucket(d, 32, 128, true); got != want {
			t.Errorf("encoder, distance %d: bucket %d, want %d", d, got, want)
		}
		if got, want := models.RelativeBucket(d, 32, 128, false), at(causal, max(-d, 0)); got != want {
			t.Errorf("decoder, distance %d: bucket %d, want %d", d, got, want)
		}
	}
}

// TestDistancesSaturate: beyond max_distance the table's ends serve all.
func TestDistancesSaturate(t *testing.T) {
	for _, bidirectional := range []bool{true, false} {
		for _, max := range []int{20, 128, 200} {
			table := distanceBuckets(32, max, bidirectional)
			for _, far := range []int{max + 1, max + 7, 10 * max} {
				if got, want := models.RelativeBucket(far, 32, max, bidirectional), int(table[2*max]); got != want {
					t.Errorf("distance %d: bucket %d, the table ends in %d", far, got, want)
				}
				if got, want := models.RelativeBucket(-far, 32, max, bidirectional), int(table[0]); got != want {
					t.Errorf("distance %d: bucket %d, the table begins with %d", -far, got, want)
				}
			}
		}
	}
}

// logitsOf runs a spec's forward pass on a golden batch.
func logitsOf(t *testing.T, g *golden, change func(map[string]*onnx.Tensor)) []float32 {
	t.Helper()
	b, err := newGraph("logits", g.spec)
	if err != nil {
		t.Fatal(err)
	}
	states, mask := b.encoder()
	labels := b.Input("labels", onnx.Int64, onnx.Sym("B"), onnx.Sym("T"))
	b.Output("logits", b.teacherForced(states, mask, labels))
	m, err := b.finish()
	if err != nil {
		t.Fatal(err)
	}
	in := g.inputs(m)
	if change != nil {
		change(in)
	}
	out, err := orttest.Run(t, m, in)["logits"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPaddingIsInvisible: what stands at a masked position changes nothing.
func TestPaddingIsInvisible(t *testing.T) {
	g := openGolden(t, "v1_1-2x2", "io")
	want := logitsOf(t, g, nil)
	got := logitsOf(t, g, func(in map[string]*onnx.Tensor) {
		ids, mask := g.ints("input_ids"), g.ints("attention_mask")
		ids = slices.Clone(ids)
		n := 0
		for i, m := range mask {
			if m == 0 {
				ids[i], n = int64(5+i%7), n+1
			}
		}
		if n == 0 {
			t.Fatal("the batch has no padding")
		}
		in["input_ids"] = onnx.Longs("", in["input_ids"].Dims, ids)
	})
	if diff, scale := worst(got, want); diff > 1e-6*scale {
		t.Errorf("padding changes the logits by %.2g", diff)
	}
}

// TestAllMasked: a row with nothing to see gives numbers, not NaN.
func TestAllMasked(t *testing.T) {
	g := openGolden(t, "v1_0-2x2", "io")
	got := logitsOf(t, g, func(in map[string]*onnx.Tensor) {
		in["attention_mask"] = onnx.Longs("", in["attention_mask"].Dims, make([]int64, in["attention_mask"].Len()))
		in["prompt_mask"] = onnx.Floats("", in["prompt_mask"].Dims, make([]float32, in["prompt_mask"].Len()))
	})
	if slices.ContainsFunc(got, func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }) {
		t.Error("a row without a visible position gives NaN or infinity")
	}
}

// TestDecoderIsCausal: a label changes the logits after it, none before.
func TestDecoderIsCausal(t *testing.T) {
	g := openGolden(t, "v1_1-2x2", "io")
	want := logitsOf(t, g, nil)
	labels := g.ints("labels")
	dims := g.tensor("labels", onnx.Int64).Dims
	b, length, v := int(dims[0]), int(dims[1]), len(want)/int(dims[0]*dims[1])
	const at = 2
	changed := slices.Clone(labels)
	for r := range b {
		changed[r*length+at] = (max(changed[r*length+at], 0) + 11) % 96
	}
	got := logitsOf(t, g, func(in map[string]*onnx.Tensor) { in["labels"] = onnx.Longs("", dims, changed) })
	for r := range b {
		for p := range length {
			row := (r*length + p) * v
			diff, scale := worst(got[row:row+v], want[row:row+v])
			if p <= at && diff > 1e-6*scale {
				t.Errorf("row %d: label %d changes the logits at %d", r, at, p)
			}
			if p == at+1 && diff == 0 {
				t.Errorf("row %d: label %d does not reach position %d", r, at, p)
			}
		}
	}
}

// TestHead: a tied head uses the embedding's own initializer with the scaling
// d_model^−½, an untied one lm_head without.
func TestHead(t *testing.T) {
	for name, want := range map[string]struct {
		weight string
		alpha  float64
	}{
		"v1_0-2x2": {"shared.weight", 1 / math.Sqrt(32)},
		"v1_1-2x2": {"lm_head.weight", 1},
		"silu-1x1": {"lm_head.weight", 1}, // says tied, and has a head of its own
		"gelu-1x1": {"shared.weight", 1 / math.Sqrt(32)},
	} {
		m, err := Score(openGolden(t, name, "io").spec)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, n := range m.Graph.Nodes {
			if n.Op != "FusedMatMul" || !strings.HasPrefix(n.Block, "head") {
				continue
			}
			found = true
			if n.Input(1) != want.weight || math.Abs(float64(n.Float("alpha", 1))-want.alpha) > 1e-7 {
				t.Errorf("%s: head is %s scaled by %v, want %s by %v", name, n.Input(1), n.Float("alpha", 1), want.weight, want.alpha)
			}
		}
		if !found {
			t.Errorf("%s: no head", name)
		}
		for _, w := range m.Graph.Initializers {
			if want.weight == "shared.weight" && w.Name == "lm_head.weight" {
				t.Errorf("%s: a tied model has a second head", name)
			}
		}
	}
}

// TestWeightsStay: no weight is copied into the graph, transposed or used
// twice under two names; each lies in its own file at its own place.
func TestWeightsStay(t *testing.T) {
	g := openGolden(t, "v1_1-8x8", "io")
	m, err := Train(g.spec)
	if err != nil {
		t.Fatal(err)
	}
	weights := map[string]bool{}
	for _, w := range m.Graph.Initializers {
		info, ok := g.spec.Weights.Lookup(w.Name)
		if !ok {
			if len(w.Data) > 4096 {
				t.Errorf("constant %s has %d bytes", w.Name, len(w.Data))
			}
			continue
		}
		weights[w.Name] = true
		if w.External == nil || w.External.Offset != info.Offset || w.External.Length != info.Length {
			t.Errorf("%s does not lie in its own file: %+v", w.Name, w.External)
		}
	}
	for _, n := range m.Graph.Nodes {
		if n.Op == "Transpose" && weights[n.Input(0)] {
			t.Errorf("%v transposes weight %s", n, n.Input(0))
		}
	}
}

// TestNodesKnowTheirBlock: every node says where it belongs, and a gradient
// node which forward node it came from.
func TestNodesKnowTheirBlock(t *testing.T) {
	g := openGolden(t, "v1_1-3x1", "dropout")
	m, err := Train(g.spec)
	if err != nil {
		t.Fatal(err)
	}
	forward := map[string]bool{}
	blocks := map[string]int{}
	for _, n := range m.Graph.Nodes {
		blocks[n.Block]++
		if n.From == "" {
			forward[n.Name] = true
			if n.Block == "" {
				t.Errorf("%v belongs to no block", n)
			}
		}
	}
	for _, n := range m.Graph.Nodes {
		if n.From != "" && n.From != "loss" && n.From != "prompts" && !forward[n.From] {
			t.Errorf("%v is the gradient of %q, which is no forward node", n, n.From)
		}
	}
	for _, want := range []string{"encoder", "encoder.2.self-attention", "encoder.0.feed-forward", "decoder.0.cross-attention", "head"} {
		if blocks[want] == 0 {
			t.Errorf("no node in block %s; blocks: %v", want, blocks)
		}
	}
}

// TestTablePerLayer: a model whose layers each own a table of positions
// (UMT5) reads each layer's. With copies of the first it is the model before;
// with another in the last layer it is not.
func TestTablePerLayer(t *testing.T) {
	g := openGolden(t, "v1_1-2x2", "io")
	want := logitsOf(t, g, nil)
	first := g.spec.Weights
	for _, scale := range []float32{1, 3} {
		var tensors []models.NamedTensor
		for _, name := range first.Names() {
			info, _ := first.Lookup(name)
			data, err := first.Bytes(name)
			if err != nil {
				t.Fatal(err)
			}
			tensors = append(tensors, models.NamedTensor{Name: name, DType: info.DType, Shape: info.Shape, Data: data})
			if strings.HasSuffix(name, "relative_attention_bias.weight") {
				values, err := first.Float32(name)
				if err != nil {
					t.Fatal(err)
				}
				for i := range values {
					values[i] *= scale
				}
				tensors = append(tensors, models.NamedTensor{
					Name: strings.Replace(name, "block.0", "block.1", 1), DType: info.DType, Shape: info.Shape,
					Data: onnx.Floats("", info.Shape, values).Data,
				})
			}
		}
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := models.WriteSafetensors(path, tensors, nil); err != nil {
			t.Fatal(err)
		}
		weights, err := models.OpenSafetensors(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { weights.Close() })
		g.spec.Weights, g.spec.Config.PerLayerBias = weights, true
		diff, size := worst(logitsOf(t, g, nil), want)
		if same := diff <= 1e-6*size; same != (scale == 1) {
			t.Errorf("tables of layer 1 scaled by %v: the logits differ by %.2g of %.2g", scale, diff, size)
		}
	}
}

// TestRefusals: what cannot be exported says why.
func TestRefusals(t *testing.T) {
	g := openGolden(t, "v1_0-2x2", "io")
	for name, change := range map[string]func(*Spec){
		"no weights":         func(s *Spec) { s.Weights = nil },
		"embeds with method": func(s *Spec) { s.Embeds = true },
		"activation":         func(s *Spec) { s.Config.Activation = "swoosh" },
		"missing layer":      func(s *Spec) { s.Config.NumLayers = 3 },
		"half weights": func(s *Spec) {
			s.Config.DKV = 13 // the weights do not split into heads of that size
		},
	} {
		spec := g.spec
		change(&spec)
		for kind, build := range map[string]func(Spec) (*onnx.Model, error){"train": Train, "score": Score, "encode": Encode, "decode": Decode} {
			if name == "embeds with method" && kind != "train" {
				continue
			}
			if kind == "decode" && name == "missing layer" {
				continue // only the encoder lacks one
			}
			if _, err := build(spec); err == nil {
				t.Errorf("%s: %s was exported", name, kind)
			} else if strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %s: the error has several lines: %v", name, kind, err)
			}
		}
	}
	method := prompt.PromptTuning(31)
	spec := g.spec
	spec.Method = method
	if _, err := Train(spec); err == nil {
		t.Error("a prompt of another width was exported")
	}
}
