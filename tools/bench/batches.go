package main

import (
	"encoding/binary"
	"fmt"

	"softprompt/models"
	"softprompt/prompt/tune"
)

const batchesFile = "batches.safetensors"

// batches is what make_model.py wrote next to a model: where the prompt
// starts, and the rows of each step, which all have the same length.
type batches struct {
	prompt, inputs, labels []int64 // shapes [P,d], [N,B,S], [N,B,T]
	values                 []float32
	rows                   [][]tune.Row // [N][B]
}

func readBatches(path string) (*batches, error) {
	file, err := models.OpenSafetensors(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b := &batches{}
	if b.prompt, err = shapeOf(file, "prompt", 2); err != nil {
		return nil, err
	}
	if b.inputs, err = shapeOf(file, "input_ids", 3); err != nil {
		return nil, err
	}
	if b.labels, err = shapeOf(file, "labels", 3); err != nil {
		return nil, err
	}
	if b.inputs[0] != b.labels[0] || b.inputs[1] != b.labels[1] {
		return nil, fmt.Errorf("%s: input_ids %v and labels %v are not of the same batches", path, b.inputs, b.labels)
	}
	if b.values, err = file.Float32("prompt"); err != nil {
		return nil, err
	}
	ids, err := ints(file, "input_ids")
	if err != nil {
		return nil, err
	}
	targets, err := ints(file, "labels")
	if err != nil {
		return nil, err
	}
	s, t := int(b.inputs[2]), int(b.labels[2])
	for range b.inputs[0] {
		rows := make([]tune.Row, b.inputs[1])
		for i := range rows {
			rows[i] = tune.Row{IDs: ids[:s:s], Target: targets[:t:t], Label: -1, Key: uint64(i)}
			ids, targets = ids[s:], targets[t:]
		}
		b.rows = append(b.rows, rows)
	}
	return b, nil
}

func shapeOf(file *models.Checkpoint, name string, rank int) ([]int64, error) {
	info, ok := file.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("the batches have no tensor %s", name)
	}
	if len(info.Shape) != rank || info.Elements() == 0 {
		return nil, fmt.Errorf("%s: tensor %s has shape %v, want %d sizes that are not 0", info.File, name, info.Shape, rank)
	}
	return info.Shape, nil
}

// ints reads a tensor of 32-bit integers.
func ints(file *models.Checkpoint, name string) ([]int64, error) {
	info, _ := file.Lookup(name)
	data, err := file.Bytes(name)
	if err != nil {
		return nil, err
	}
	if info.DType != "I32" {
		return nil, fmt.Errorf("%s: tensor %s is %s, want I32", info.File, name, info.DType)
	}
	out := make([]int64, len(data)/4)
	for i := range out {
		out[i] = int64(int32(binary.LittleEndian.Uint32(data[4*i:])))
	}
	return out, nil
}
