package tune

import (
	"fmt"

	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/prompt"
)

// Bank holds K prompts side by side, as the graphs take them: each trainable
// [K,…] with a gradient of the same shape. Prompts of different lengths are
// padded on the left, where prompt_mask is 0; T5's relative positions make
// that exact.
type Bank struct {
	K      int
	Length int // of the longest
	method *prompt.Method
	values map[string]*ort.Tensor // by graph input
	grads  map[string]*ort.Tensor // by graph output
	mask   *ort.Tensor            // prompt_mask [K,P]
}

// NewBank lays prompts of one method side by side. What has the prompt's length
// as its first size is padded; all else has one shape. A nil method gives the
// bank of a model without prompts.
func NewBank(method *prompt.Method, prompts ...*prompt.Prompt) (*Bank, error) {
	b := &Bank{K: len(prompts), method: method, values: map[string]*ort.Tensor{}, grads: map[string]*ort.Tensor{}}
	if method == nil {
		return b, nil
	}
	for _, t := range method.Trainables {
		if err := b.add(t, prompts); err != nil {
			b.Close()
			return nil, err
		}
	}
	return b, nil
}

// add lays one trainable of all prompts side by side.
func (b *Bank) add(t prompt.Trainable, prompts []*prompt.Prompt) error {
	parts := make([]*prompt.Tensor, len(prompts))
	var shape []int64
	for k, p := range prompts {
		part := p.Tensor(t.Name)
		if part == nil {
			return fmt.Errorf("prompt %d: method %s needs a tensor %s, which it lacks", k, b.method.Name, t.Name)
		}
		if err := t.Fits(part.Shape); err != nil {
			return fmt.Errorf("prompt %d: tensor %s: %w", k, t.Name, err)
		}
		if shape == nil {
			shape = append(shape, part.Shape...)
		}
		if t.Shape[0].Sym == "P" {
			shape[0] = max(shape[0], part.Shape[0])
		}
		parts[k] = part
	}
	full := append([]int64{int64(b.K)}, shape...)
	values, err := ort.NewTensor(onnx.Float32, full...)
	if err != nil {
		return err
	}
	b.values[t.Input] = values
	if b.grads[grad.Prefix+t.Input], err = ort.NewTensor(onnx.Float32, full...); err != nil {
		return err
	}
	each := 1
	for _, n := range shape {
		each *= int(n)
	}
	all := values.Float32s()
	for k, part := range parts {
		slot := all[k*each : (k+1)*each]
		copy(slot[each-len(part.Data):], part.Data)
	}
	if t.Shape[0].Sym == "P" && b.mask == nil {
		return b.setMask(shape[0], parts)
	}
	return nil
}

// setMask marks the rows of each prompt that are not padding.
func (b *Bank) setMask(length int64, parts []*prompt.Tensor) error {
	b.Length = int(length)
	mask, err := ort.NewTensor(onnx.Float32, int64(b.K), length)
	if err != nil {
		return err
	}
	b.mask = mask
	row := mask.Float32s()
	for k, part := range parts {
		for p := length - part.Shape[0]; p < length; p++ {
			row[int64(k)*length+p] = 1
		}
	}
	return nil
}

// Prompt returns a copy of the k-th prompt's tensors.
func (b *Bank) Prompt(k int) []prompt.Tensor {
	var out []prompt.Tensor
	for _, t := range b.method.Trainables {
		v := b.values[t.Input]
		shape := v.Shape()[1:]
		each := len(v.Float32s()) / b.K
		data := append([]float32(nil), v.Float32s()[k*each:(k+1)*each]...)
		out = append(out, prompt.Tensor{Name: t.Name, Shape: shape, Data: data})
	}
	return out
}

// Tensors returns the values and gradients in the order of the method's
// trainables, in place, as a [grad.Optimizer] takes them.
func (b *Bank) Tensors() (values, grads [][]float32) {
	for _, t := range b.method.Trainables {
		values = append(values, b.values[t.Input].Float32s())
		grads = append(grads, b.grads[grad.Prefix+t.Input].Float32s())
	}
	return values, grads
}

// feed adds the bank's inputs to a run's; rows says which prompt each row of
// the batch uses.
func (b *Bank) feed(in *feed, rows []Row) {
	if b.method == nil {
		return
	}
	for name, v := range b.values {
		in.tensors[name] = v
	}
	for _, v := range b.method.Inputs {
		if v.Name == prompt.PromptMask {
			in.tensors[v.Name] = b.mask
		}
	}
	index := make([]int64, len(rows))
	for i, r := range rows {
		index[i] = int64(r.Prompt)
	}
	in.ints(prompt.PromptIndex, index, len(rows))
}

// Close frees the tensors.
func (b *Bank) Close() {
	for _, t := range b.values {
		t.Close()
	}
	for _, t := range b.grads {
		t.Close()
	}
	if b.mask != nil {
		b.mask.Close()
	}
}
