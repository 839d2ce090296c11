package export

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// The numbers in testdata/golden were computed by PyTorch; its README says
// how. A graph agrees when no element differs by more than tolerance times the
// largest.
const tolerance = 1e-4

// golden is one batch of one case: inputs, and what PyTorch made of them.
type golden struct {
	t       *testing.T
	tensors *models.Checkpoint
	spec    Spec
}

// openGolden opens a case, such as "v1_1-2x2", and one of its batches.
func openGolden(t *testing.T, name, batch string) *golden {
	t.Helper()
	dir := filepath.Join("testdata", "golden", name)
	m, err := models.Open(context.Background(), "./"+filepath.ToSlash(dir), models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	weights, err := m.Float32File(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := models.OpenSafetensors(filepath.Join(dir, batch+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tensors.Close() })
	return &golden{t, tensors, Spec{
		Config: m.Config, Weights: weights, Method: prompt.PromptTuning(m.Config.DModel), Dropout: batch == "dropout",
	}}
}

// names maps the inputs that the golden files call by other names.
var names = map[string]string{
	DropoutFeedForward: "dropout.ff",
	DropoutEncoder:     "dropout.encoder_attention",
	DropoutDecoder:     "dropout.decoder_attention",
	DropoutCross:       "dropout.cross_attention",
}

// inputs returns the batch in the form that a model wants.
func (g *golden) inputs(m *onnx.Model) map[string]*onnx.Tensor {
	g.t.Helper()
	in := map[string]*onnx.Tensor{}
	for _, v := range m.Graph.Inputs {
		name := v.Name
		if n, ok := names[name]; ok {
			name = n
		}
		if n := g.valueOf(name); n != "" {
			name = n
		}
		if name == "candidate_ids" {
			in[name], _ = g.answers()
			continue
		}
		in[v.Name] = g.tensor(name, v.Type)
	}
	return in
}

// valueOf returns the tensor that a trainable's input is fed with where the
// batch has it under the trainable's own name, else "".
func (g *golden) valueOf(input string) string {
	if g.spec.Method == nil {
		return ""
	}
	for _, t := range g.spec.Method.Trainables {
		if _, ok := g.tensors.Lookup("value." + t.Name); ok && t.Input == input {
			return "value." + t.Name
		}
	}
	return ""
}

// tensor returns a tensor of the batch; an int64 mask becomes float32 where
// the graph wants that.
func (g *golden) tensor(name string, want onnx.DType) *onnx.Tensor {
	g.t.Helper()
	info, ok := g.tensors.Lookup(name)
	if !ok {
		g.t.Fatalf("the batch has no tensor %s", name)
	}
	raw, err := g.tensors.Bytes(name)
	if err != nil {
		g.t.Fatal(err)
	}
	types := map[models.DType]onnx.DType{models.F32: onnx.Float32, models.I64: onnx.Int64}
	t := &onnx.Tensor{Name: name, Type: types[info.DType], Dims: info.Shape, Data: raw}
	if t.Type == onnx.Int64 && want == onnx.Float32 {
		ints, err := t.Int64s()
		if err != nil {
			g.t.Fatal(err)
		}
		floats := make([]float32, len(ints))
		for i, v := range ints {
			floats[i] = float32(v)
		}
		t = onnx.Floats(name, info.Shape, floats)
	}
	return t
}

// want returns what PyTorch computed.
func (g *golden) want(name string) []float32 {
	g.t.Helper()
	out, err := g.tensor("want."+name, onnx.Float32).Float32s()
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// worst returns the largest absolute difference and the largest value of want.
func worst(got, want []float32) (diff, scale float64) {
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if !(d <= diff) { // a NaN counts
			diff = d
		}
		scale = max(scale, math.Abs(float64(want[i])))
	}
	return diff, scale
}

// close fails the test unless got is want within tolerance, and logs how near.
func close(t *testing.T, what string, got *onnx.Tensor, want []float32) {
	t.Helper()
	if got == nil {
		t.Fatalf("%s: no such output", what)
	}
	values, err := got.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(values), len(want))
	}
	diff, scale := worst(values, want)
	if !(diff <= tolerance*scale) {
		t.Errorf("%s: differs by %.2g where the largest value is %.3g, relative %.2g", what, diff, scale, diff/scale)
		return
	}
	t.Logf("%-28s relative %.1e", what, diff/scale)
}

// every calls f with each case and batch of the golden folder.
func every(t *testing.T, f func(t *testing.T, g *golden, batch string)) {
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*", "*.safetensors"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		name, batch := filepath.Base(filepath.Dir(file)), strings.TrimSuffix(filepath.Base(file), ".safetensors")
		if batch == "model" || batch == "weight_grads" {
			continue
		}
		t.Run(name+"/"+batch, func(t *testing.T) { f(t, openGolden(t, name, batch), batch) })
	}
}

// TestLogits holds the forward pass against PyTorch: encoder and logits, the
// latter within 1e-4 absolutely too.
func TestLogits(t *testing.T) {
	every(t, func(t *testing.T, g *golden, _ string) {
		b, err := newGraph("logits", g.spec)
		if err != nil {
			t.Fatal(err)
		}
		states, mask := b.encoder()
		labels := b.Input("labels", onnx.Int64, onnx.Sym("B"), onnx.Sym("T"))
		b.Output("encoder_hidden", b.Mul(states, b.Unsqueeze(b.visiblePrompt(mask), -1)))
		b.Output("logits", b.teacherForced(states, mask, labels))
		m, err := b.finish()
		if err != nil {
			t.Fatal(err)
		}
		out := orttest.Run(t, m, g.inputs(m))
		close(t, "encoder_hidden", out["encoder_hidden"], g.want("encoder_hidden"))
		close(t, "logits", out["logits"], g.want("logits"))
		got, _ := out["logits"].Float32s()
		if diff, _ := worst(got, g.want("logits")); !(diff <= 1e-4) {
			t.Errorf("logits differ by %.2g absolutely", diff)
		}
	})
}

// visiblePrompt returns a mask [B,E] that is 0 only where a prompt is padding:
// the golden states are 0 there.
func (g *t5) visiblePrompt(mask string) string {
	b := g.SizesOf(mask, 0, 1)
	prompts := g.site.PerRow(prompt.PromptMask)
	text := g.Fill(g.Concat(0, b, g.SizesOf("input_ids", 1, 2)), 1, onnx.Float32)
	return g.Concat(1, prompts, text)
}

// TestTrain holds losses and gradients against PyTorch, for three ways to
// weigh the tokens and two z-losses.
func TestTrain(t *testing.T) {
	for _, c := range []struct {
		name  string
		zLoss float64
	}{{"mean", 0}, {"weighted", 0}, {"sum_z1e-4", 1e-4}, {"sum_z1e-1", 1e-1}} {
		t.Run(c.name, func(t *testing.T) {
			every(t, func(t *testing.T, g *golden, _ string) {
				g.spec.ZLoss = c.zLoss
				m, err := Train(g.spec)
				if err != nil {
					t.Fatal(err)
				}
				in := g.inputs(m)
				g.weigh(in, c.name)
				out := orttest.Run(t, m, in)
				close(t, "loss", out["loss"], g.want("loss."+c.name))
				close(t, "grad.prompts", out["grad.prompts"], g.want("grad."+c.name))
				close(t, "example_loss", out["example_loss"], g.want("example_nll"))
				close(t, "token_hits", out["token_hits"], g.want("token_hits"))
			})
		})
	}
}

// weigh sets label_weights as the golden loss of that name has them.
func (g *golden) weigh(in map[string]*onnx.Tensor, name string) {
	if name == "weighted" {
		return
	}
	labels, err := in["labels"].Int64s()
	if err != nil {
		g.t.Fatal(err)
	}
	weight := float32(1)
	if name == "mean" {
		n := 0
		for _, l := range labels {
			if l >= 0 {
				n++
			}
		}
		weight = 1 / float32(n)
	}
	in["label_weights"] = onnx.Floats("label_weights", in["labels"].Dims, slices.Repeat([]float32{weight}, len(labels)))
}

// TestStandard runs the same step with operators of the standard domain alone.
func TestStandard(t *testing.T) {
	for _, name := range []string{"v1_0-2x2", "v1_1-2x2"} {
		t.Run(name, func(t *testing.T) {
			g := openGolden(t, name, "io")
			g.spec.Standard = true
			m, err := Train(g.spec)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range m.Graph.Nodes {
				if n.Domain != "" || lowerings[n.Op] != nil {
					t.Errorf("%v is not a standard operator", n)
				}
			}
			in := g.inputs(m)
			g.weigh(in, "mean")
			out := orttest.Run(t, m, in)
			close(t, "loss", out["loss"], g.want("loss.mean"))
			close(t, "grad.prompts", out["grad.prompts"], g.want("grad.mean"))

			g.spec.Method = nil // nothing to differentiate, and standard all the same
			if m, err = Train(g.spec); err != nil {
				t.Fatal(err)
			}
			if len(m.Opset) != 1 {
				t.Errorf("a graph without trainables uses operator sets %v", m.Opset)
			}
		})
	}
}

// TestEmbeds looks the embeddings up outside the graph and finds the prompt's
// gradient in that of inputs_embeds.
func TestEmbeds(t *testing.T) {
	for _, name := range []string{"v1_0-2x2", "v1_1-2x2"} {
		t.Run(name, func(t *testing.T) {
			g := openGolden(t, name, "io")
			method := g.spec.Method
			g.spec.Method, g.spec.Embeds = nil, true
			m, err := Train(g.spec)
			if err != nil {
				t.Fatal(err)
			}
			g.spec.Method, g.spec.Embeds = method, false
			in := g.embedded()
			g.weigh(in, "mean")
			out := orttest.Run(t, m, in)
			close(t, "loss", out["loss"], g.want("loss.mean"))
			g.checkPromptPart(out["grad.inputs_embeds"])
		})
	}
}

// embedded returns the batch with inputs_embeds in place of input_ids.
func (g *golden) embedded() map[string]*onnx.Tensor {
	ids, mask, index := g.ints("input_ids"), g.ints("attention_mask"), g.ints("prompt_index")
	prompts, _ := g.tensor("prompts", onnx.Float32).Float32s()
	shape, _ := g.tensors.Lookup("prompts")
	p, d := int(shape.Shape[1]), int(shape.Shape[2])
	rows, s := len(index), len(ids)/len(index)
	table, err := g.spec.Weights.Float32("shared.weight")
	if err != nil {
		g.t.Fatal(err)
	}
	var embeds []float32
	var all []int64
	for b := range rows {
		k := int(index[b])
		embeds = append(embeds, prompts[k*p*d:(k+1)*p*d]...)
		all = append(all, slices.Repeat([]int64{1}, p)...)
		for i := range s {
			id := int(ids[b*s+i])
			embeds = append(embeds, table[id*d:(id+1)*d]...)
		}
		all = append(all, mask[b*s:(b+1)*s]...)
	}
	n := int64(p + s)
	return map[string]*onnx.Tensor{
		"inputs_embeds":  onnx.Floats("", []int64{int64(rows), n, int64(d)}, embeds),
		"attention_mask": onnx.Longs("", []int64{int64(rows), n}, all),
		"labels":         g.tensor("labels", onnx.Int64),
	}
}

// checkPromptPart sums the gradient's prompt rows over the batch, by prompt.
func (g *golden) checkPromptPart(grad *onnx.Tensor) {
	values, err := grad.Float32s()
	if err != nil {
		g.t.Fatal(err)
	}
	want, index := g.want("grad.mean"), g.ints("prompt_index")
	shape, _ := g.tensors.Lookup("prompts")
	each := int(shape.Shape[1] * shape.Shape[2])
	row := len(values) / len(index)
	got := make([]float32, len(want))
	for b, k := range index {
		for i := range each {
			got[int(k)*each+i] += values[b*row+i]
		}
	}
	close(g.t, "grad.inputs_embeds", onnx.Floats("", shape.Shape, got), want)
}

func (g *golden) ints(name string) []int64 {
	g.t.Helper()
	out, err := g.tensor(name, onnx.Int64).Int64s()
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// TestScore rates candidate answers, several a row.
func TestScore(t *testing.T) {
	every(t, func(t *testing.T, g *golden, batch string) {
		if batch == "dropout" { // a train batch only
			return
		}
		m, err := Score(g.spec)
		if err != nil {
			t.Fatal(err)
		}
		out := orttest.Run(t, m, g.inputs(m))
		_, scores := g.answers()
		var want []float32
		for _, s := range slices.Concat(scores...) {
			want = append(want, float32(s))
		}
		close(t, "log_probability", out["log_probability"], want)
	})
}

// TestGreedy decodes token by token through the cache and finds PyTorch's
// words. Half way the rows of the cache are exchanged and exchanged back.
func TestGreedy(t *testing.T) {
	every(t, func(t *testing.T, g *golden, batch string) {
		if batch == "dropout" {
			return
		}
		encode, err := Encode(g.spec)
		if err != nil {
			t.Fatal(err)
		}
		decode, err := Decode(g.spec)
		if err != nil {
			t.Fatal(err)
		}
		want := g.ints("want.greedy_ids")
		in := orttest.Run(t, encode, g.inputs(encode))
		rows := int(in["encoder_mask"].Dims[0])
		c := g.spec.Config
		for _, v := range decode.Graph.Inputs {
			if strings.HasPrefix(v.Name, "past.") {
				in[v.Name] = onnx.Floats("", []int64{int64(rows), int64(c.NumHeads), 0, int64(c.DKV)}, nil)
			}
		}
		in["past_mask"] = onnx.Floats("", []int64{int64(rows), 0}, nil)
		in["input_ids"] = onnx.Longs("", []int64{int64(rows), 1}, make([]int64, rows))
		same := make([]int64, rows)
		for i := range same {
			same[i] = int64(i)
		}
		in["beam_index"] = onnx.Longs("", []int64{int64(rows)}, same)
		for step := range 8 {
			out := orttest.Run(t, decode, in)
			next := argmax(t, out["logits"], rows)
			for b, id := range next {
				if id != want[b*8+step] {
					t.Fatalf("row %d, step %d: token %d, want %d", b, step, id, want[b*8+step])
				}
			}
			in["input_ids"] = onnx.Longs("", []int64{int64(rows), 1}, next)
			for name, v := range out {
				if rest, ok := strings.CutPrefix(name, "present"); ok {
					in["past"+rest] = v
				}
			}
		}
	})
}

func argmax(t *testing.T, logits *onnx.Tensor, rows int) []int64 {
	t.Helper()
	values, err := logits.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	v := len(values) / rows
	out := make([]int64, rows)
	for b := range out {
		row := values[b*v : (b+1)*v]
		for i := range row {
			if row[i] > row[out[b]] {
				out[b] = int64(i)
			}
		}
	}
	return out
}

// TestGoldenFolder keeps the table of cases and the files in step.
func TestGoldenFolder(t *testing.T) {
	for _, name := range []string{"v1_0-2x2", "v1_0-8x8", "v1_1-2x2", "v1_1-8x8", "v1_1-3x1", "silu-1x1", "gelu-1x1"} {
		if _, err := os.Stat(filepath.Join("testdata", "golden", name, "io.safetensors")); err != nil {
			t.Error(fmt.Errorf("case %s: %w", name, err))
		}
	}
}
