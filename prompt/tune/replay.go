package tune

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"softprompt/models"
	"softprompt/onnx/ort"
)

// WriteReplay writes all that a run of these settings is but the training
// itself, as one safetensors file: the initial prompt, the batches of every
// step, the rows held out and the split that is reported, all as token ids.
// Another implementation can then repeat the run; tools/reference/peft_sst2.py
// does it with PEFT. Tensors, int32 but for the prompt, ids padded with 0 and
// labels with −100:
//
//	prompt [P,d] float32, input_ids [steps,B,S], labels [steps,B,T],
//	held_input_ids [H,S], held_label [H], dev_input_ids [N,S], dev_label [N],
//	candidates [C,T]
//
// The metadata has lr, betas, eps, weight_decay and eval_every.
func WriteReplay(ctx context.Context, rt *ort.Runtime, s Settings, path string, opts Options) error {
	if s.Optimizer != "adamw" || s.Dropout != 0 || s.ZLoss != 0 || s.Loss != "mean" || s.Schedule != "constant" || s.ClipNorm != 0 {
		return fmt.Errorf("writing a replay: it covers adamw at a constant rate, without dropout, z-loss or clipping, on the mean loss")
	}
	u, err := newSetup(ctx, rt, s, opts)
	if err != nil {
		return err
	}
	defer u.Close()
	values, length, width, err := u.start.Matrix()
	if err != nil {
		return err
	}
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	tensors := []models.NamedTensor{{Name: "prompt", DType: models.F32, Shape: []int64{int64(length), int64(width)}, Data: raw}}

	var rows []Row
	for step := range s.Steps {
		batch, err := u.sequence.at(step)
		if err != nil {
			return err
		}
		rows = append(rows, batch...)
	}
	input := func(r Row) []int64 { return r.IDs }
	tensors = append(tensors,
		table("input_ids", rows, input, 0, s.Steps, s.Batch),
		table("labels", rows, func(r Row) []int64 { return r.Target }, ignored, s.Steps, s.Batch),
		table("held_input_ids", u.held, input, 0, len(u.held)),
		table("held_label", u.held, label, 0, len(u.held)),
		table("dev_input_ids", u.validation, input, 0, len(u.validation)),
		table("dev_label", u.validation, label, 0, len(u.validation)),
		table("candidates", u.judge.candidates, func(ids []int64) []int64 { return ids }, ignored, len(u.judge.candidates)),
	)
	for i, t := range tensors { // a label is a number, not a row of one
		if n := len(t.Shape); t.Name == "held_label" || t.Name == "dev_label" {
			tensors[i].Shape = t.Shape[:n-1]
		}
	}
	return models.WriteSafetensors(path, tensors, map[string]string{
		"lr": fmt.Sprint(s.LearningRate), "betas": "0.9,0.999", "eps": "1e-8",
		"weight_decay": fmt.Sprint(s.WeightDecay), "eval_every": fmt.Sprint(s.EvalEvery),
	})
}

func label(r Row) []int64 { return []int64{int64(r.Label)} }

// table lays lists of numbers under each other, padded on the right, and gives
// the result the leading sizes.
func table[T any](name string, rows []T, list func(T) []int64, pad int64, sizes ...int) models.NamedTensor {
	longest := 0
	for _, r := range rows {
		longest = max(longest, len(list(r)))
	}
	var data []byte
	for _, r := range rows {
		ids := list(r)
		for i := range longest {
			v := pad
			if i < len(ids) {
				v = ids[i]
			}
			data = binary.LittleEndian.AppendUint32(data, uint32(int32(v)))
		}
	}
	t := models.NamedTensor{Name: name, DType: models.I32, Data: data}
	for _, n := range append(sizes, longest) {
		t.Shape = append(t.Shape, int64(n))
	}
	return t
}
