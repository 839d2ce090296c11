package export

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
	"softprompt/prompt"
)

// uniform returns n numbers in [-1,1), as tools/reference/adapters.py does.
func uniform(seed uint64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		x := uint64(i) + seed<<32 + 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
		out[i] = float64(x>>40)/(1<<23) - 1
	}
	return out
}

// adapterBase writes the T5 that the numbers of forward.safetensors were made
// with: base() of tools/reference/adapters.py.
func adapterBase(t *testing.T) *models.Model {
	t.Helper()
	dir := t.TempDir()
	config := `{"model_type": "t5", "is_encoder_decoder": true, "d_model": 768, "d_kv": 64, "num_heads": 12, "d_ff": 512,
		"vocab_size": 300, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "dropout_rate": 0.1, "num_layers": 2}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	c := models.Config{
		DModel: 768, DKV: 64, NumHeads: 12, DFF: 512, VocabSize: 300, NumLayers: 2, NumDecoderLayers: 2, NumBuckets: 32, TieWordEmbeddings: true,
	}
	shapes := map[string][]int64{}
	var names []string
	for _, w := range models.WeightShapes(c) {
		if !w.Optional {
			shapes[w.Name], names = w.Shape, append(names, w.Name)
		}
	}
	slices.Sort(names)
	var tensors []models.NamedTensor
	for k, name := range names {
		shape := shapes[name]
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		var data []byte
		for _, u := range uniform(uint64(k+1), int(n)) {
			switch {
			case strings.Contains(name, "layer_norm"):
				u = 1 + 0.3*u
			case name == "shared.weight":
				u *= 1.5
			case strings.Contains(name, "relative_attention_bias"):
			default:
				u *= math.Sqrt(3 / float64(shape[1]))
				if strings.HasSuffix(name, ".q.weight") {
					u /= 4
				}
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(u)))
		}
		tensors = append(tensors, models.NamedTensor{Name: name, DType: models.F32, Shape: shape, Data: data})
	}
	if err := models.WriteSafetensors(filepath.Join(dir, "model.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	m, err := models.Open(context.Background(), dir, models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestAdapterForward: the published SST-2 adapter of DePT makes of a T5 of its
// width what the authors' code makes of it, also of inputs that are shorter
// than the 256 tokens that theirs are padded to.
func TestAdapterForward(t *testing.T) {
	dir := filepath.Join("..", "prompt", "testdata", "adapters")
	p, err := prompt.LoadAdapter(filepath.Join(dir, "dept-sst2"))
	if err != nil {
		t.Fatal(err)
	}
	m := adapterBase(t)
	spec := Spec{Config: m.Config, Prompt: p}
	if spec.Weights, err = m.Float32File(context.Background()); err != nil {
		t.Fatal(err)
	}
	if spec.Method, err = prompt.NewMethod(p.Method, m.Config, p.Sizes()); err != nil {
		t.Fatal(err)
	}
	tensors, err := models.OpenSafetensors(filepath.Join(dir, "forward.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer tensors.Close()
	g := &golden{t, tensors, spec}
	score, err := Score(spec)
	if err != nil {
		t.Fatal(err)
	}
	ids, mask, labels := g.ints("input_ids"), g.ints("attention_mask"), g.ints("labels")
	want, err := tensors.Float32("log_probability")
	if err != nil {
		t.Fatal(err)
	}
	for row := range want {
		tokens := int64(0)
		for _, x := range mask[row*256 : (row+1)*256] {
			tokens += x
		}
		first := int64(row) * 256
		out := orttest.Run(t, score, map[string]*onnx.Tensor{
			"input_ids":      onnx.Longs("", []int64{1, tokens}, ids[first:first+tokens]),
			"attention_mask": onnx.Longs("", []int64{1, tokens}, mask[first:first+tokens]),
			"candidate_ids":  onnx.Longs("", []int64{1, 1, 2}, labels[row*2:row*2+2]),
		})
		close(t, "log_probability", out["log_probability"], want[row:row+1])
	}
}
