package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"softprompt/models"
	"softprompt/prompt/tune"
)

const batchesFile = "batches.safetensors"

// batches is work that both sides read from one file: where the prompt starts
// and the rows of each step. The file holds them padded, inputs by 0, which no
// tokenizer of a T5 gives to a text, and labels by −100; how they are padded
// when they are run is up to each side.
type batches struct {
	prompt, inputs, labels []int64 // shapes [P,d], [N,B,S], [N,B,T]
	values                 []float32
	rows                   [][]tune.Row // [N][B]
	candidates             [][]int64    // answers to choose among, if the file has any
}

const (
	padID   = 0
	ignored = -100
)

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
	ids, err := sequences(file, "input_ids", padID)
	if err != nil {
		return nil, err
	}
	targets, err := sequences(file, "labels", ignored)
	if err != nil {
		return nil, err
	}
	rows := make([]tune.Row, len(ids))
	for i := range rows {
		rows[i] = tune.Row{IDs: ids[i], Target: targets[i], Label: -1, Key: uint64(i) % uint64(b.inputs[1])}
	}
	b.rows = slices.Collect(slices.Chunk(rows, int(b.inputs[1])))
	if _, ok := file.Lookup("candidates"); ok {
		if _, err := shapeOf(file, "candidates", 2); err != nil {
			return nil, err
		}
		b.candidates, err = sequences(file, "candidates", ignored)
	}
	return b, err
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

// sequences reads a tensor of 32-bit integers as the sequences along its last
// axis, without the padding at their ends.
func sequences(file *models.Checkpoint, name string, pad int64) ([][]int64, error) {
	info, _ := file.Lookup(name)
	data, err := file.Bytes(name)
	if err != nil {
		return nil, err
	}
	if info.DType != "I32" {
		return nil, fmt.Errorf("%s: tensor %s is %s, want I32", info.File, name, info.DType)
	}
	length := int(info.Shape[len(info.Shape)-1])
	var out [][]int64
	for row := range slices.Chunk(data, 4*length) {
		ids := make([]int64, 0, length)
		for at := range slices.Chunk(row, 4) {
			ids = append(ids, int64(int32(binary.LittleEndian.Uint32(at))))
		}
		for len(ids) > 0 && ids[len(ids)-1] == pad {
			ids = ids[:len(ids)-1]
		}
		if len(ids) == 0 {
			return nil, fmt.Errorf("%s: sequence %d of tensor %s is empty", info.File, len(out), name)
		}
		out = append(out, ids)
	}
	return out, nil
}

// save writes batches, whose shapes follow from their rows, to a file.
func (b *batches) save(path string) error {
	var ids, targets [][]int64
	for _, batch := range b.rows {
		for _, r := range batch {
			ids, targets = append(ids, r.IDs), append(targets, r.Target)
		}
	}
	values := make([]byte, 0, 4*len(b.values))
	for _, v := range b.values {
		values = binary.LittleEndian.AppendUint32(values, math.Float32bits(v))
	}
	n, rows := int64(len(b.rows)), int64(len(b.rows[0]))
	tensors := []models.NamedTensor{
		{Name: "prompt", DType: models.F32, Shape: b.prompt, Data: values},
		padded("input_ids", ids, padID, n, rows),
		padded("labels", targets, ignored, n, rows),
	}
	if b.candidates != nil {
		tensors = append(tensors, padded("candidates", b.candidates, ignored, int64(len(b.candidates))))
	}
	return models.WriteSafetensors(path, tensors, nil)
}

// padded is a tensor of 32-bit integers, of the given sizes and the length of
// the longest sequence.
func padded(name string, list [][]int64, pad int64, sizes ...int64) models.NamedTensor {
	longest := 0
	for _, ids := range list {
		longest = max(longest, len(ids))
	}
	data := make([]byte, 0, 4*len(list)*longest)
	for _, ids := range list {
		for i := range longest {
			id := pad
			if i < len(ids) {
				id = ids[i]
			}
			data = binary.LittleEndian.AppendUint32(data, uint32(int32(id)))
		}
	}
	return models.NamedTensor{Name: name, DType: "I32", Shape: append(sizes, int64(longest)), Data: data}
}

// tokens is the number of target tokens of a batch.
func tokens(rows []tune.Row) int {
	n := 0
	for _, r := range rows {
		n += len(r.Target)
	}
	return n
}
