package exported

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// T5 is an exported model after surgery. Sizes: B rows, E encoder positions
// (prompt and text), T decoder positions, d d_model, V vocabulary.
type T5 struct {
	// Encoder has the inputs inputs_embeds [B,E,d] float32 and attention_mask
	// [B,E], and the output last_hidden_state [B,E,d].
	Encoder *onnx.Model
	// Decoder has the inputs input_ids [B,T], encoder_hidden_states [B,E,d]
	// float32 and encoder_attention_mask [B,E], and the output logits [B,T,V].
	// Ids and masks are int64 unless they were exported as another type.
	Decoder *onnx.Model
	// Embedding is what the encoder looked its tokens up in.
	Embedding Embedding
	// EncoderFile and DecoderFile are where the graphs are from, as
	// models.Files names them.
	EncoderFile, DecoderFile string
	// Notes say what was done to the graphs, a line each.
	Notes []string

	read []*onnx.Model // what holds the mapped files
}

// Embedding is a table of token embeddings, [V,d].
type Embedding struct {
	// Table holds float32 numbers or, in a quantised model, bytes.
	Table *onnx.Tensor
	// Scale and ZeroPoint make numbers of a quantised table's bytes,
	// (byte − ZeroPoint)·Scale; else they are nil. Both are scalars, and
	// ZeroPoint may be nil for 0.
	Scale, ZeroPoint *onnx.Tensor
}

// Load opens the encoder and the decoder of an exported model and makes graphs
// of them that take a prompt. The weights stay mapped where they lie, except
// for those of float16, which are widened. The caller closes the result, and
// before that must not close the model.
func Load(ctx context.Context, m *models.Model) (*T5, error) {
	if m.Files.Format != models.ONNX || len(m.Files.Weights) < 2 {
		return nil, fmt.Errorf("reading an exported model from %s: its weights are %s, want an encoder and a decoder of ONNX", m.Dir, m.Files.Format)
	}
	t := &T5{EncoderFile: m.Files.Weights[0], DecoderFile: m.Files.Weights[1]}
	if err := t.load(ctx, m); err != nil {
		t.Close()
		return nil, fmt.Errorf("reading an exported model from %s: %w", m.Dir, err)
	}
	return t, nil
}

func (t *T5) load(ctx context.Context, m *models.Model) error {
	enc, err := t.open(ctx, m, t.EncoderFile, encoder)
	if err != nil {
		return err
	}
	dec, err := t.open(ctx, m, t.DecoderFile, decoder)
	if err != nil {
		return err
	}
	if err := enc.operate(m.Config, func() error {
		t.Embedding, err = enc.cutEmbedding()
		return err
	}); err != nil {
		return err
	}
	if err := dec.operate(m.Config, nil); err != nil {
		return err
	}
	t.Encoder, t.Decoder = enc.model, dec.model
	t.Notes = append(enc.notes, dec.notes...)
	if err := t.Embedding.check(t.EncoderFile, m.Config); err != nil {
		return err
	}
	t.share(dec)
	return nil
}

// share lets the decoder use the encoder's copy of what both files hold, the
// table of embeddings above all.
func (t *T5) share(dec *part) {
	const small = 1 << 10
	held := append(slices.Clone(t.Encoder.Graph.Initializers), t.Embedding.Table)
	shared := 0
	for i, w := range t.Decoder.Graph.Initializers {
		for _, o := range held {
			if len(w.Data) >= small && len(w.Data) == len(o.Data) && w.Type == o.Type && slices.Equal(w.Dims, o.Dims) && bytes.Equal(w.Data, o.Data) {
				c := *w
				c.Data = o.Data
				t.Decoder.Graph.Initializers[i] = &c
				shared++
				break
			}
		}
	}
	if shared > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%s: weights that %s has too, and that are kept once: %d", dec.file, t.EncoderFile, shared))
	}
}

// Beside tells where in a file beside the graphs a weight of theirs lies, as
// [onnx.Model.Beside] does; false for one that is in the graphs' own files, or
// was widened.
func (t *T5) Beside(w *onnx.Tensor) (path string, offset int64, ok bool) {
	for _, m := range t.read {
		if path, offset, ok = m.Beside(w); ok {
			return path, offset, true
		}
	}
	return "", 0, false
}

// Close unmaps the files. The graphs, and those made from them, must not be
// used after. A second Close does nothing.
func (t *T5) Close() error {
	var errs []error
	for _, m := range t.read {
		errs = append(errs, m.Close())
	}
	t.read = nil
	return errors.Join(errs...)
}

// check holds the table against the configuration.
func (e Embedding) check(file string, c models.Config) error {
	if d := e.Table.Dims; d[0] != int64(c.VocabSize) || d[1] != int64(c.DModel) {
		return hint.Wrap(fmt.Errorf("%s: its embedding %s is %v, but config.json says %d tokens of d_model %d", file, e.Table.Name, d, c.VocabSize, c.DModel),
			"config.json and the ONNX files belong to different models; get both from one place")
	}
	return nil
}

// Lookup adds the embeddings [B,S,d] of ids [B,S] to a graph. The table
// becomes an initializer of the given name.
func (e Embedding) Lookup(b *onnx.Builder, name, ids string) string {
	add := func(t *onnx.Tensor, name string) string {
		if t == nil {
			return ""
		}
		c := *t
		c.Name = name
		return b.Weight(&c)
	}
	rows := b.Gather(add(e.Table, name), ids, 0)
	if e.Scale == nil {
		return rows
	}
	return b.Op("DequantizeLinear", []string{rows, add(e.Scale, name+".scale"), add(e.ZeroPoint, name+".zero_point")})
}
