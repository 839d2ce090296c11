package export

import (
	"context"
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

// The numbers in testdata/golden-methods are of a transcription in PyTorch that
// computes every row alone, without any padding (its README says how). So what
// agrees with them is also padded exactly: texts, targets, and prompts of
// different lengths in one batch.

// goldenMethods has the methods with the sizes that the numbers were made with.
var goldenMethods = map[string]prompt.Sizes{
	prompt.MethodDePT: {Rank: 3, Rows: 20}, prompt.MethodADePT: {Rank: 3}, prompt.MethodPTuning: {Hidden: 7},
	prompt.MethodMultitask: {Rank: 3},
	prompt.MethodPerLayer:  {}, prompt.MethodPerLayerAdd: {}, prompt.MethodIA3: {},
	prompt.MethodPrefix: {}, prompt.MethodPrefixMLP: {Hidden: 7}, prompt.MethodModel: {},
	// Prompt tuning in other places and with other sight.
	"placed-after-first":            {Placement: "after-first"},
	"placed-suffix":                 {Placement: "suffix"},
	"placed-suffix-after-eos-input": {Placement: "suffix-after-eos", Visibility: "input"},
	"placed-suffix-causal":          {Placement: "suffix", Visibility: "causal"},
	"placed-prefix-prompt":          {Visibility: "prompt"},
	"placed-suffix-prompt-causal":   {Placement: "suffix", Visibility: "prompt-causal"},
	"placed-prefix-self":            {Visibility: "self"},
}

// everyMethod calls f with each batch of each method.
func everyMethod(t *testing.T, f func(t *testing.T, g *golden, dropout bool)) {
	for _, name := range prompt.MethodNames() {
		if _, ok := goldenMethods[name]; !ok && name != prompt.MethodPromptTuning { // that one has testdata/golden
			t.Errorf("method %s has no golden numbers", name)
		}
	}
	for folder, sizes := range goldenMethods {
		files, err := filepath.Glob(filepath.Join("testdata", "golden-methods", folder, "*.safetensors"))
		if err != nil || len(files) != 4 {
			t.Fatalf("method %s: %d golden files, want 4 (%v)", folder, len(files), err)
		}
		method := folder
		if sizes.Placement != "" || sizes.Visibility != "" {
			method = prompt.MethodPromptTuning
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".safetensors")
			at := strings.LastIndex(name, "-")
			model, batch := name[:at], name[at+1:]
			if testing.Short() && model != "v1_1-3x1" {
				continue // the same kernels
			}
			t.Run(folder+"/"+name, func(t *testing.T) {
				g := openMethod(t, model, file)
				var err error
				if g.spec.Method, err = prompt.NewMethod(method, g.spec.Config, sizes); err != nil {
					t.Fatal(err)
				}
				g.spec.Dropout = batch == "dropout"
				f(t, g, batch == "dropout")
			})
		}
	}
}

// openMethod opens a batch beside which no model lies.
func openMethod(t *testing.T, model, file string) *golden {
	t.Helper()
	m, err := models.Open(context.Background(), "./testdata/golden/"+model, models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	weights, err := m.Float32File(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := models.OpenSafetensors(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tensors.Close() })
	return &golden{t, tensors, Spec{Config: m.Config, Weights: weights}}
}

// TestMethodsTrain holds loss and the gradient of every trainable against
// PyTorch, also with the activations recomputed and in standard operators.
func TestMethodsTrain(t *testing.T) {
	everyMethod(t, func(t *testing.T, g *golden, dropout bool) {
		for _, form := range []struct{ recompute, standard bool }{{}, {recompute: true}, {standard: true}} {
			if form != (struct{ recompute, standard bool }{}) && !(dropout && g.spec.Config.NumLayers == 3) {
				continue // one batch is enough
			}
			g.spec.Recompute, g.spec.Standard = form.recompute, form.standard
			m, err := Train(g.spec)
			if err != nil {
				t.Fatal(err)
			}
			in := g.inputs(m)
			g.weigh(in, "mean")
			out := orttest.Run(t, m, in)
			close(t, "loss", out["loss"], g.want("loss.mean"))
			close(t, "example_loss", out["example_loss"], g.want("example_nll"))
			for _, tr := range g.spec.Method.Trainables {
				close(t, "grad."+tr.Name, out["grad."+tr.Input], g.want("grad."+tr.Name))
			}
		}
	})
}

// TestMethodsScore rates candidates, where several rows of the decoder use the
// prompt of one row of the encoder.
func TestMethodsScore(t *testing.T) {
	everyMethod(t, func(t *testing.T, g *golden, dropout bool) {
		if dropout {
			return
		}
		m, err := Score(g.spec)
		if err != nil {
			t.Fatal(err)
		}
		out := orttest.Run(t, m, g.inputs(m))
		close(t, "log_probability", out["log_probability"], g.candidateScores())
	})
}

// candidateScores returns PyTorch's log-probabilities in the order of the
// answers.
func (g *golden) candidateScores() []float32 {
	_, scores := g.answers()
	var want []float32
	for _, s := range slices.Concat(scores...) {
		want = append(want, float32(s))
	}
	return want
}

// TestMethodsGreedy decodes through the cache and finds PyTorch's words.
func TestMethodsGreedy(t *testing.T) {
	everyMethod(t, func(t *testing.T, g *golden, dropout bool) {
		if dropout {
			return
		}
		d := newDecoder(t, g)
		want := g.ints("want.greedy_ids")
		last := make([]int64, d.rows)
		for step := range 8 {
			last = argmax(t, d.step(last, nil), d.rows)
			for b, id := range last {
				if id != want[b*8+step] {
					t.Fatalf("row %d, step %d: token %d, want %d", b, step, id, want[b*8+step])
				}
			}
		}
	})
}

// TestMethodsBeams feeds answers token by token, with two beams for each row
// that change places at every step, and finds the score graph's scores.
func TestMethodsBeams(t *testing.T) {
	everyMethod(t, func(t *testing.T, g *golden, dropout bool) {
		if dropout {
			return
		}
		score, err := Score(g.spec)
		if err != nil {
			t.Fatal(err)
		}
		in := g.inputs(score)
		want, err := orttest.Run(t, score, in)["log_probability"].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		ids, err := in["candidate_ids"].Int64s()
		if err != nil {
			t.Fatal(err)
		}
		dims := in["candidate_ids"].Dims
		rows, answers, length := int(dims[0]), int(dims[1]), int(dims[2])

		d := newDecoder(t, g)
		d.double()
		got := make([]float64, 2*rows)
		last := make([]int64, 2*rows)
		// Beam 2b+j starts with answer j of row b and they change places after
		// every token.
		answer := func(b, place, step int) int { return (place + step) % 2 }
		var origin []int64
		for step := range length {
			logits, err := d.step(last, origin).Float32s()
			if err != nil {
				t.Fatal(err)
			}
			vocab := len(logits) / (2 * rows)
			origin = make([]int64, 2*rows)
			for b := range rows {
				for place := range 2 {
					at, c := 2*b+place, answer(b, place, step)
					id := ids[(b*answers+c)*length+step]
					if id >= 0 {
						got[2*b+c] += logProbability(logits[at*vocab:(at+1)*vocab], id)
					}
					// The other place takes this beam's cache and token.
					origin[2*b+1-place], last[2*b+1-place] = int64(at), max(id, 0)
				}
			}
		}
		for b := range rows {
			for c := range 2 {
				if w := float64(want[b*answers+c]); math.Abs(got[2*b+c]-w) > tolerance*math.Abs(w) {
					t.Errorf("row %d, answer %d: %.6f token by token, %.6f at once", b, c, got[2*b+c], w)
				}
			}
		}
	})
}

func logProbability(logits []float32, id int64) float64 {
	top, sum := float64(slices.Max(logits)), 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	return float64(logits[id]) - top - math.Log(sum)
}

// TestMethodsInputs: a graph takes what it reads of a method, and no more.
func TestMethodsInputs(t *testing.T) {
	graphs := map[string]func(Spec) (*onnx.Model, error){"train": Train, "score": Score, "encode": Encode, "decode": Decode}
	everyMethod(t, func(t *testing.T, g *golden, _ bool) {
		g.spec.Dropout = false
		seen := map[string]bool{}
		for name, create := range graphs {
			m, err := create(g.spec)
			if err != nil {
				t.Fatal(err)
			}
			read := map[string]bool{}
			for _, n := range m.Graph.Nodes {
				for _, x := range n.Uses() {
					read[x] = true
				}
			}
			for _, v := range m.Graph.Inputs {
				if !read[v.Name] {
					t.Errorf("graph %s does not read its input %s", name, v.Name)
				}
				if name == "encode" || name == "decode" {
					seen[v.Name] = true
				}
			}
		}
		for _, tr := range g.spec.Method.Trainables {
			if !seen[tr.Input] {
				t.Errorf("neither encode nor decode takes %s", tr.Input)
			}
		}
	})
}

// TestMethodsMask: what masked rows of a prompt hold changes nothing.
func TestMethodsMask(t *testing.T) {
	everyMethod(t, func(t *testing.T, g *golden, dropout bool) {
		m, err := Train(g.spec)
		if err != nil {
			t.Fatal(err)
		}
		in := g.inputs(m)
		g.weigh(in, "mean")
		if in[prompt.PromptMask] == nil || dropout { // its prompts have one length
			return
		}
		mask, _ := in[prompt.PromptMask].Float32s()
		for _, tr := range g.spec.Method.Trainables {
			if tr.Shape[0].Sym != "P" {
				continue
			}
			values, err := in[tr.Input].Float32s()
			if err != nil {
				t.Fatal(err)
			}
			values = slices.Clone(values)
			each := len(values) / len(mask)
			for i, visible := range mask {
				for j := range each {
					if visible == 0 {
						values[i*each+j] = -50 - float32(j)
					}
				}
			}
			in[tr.Input] = onnx.Floats("", in[tr.Input].Dims, values)
		}
		out := orttest.Run(t, m, in)
		close(t, "loss", out["loss"], g.want("loss.mean"))
		for _, tr := range g.spec.Method.Trainables {
			close(t, "grad."+tr.Name, out["grad."+tr.Input], g.want("grad."+tr.Name))
		}
	})
}
