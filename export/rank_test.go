package export

import (
	"math"
	"slices"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// answers returns the candidates of a golden batch row by row, [B,C,T], and
// PyTorch's log-probabilities [B][C] of them.
func (g *golden) answers() (*onnx.Tensor, [][]float64) {
	g.t.Helper()
	rows := g.tensor("input_ids", onnx.Int64).Dims[0]
	width, row := g.tensor("candidate_ids", onnx.Int64).Dims[1], g.ints("candidate_row")
	flat, want := g.ints("candidate_ids"), g.want("candidate_logprob")
	var sorted []int64
	scores := make([][]float64, rows)
	for b := range rows {
		for i, r := range row {
			if r == b {
				sorted = append(sorted, flat[int64(i)*width:int64(i+1)*width]...)
				scores[b] = append(scores[b], float64(want[i]))
			}
		}
	}
	return onnx.Longs("", []int64{rows, int64(len(row)) / rows, width}, sorted), scores
}

// rankBatch returns a golden batch as a choice among the candidates of each
// row, with the last two of them right, and PyTorch's log-probabilities
// [B][C] of the candidates.
func rankBatch(t *testing.T, g *golden, m *onnx.Model) (map[string]*onnx.Tensor, [][]float64) {
	t.Helper()
	ids, scores := g.answers()
	rows, c := int(ids.Dims[0]), int(ids.Dims[1])
	right := make([]float32, rows*c)
	for i := range right {
		if i%c > 0 {
			right[i] = 1
		}
	}
	in := map[string]*onnx.Tensor{
		"candidate_ids": ids,
		"right":         onnx.Floats("", []int64{int64(rows), int64(c)}, right),
		"row_weights":   onnx.Floats("", []int64{int64(rows)}, slices.Repeat([]float32{0.5}, rows)),
	}
	for _, v := range m.Graph.Inputs {
		if in[v.Name] == nil {
			in[v.Name] = g.tensor(v.Name, v.Type)
		}
	}
	return in, scores
}

// TestRank: the loss is cross-entropy over PyTorch's scores of the candidates,
// and its gradient is what finite differences find.
func TestRank(t *testing.T) {
	for _, name := range []string{"v1_0-2x2", "v1_1-2x2", "v1_1-3x1"} {
		t.Run(name, func(t *testing.T) {
			g := openGolden(t, name, "io")
			g.spec.Rank = true
			m, err := Train(g.spec)
			if err != nil {
				t.Fatal(err)
			}
			in, scores := rankBatch(t, g, m)
			out := orttest.Run(t, m, in)
			var want, hits []float32
			var total float64
			for _, s := range scores {
				all, right := logSum(s), logSum(s[1:])
				want = append(want, float32(all-right))
				total += 0.5 * (all - right)
				hit := float32(1)
				if s[0] == slices.Max(s) {
					hit = 0
				}
				hits = append(hits, hit)
			}
			close(t, "loss", out["loss"], []float32{float32(total)})
			close(t, "example_loss", out["example_loss"], want)
			close(t, "token_hits", out["token_hits"], hits)

			prompts := in["prompts"]
			values, err := prompts.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			grad, err := out["grad.prompts"].Float32s()
			if err != nil {
				t.Fatal(err)
			}
			checkDirection(t, "prompts", values, grad, func() float64 {
				in["prompts"] = onnx.Floats("", prompts.Dims, values)
				l, err := orttest.Run(t, m, in)["loss"].Float32s()
				if err != nil {
					t.Fatal(err)
				}
				return float64(l[0])
			})
		})
	}
}

func logSum(v []float64) float64 {
	top, sum := slices.Max(v), 0.0
	for _, x := range v {
		sum += math.Exp(x - top)
	}
	return top + math.Log(sum)
}

// TestRankWithDropout: all candidates of a row share the row's masks, so with
// masks of ones the loss is that without dropout, and with others it is not.
func TestRankWithDropout(t *testing.T) {
	g := openGolden(t, "v1_1-2x2", "io")
	g.spec.Rank = true
	plain, err := Train(g.spec)
	if err != nil {
		t.Fatal(err)
	}
	in, _ := rankBatch(t, g, plain)
	want, err := orttest.Run(t, plain, in)["loss"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	g.spec.Dropout = true
	m, err := Train(g.spec)
	if err != nil {
		t.Fatal(err)
	}
	b, s := in["input_ids"].Dims[0], in["input_ids"].Dims[1]
	p := in["prompts"].Dims[1]
	sizes := map[string]int64{"B": b, "T": in["candidate_ids"].Dims[2], onnx.Sym("P").Plus(onnx.Sym("S")).String(): p + s}
	run := func(keep float32) float32 {
		for _, v := range m.Graph.Inputs {
			if v.Name[:min(7, len(v.Name))] != "dropout" {
				continue
			}
			n, dims := int64(1), []int64{}
			for _, d := range v.Shape {
				size := d.Size
				if !d.Known() {
					size = sizes[d.Sym]
				}
				dims, n = append(dims, size), n*size
			}
			in[v.Name] = onnx.Floats("", dims, slices.Repeat([]float32{keep}, int(n)))
		}
		l, err := orttest.Run(t, m, in)["loss"].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return l[0]
	}
	if got := run(1); math.Abs(float64(got-want[0])) > 1e-5 {
		t.Errorf("masks of ones: loss %v, without dropout %v", got, want[0])
	}
	if got := run(1.5); got == want[0] {
		t.Error("dropout masks do not reach the loss")
	}
}
