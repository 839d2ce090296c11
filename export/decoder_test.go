package export

import (
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// decoder generates with the encode and decode graphs of a golden batch.
type decoder struct {
	t     *testing.T
	graph *onnx.Model
	in    map[string]*onnx.Tensor
	rows  int
}

// newDecoder encodes the batch; the cache is empty.
func newDecoder(t *testing.T, g *golden) *decoder {
	t.Helper()
	encode, err := Encode(g.spec)
	if err != nil {
		t.Fatal(err)
	}
	decode, err := Decode(g.spec)
	if err != nil {
		t.Fatal(err)
	}
	d := &decoder{t: t, graph: decode, in: orttest.Run(t, encode, g.inputs(encode))}
	for _, v := range decode.Graph.Inputs {
		if value := g.valueOf(v.Name); value != "" {
			d.in[v.Name] = g.tensor(value, v.Type)
		} else if _, ok := g.tensors.Lookup(v.Name); ok && v.Name != "input_ids" {
			d.in[v.Name] = g.tensor(v.Name, v.Type)
		}
	}
	d.empty()
	return d
}

// empty makes the cache one of no positions.
func (d *decoder) empty() {
	d.rows = int(d.in["encoder_mask"].Dims[0])
	for _, v := range d.graph.Graph.Inputs {
		if !strings.HasPrefix(v.Name, "past") {
			continue
		}
		dims := []int64{int64(d.rows)}
		for _, dim := range v.Shape[1:] {
			dims = append(dims, max(dim.Size, 0)) // L is 0
		}
		d.in[v.Name] = onnx.Floats("", dims, nil)
	}
}

// double repeats every row, for two beams.
func (d *decoder) double() {
	for name, t := range d.in {
		perRow := strings.HasPrefix(name, "cross.") || name == "encoder_mask" || name == "prompt_index"
		if !perRow {
			continue
		}
		each := len(t.Data) / d.rows
		var data []byte
		for b := range d.rows {
			row := t.Data[b*each : (b+1)*each]
			data = append(append(data, row...), row...)
		}
		dims := append([]int64{2 * t.Dims[0]}, t.Dims[1:]...)
		d.in[name] = &onnx.Tensor{Type: t.Type, Dims: dims, Data: data}
	}
	d.empty()
}

// step feeds the last token of each row, with the cache of the row origin (nil
// for its own), and returns the logits.
func (d *decoder) step(last, origin []int64) *onnx.Tensor {
	d.t.Helper()
	n := int64(d.rows)
	if origin == nil {
		for i := range n {
			origin = append(origin, i)
		}
	}
	d.in["input_ids"] = onnx.Longs("", []int64{n, 1}, last)
	d.in["beam_index"] = onnx.Longs("", []int64{n}, origin)
	out := orttest.Run(d.t, d.graph, d.in)
	for name, v := range out {
		if rest, ok := strings.CutPrefix(name, "present"); ok {
			d.in["past"+rest] = v
		}
	}
	return out["logits"]
}
