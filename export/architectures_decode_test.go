package export

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// TestArchitecturesDecode feeds each architecture's target token by token
// through the cache and finds the logits that transformers computed at once.
// TestArchitectures reaches the train graph only; here are the others.
func TestArchitecturesDecode(t *testing.T) {
	for _, arch := range slices.Concat(families, heads) {
		t.Run(arch, func(t *testing.T) {
			g := openArch(archDir(arch, ""), archGolden(arch, ""))(t)
			encode, err := Encode(g.spec)
			if err != nil {
				t.Fatal(err)
			}
			cache := orttest.Run(t, encode, g.inputs(encode))
			got := g.steps(cache)
			if diff, scale := worst(got, g.want("logits")); !(diff <= tolerance*scale) {
				t.Errorf("logits differ by %.2g where the largest is %.3g", diff, scale)
			}
		})
	}
}

// steps decodes the golden target after an encoder pass and returns the logits
// [B,T,V] of all steps.
func (g *golden) steps(in map[string]*onnx.Tensor) []float32 {
	g.t.Helper()
	decode, err := Decode(g.spec)
	if err != nil {
		g.t.Fatal(err)
	}
	c, ids := g.spec.Config, g.tensor("decoder_input_ids", onnx.Int64)
	rows, length, v := int(ids.Dims[0]), int(ids.Dims[1]), c.VocabSize
	b := int64(rows)
	for i := range c.NumDecoderLayers {
		for _, part := range []string{"key", "value"} {
			in[fmt.Sprintf("past.%d.%s", i, part)] = onnx.Floats("", []int64{b, int64(c.NumHeads), 0, int64(c.DKV)}, nil)
		}
	}
	in["past_mask"] = onnx.Floats("", []int64{b, 0}, nil)
	in["beam_index"] = onnx.Longs("", []int64{b}, []int64{0, 1, 2})
	session := orttest.Session(g.t, decode, ort.Config{Optimize: ort.LevelNone})

	all, tokens := make([]float32, rows*length*v), g.ints("decoder_input_ids")
	for step := range length {
		var now []int64
		for row := range rows {
			now = append(now, tokens[row*length+step])
		}
		in["input_ids"] = onnx.Longs("", []int64{b, 1}, now)
		out := g.run(session, in)
		logits, err := out["logits"].Float32s()
		if err != nil {
			g.t.Fatal(err)
		}
		for row := range rows {
			copy(all[(row*length+step)*v:], logits[row*v:(row+1)*v])
		}
		for name, x := range out {
			if rest, ok := strings.CutPrefix(name, "present"); ok {
				in["past"+rest] = x
			}
		}
	}
	return all
}

// run runs a session once with those of the tensors that it takes.
func (g *golden) run(s *ort.Session, in map[string]*onnx.Tensor) map[string]*onnx.Tensor {
	g.t.Helper()
	feed, out := map[string]*ort.Tensor{}, map[string]*ort.Tensor{}
	for _, v := range s.Inputs() {
		x, err := ort.FromONNX(in[v.Name])
		if err != nil {
			g.t.Fatal(err)
		}
		feed[v.Name] = x
	}
	for _, v := range s.Outputs() {
		out[v.Name] = nil
	}
	if err := s.Run(g.t.Context(), feed, out); err != nil {
		g.t.Fatal(err)
	}
	results := map[string]*onnx.Tensor{}
	for name, y := range out {
		results[name] = y.ONNX(name)
	}
	return results
}

// TestArchitecturesScore rates the golden targets as candidate answers: their
// log-probabilities add up to the loss.
func TestArchitecturesScore(t *testing.T) {
	for _, arch := range slices.Concat(families, heads) {
		t.Run(arch, func(t *testing.T) {
			g := openArch(archDir(arch, ""), archGolden(arch, ""))(t)
			score, err := Score(g.spec)
			if err != nil {
				t.Fatal(err)
			}
			labels := g.tensor("labels", onnx.Int64)
			in := map[string]*onnx.Tensor{
				"candidate_ids": onnx.Longs("", []int64{3, 1, labels.Dims[1]}, g.ints("labels")),
			}
			for _, v := range score.Graph.Inputs {
				if in[v.Name] == nil {
					in[v.Name] = g.tensor(v.Name, v.Type)
				}
			}
			sums, err := orttest.Run(t, score, in)["log_probability"].Float32s()
			if err != nil {
				t.Fatal(err)
			}
			loss := -float64(sums[0]) - float64(sums[1]) - float64(sums[2])
			if diff, scale := worst([]float32{float32(loss)}, g.want("loss")); !(diff <= tolerance*scale) {
				t.Errorf("the log-probabilities add up to %.6g, which is off by %.2g", -loss, diff)
			}
		})
	}
}
