package tune

import (
	"context"
	"fmt"
	"strings"

	"softprompt/onnx"
	"softprompt/onnx/ort"
)

// decoding is a batch between two tokens: what the decoder takes from the
// encoder, and its own keys and values so far.
type decoding struct {
	s     *ort.Session
	cross map[string]*ort.Tensor // cross.<i>.…, encoder_mask, the method's inputs
	cache map[string]*ort.Tensor // past.<i>.…, past_mask
	fixed *feed
}

// newDecoding runs the encoder over the rows and starts with an empty cache.
func (f *Frozen) newDecoding(ctx context.Context, bank *Bank, rows []Row, workers int) (*decoding, error) {
	encode, err := f.session(ctx, encodeGraph, workers)
	if err != nil {
		return nil, err
	}
	decode, err := f.session(ctx, decodeGraph, workers)
	if err != nil {
		return nil, err
	}
	d := &decoding{s: decode, cross: map[string]*ort.Tensor{}, cache: map[string]*ort.Tensor{}, fixed: newFeed()}
	in := newFeed()
	defer in.close()
	in.inputs(rows, bank, f.Model.Config.PadID)
	if in.err != nil {
		return nil, in.err
	}
	for _, v := range encode.Outputs() {
		d.cross[v.Name] = nil
	}
	if err := encode.Run(ctx, in.takenBy(encode), d.cross); err != nil {
		return nil, fmt.Errorf("encoding %d rows: %w", len(rows), err)
	}
	bank.feed(d.fixed, rows)
	for _, v := range decode.Inputs() {
		if !strings.HasPrefix(v.Name, "past") {
			continue
		}
		shape := make([]int64, len(v.Shape))
		for i, dim := range v.Shape {
			shape[i] = max(dim.Size, 0) // L is 0
		}
		shape[0] = int64(len(rows))
		if d.cache[v.Name], err = ort.NewTensor(onnx.Float32, shape...); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

// step feeds the last token of each row, with the cache of the row that it
// continues, and returns the logits [B,V] of the next.
func (d *decoding) step(ctx context.Context, last, origin []int64) (logits []float32, vocab int, err error) {
	in := newFeed()
	defer in.close()
	in.ints("input_ids", last, len(last), 1)
	in.ints("beam_index", origin, len(origin))
	if in.err != nil {
		return nil, 0, in.err
	}
	for _, v := range d.s.Inputs() {
		for _, from := range []map[string]*ort.Tensor{d.cross, d.cache, d.fixed.tensors} {
			if t := from[v.Name]; t != nil {
				in.tensors[v.Name] = t
			}
		}
	}
	out := map[string]*ort.Tensor{}
	for _, v := range d.s.Outputs() {
		out[v.Name] = nil
	}
	if err := d.s.Run(ctx, in.tensors, out); err != nil {
		return nil, 0, fmt.Errorf("decoding %d rows: %w", len(last), err)
	}
	scores := out["logits"]
	defer scores.Close()
	for name, t := range out {
		if past, ok := strings.CutPrefix(name, "present"); ok {
			d.cache["past"+past].Close()
			d.cache["past"+past] = t
		}
	}
	return append([]float32(nil), scores.Float32s()...), int(scores.Shape()[1]), nil
}

// close frees everything.
func (d *decoding) close() {
	for _, from := range []map[string]*ort.Tensor{d.cross, d.cache} {
		for _, t := range from {
			if t != nil {
				t.Close()
			}
		}
	}
	d.fixed.close()
}
