package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
)

// midget is a model of some hundred values a tensor.
var midget = models.Config{VocabSize: 50, DModel: 8, DKV: 4, DFF: 12, NumLayers: 2, NumDecoderLayers: 1, NumHeads: 3, NumBuckets: 32, Gated: true}

// stored is a tensor as its file's header describes it.
type stored struct {
	DType   models.DType `json:"dtype"`
	Shape   []int64      `json:"shape"`
	Offsets [2]int64     `json:"data_offsets"`
	data    []byte
}

// readShard reads a file by the description of the format alone: eight bytes
// with the header's length, the header, the data without gaps.
func readShard(t *testing.T, path string) map[string]stored {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	length := binary.LittleEndian.Uint64(file)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(file[8:8+length], &header); err != nil {
		t.Fatal(err)
	}
	if string(header["__metadata__"]) != `{"format":"pt"}` {
		t.Fatalf("%s: metadata %s", path, header["__metadata__"])
	}
	delete(header, "__metadata__")
	data, tensors, sum := file[8+length:], map[string]stored{}, int64(0)
	for name, text := range header {
		var s stored
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		s.data = data[s.Offsets[0]:s.Offsets[1]]
		tensors[name], sum = s, sum+int64(len(s.data))
	}
	if sum != int64(len(data)) {
		t.Fatalf("%s: tensors of %d bytes in %d", path, sum, len(data))
	}
	return tensors
}

// Whatever a file may hold, each weight lies in the file that the index says,
// in its type and shape; a file is only larger than that if one weight is; and
// the values are the same as without a limit.
func TestShardsAtEveryLimit(t *testing.T) {
	whole := map[string]stored{}
	for _, limit := range []int64{1 << 40, 1 << 12, 1600, 1599, 500} { // the embedding has 1600 bytes
		dir := t.TempDir()
		w, err := writeWeights(t.Context(), dir, midget, models.F32, limit)
		if err != nil {
			t.Fatal(err)
		}
		var index struct {
			Metadata struct {
				Size int64 `json:"total_size"`
			} `json:"metadata"`
			Map map[string]string `json:"weight_map"`
		}
		text, err := os.ReadFile(filepath.Join(dir, "model.safetensors.index.json"))
		if err == nil {
			err = json.Unmarshal(text, &index)
		}
		if err != nil {
			t.Fatal(err)
		}
		files := slices.Compact(slices.Sorted(slices.Values(valuesOf(index.Map))))
		if there, _ := filepath.Glob(filepath.Join(dir, "*.safetensors")); len(there) != len(files) {
			t.Fatalf("files %v, in the index %v", there, files)
		}
		found := map[string]stored{}
		for i, file := range files {
			if want := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(files)); file != want {
				t.Fatalf("file %d is called %s, want %s", i, file, want)
			}
			shard, size := readShard(t, filepath.Join(dir, file)), int64(0)
			for name, s := range shard {
				if index.Map[name] != file {
					t.Fatalf("%s lies in %s, the index says %s", name, file, index.Map[name])
				}
				found[name], size = s, size+int64(len(s.data))
			}
			if size > limit && len(shard) > 1 {
				t.Fatalf("%s has %d bytes, %d may be in it", file, size, limit)
			}
		}
		total := int64(0)
		for _, weight := range models.WeightShapes(midget) {
			s, n := found[weight.Name], int64(4)
			for _, d := range weight.Shape {
				n *= d
			}
			if s.DType != "F32" || !slices.Equal(s.Shape, weight.Shape) || int64(len(s.data)) != n {
				t.Fatalf("%s is %s %v of %d bytes", weight.Name, s.DType, s.Shape, len(s.data))
			}
			total += n
		}
		if len(found) != len(models.WeightShapes(midget)) || total != w.bytes || total != index.Metadata.Size || 4*w.parameters != total {
			t.Fatalf("%d weights of %d bytes, told %+v, in the index %d", len(found), total, w, index.Metadata.Size)
		}
		if len(whole) == 0 {
			whole = found
		}
		for name, s := range found {
			if !bytes.Equal(s.data, whole[name].data) {
				t.Fatalf("%s has other values with a limit of %d", name, limit)
			}
		}
	}
}

func valuesOf(m map[string]string) (values []string) {
	for _, v := range m {
		values = append(values, v)
	}
	return values
}

// No two weights of a large model begin with the same values: their names
// seed them.
func TestSeedsDiffer(t *testing.T) {
	s := sizes["base"]
	c := models.Config{VocabSize: s.vocab, DModel: s.dModel, DKV: 64, DFF: s.dFF, NumLayers: s.layers, NumDecoderLayers: s.layers, NumHeads: s.heads, NumBuckets: 32, Gated: true}
	first := map[string]string{}
	for _, w := range models.WeightShapes(c) {
		if strings.HasSuffix(w.Name, "layer_norm.weight") {
			continue
		}
		var out bytes.Buffer
		if err := writeRandom(t.Context(), &out, c, models.TensorInfo{Name: w.Name, DType: models.F32, Length: 32}); err != nil {
			t.Fatal(err)
		}
		values := out.Bytes()
		for at := 0; at < len(values); at += 4 { // by the deviation, so that scale hides nothing
			v := float64(math.Float32frombits(binary.LittleEndian.Uint32(values[at:]))) / deviation(c, w.Name)
			binary.LittleEndian.PutUint32(values[at:], math.Float32bits(float32(math.Round(v*1e4))))
		}
		if other, there := first[out.String()]; there {
			t.Errorf("%s and %s are the same", other, w.Name)
		}
		first[out.String()] = w.Name
	}
	if len(first) < 12*15 {
		t.Errorf("%d weights", len(first))
	}
}

// Deviations are those of transformers' _init_weights at factor 1, worked out
// by hand for T5 v1.1 small.
func TestDeviation(t *testing.T) {
	small := models.Config{DModel: 512, DKV: 64, DFF: 1024, NumHeads: 6}
	for name, variance := range map[string]float64{
		"shared.weight":  1,
		"lm_head.weight": 1. / 512,
		"encoder.block.0.layer.0.SelfAttention.q.weight":                       1. / (512 * 64),
		"encoder.block.0.layer.0.SelfAttention.k.weight":                       1. / 512,
		"decoder.block.7.layer.1.EncDecAttention.v.weight":                     1. / 512,
		"decoder.block.7.layer.1.EncDecAttention.o.weight":                     1. / (6 * 64),
		"decoder.block.7.layer.2.DenseReluDense.wi_1.weight":                   1. / 512,
		"encoder.block.3.layer.1.DenseReluDense.wo.weight":                     1. / 1024,
		"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": 1. / 512,
	} {
		if got := deviation(small, name); math.Abs(got*got/variance-1) > 1e-12 {
			t.Errorf("%s has variance %g, want %g", name, got*got, variance)
		}
	}
}

// counted takes so many writes and then fails.
type counted struct{ left, bytes int }

func (c *counted) Write(b []byte) (int, error) {
	if c.left--; c.left < 0 {
		return 0, io.ErrShortWrite
	}
	c.bytes += len(b)
	return len(b), nil
}

// Values are written to the last one, in portions of a megabyte, until the
// writer fails or the work is stopped.
func TestWriteValues(t *testing.T) {
	for _, c := range []struct {
		dtype  models.DType
		values int64
		writes int // that succeed
		fails  error
	}{
		{models.F32, 1 << 18, 1, nil},
		{models.F32, 1<<18 + 1, 2, nil},
		{models.F32, 1<<18 + 1, 1, io.ErrShortWrite},
		{models.F16, 1 << 18, 1, nil},
		{models.BF16, 1<<19 + 3, 2, nil},
		{models.BF16, 0, 0, nil},
	} {
		out, drawn := &counted{left: c.writes}, int64(0)
		length := c.values * int64(encoders[c.dtype].bytes)
		err := writeValues(t.Context(), out, models.TensorInfo{DType: c.dtype, Length: length}, func() float32 { drawn++; return 1 })
		if !errors.Is(err, c.fails) || drawn != c.values || c.fails == nil && int64(out.bytes) != length {
			t.Errorf("%+v: %d values drawn, %d bytes written, %v", c, drawn, out.bytes, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	out := &counted{left: 9}
	err := writeValues(ctx, out, models.TensorInfo{DType: models.F32, Length: 5 << 20}, func() float32 { cancel(); return 0 })
	if !errors.Is(err, context.Canceled) || out.bytes != 1<<20 {
		t.Errorf("stopped in the first portion: %d bytes, %v", out.bytes, err)
	}
}

// A folder says by its configuration which published size it is, and has the
// tokenizer of the tiny model to the byte.
func TestCheckpointFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "model")
	if _, err := writeCheckpoint(t.Context(), dir, "toy", models.BF16); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := models.ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := (size{c.DModel, c.DFF, c.NumLayers, c.NumHeads, c.VocabSize}), (size{32, 64, 2, 2, 8192}); got != want || !c.Gated || c.DKV != 64 || c.NumDecoderLayers != 2 || c.TieWordEmbeddings {
		t.Errorf("configuration %+v", c)
	}
	tiny, err := models.Open(t.Context(), "tiny", models.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer tiny.Close()
	var tokenizers [2][]byte
	for i, folder := range []string{tiny.Dir, dir} {
		if tokenizers[i], err = os.ReadFile(filepath.Join(folder, "tokenizer.json")); err != nil {
			t.Fatal(err)
		}
	}
	if len(tokenizers[0]) == 0 || !bytes.Equal(tokenizers[0], tokenizers[1]) {
		t.Errorf("tokenizers of %d and %d bytes", len(tokenizers[0]), len(tokenizers[1]))
	}
}
