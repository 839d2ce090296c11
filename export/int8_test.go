package export

import (
	"math"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

// int8Spec is the tiny model with its weights in 8 bits as well.
func int8Spec(t *testing.T) Spec {
	t.Helper()
	m, spec := tiny(t)
	var err error
	if spec.Int8, err = m.Int8File(t.Context()); err != nil {
		t.Fatal(err)
	}
	return spec
}

// trainInputs is a batch for the train graph of the tiny model: rows of
// different lengths, prompts cut out of the embedding.
func trainInputs(t *testing.T, spec Spec, rows, length int) map[string]*onnx.Tensor {
	t.Helper()
	d := spec.Config.DModel
	words, err := spec.Weights.Float32("shared.weight")
	if err != nil {
		t.Fatal(err)
	}
	ids, mask := make([]int64, rows*length), make([]int64, rows*length)
	labels, weights := make([]int64, rows*2), slices.Repeat([]float32{1 / float32(rows)}, rows*2)
	for i := range ids {
		if row := i / length; i%length < length-row {
			ids[i], mask[i] = int64(3+(i*7919)%8000), 1
		}
	}
	for i := range labels {
		labels[i] = int64(1 + i%2*(900+i))
	}
	const p = 5
	return map[string]*onnx.Tensor{
		"input_ids":      onnx.Longs("", []int64{int64(rows), int64(length)}, ids),
		"attention_mask": onnx.Longs("", []int64{int64(rows), int64(length)}, mask),
		"prompts":        onnx.Floats("", []int64{1, p, int64(d)}, words[1000*d:(1000+p)*d]),
		"prompt_mask":    onnx.Floats("", []int64{1, p}, slices.Repeat([]float32{1}, p)),
		"prompt_index":   onnx.Longs("", []int64{int64(rows)}, make([]int64, rows)),
		"labels":         onnx.Longs("", []int64{int64(rows), 2}, labels),
		"label_weights":  onnx.Floats("", []int64{int64(rows), 2}, weights),
	}
}

// TestInt8: loss and gradient are float32's but for the rounding, and nearly
// all products are of integers, forward and back.
func TestInt8(t *testing.T) {
	spec := int8Spec(t)
	exact, err := Train(spec)
	if err != nil {
		t.Fatal(err)
	}
	spec.Precision = INT8
	rounded, err := Train(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.Validate(rounded); err != nil {
		t.Error(err)
	}
	forward, back := 0, 0
	for _, n := range rounded.Graph.Nodes {
		if n.Op != "MatMulIntegerToFloat" {
			continue
		}
		if n.From == "" {
			forward++
		} else {
			back++
		}
		if n.Block == "" {
			t.Errorf("%v belongs to no block", n)
		}
	}
	// Folded cross-attention multiplies keys and values by head, in float32.
	c := spec.Config
	layers := 7*c.NumLayers + 9*c.NumDecoderLayers
	if forward != layers || back < layers-6 {
		t.Errorf("%d products of integers forward and %d back, want %d", forward, back, layers)
	}
	for _, w := range rounded.Graph.Initializers {
		if strings.HasSuffix(w.Name, ".wo.weight") {
			t.Errorf("weight %s is there in float32, too", w.Name)
		}
	}
	in := trainInputs(t, spec, 4, 12)
	want, got := orttest.Run(t, exact, in), orttest.Run(t, rounded, in)
	if a, b := scalar(t, got["loss"]), scalar(t, want["loss"]); !(math.Abs(a-b) < 0.01*b) {
		t.Errorf("loss %v, in float32 %v", a, b)
	}
	if cosine, size := compare(t, got["grad.prompts"], want["grad.prompts"]); cosine < 0.998 || math.Abs(size-1) > 0.03 {
		t.Errorf("gradient: cosine %v, size %v of float32's", cosine, size)
	}
}

// TestInt8Rows: what a row gives does not depend on the rows beside it, not in a
// single bit, however large they are.
func TestInt8Rows(t *testing.T) {
	spec := int8Spec(t)
	spec.Precision = INT8
	m, err := Train(spec)
	if err != nil {
		t.Fatal(err)
	}
	in := trainInputs(t, spec, 4, 12)
	together, err := orttest.Run(t, m, in)["example_loss"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	prompts, err := in["prompts"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	large := slices.Clone(prompts)
	for i := range large {
		large[i] *= 1000
	}
	// The same rows, the last three with a prompt a thousand times as large.
	dims := slices.Clone(in["prompts"].Dims)
	dims[0] = 2
	in["prompts"] = onnx.Floats("", dims, append(prompts, large...))
	in["prompt_mask"] = onnx.Floats("", []int64{2, dims[1]}, slices.Repeat([]float32{1}, 2*int(dims[1])))
	in["prompt_index"] = onnx.Longs("", []int64{4}, []int64{0, 1, 1, 1})
	beside, err := orttest.Run(t, m, in)["example_loss"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if together[0] != beside[0] {
		t.Errorf("row 0 alone among small rows: %v, among large ones: %v", together[0], beside[0])
	}
	if together[1] == beside[1] {
		t.Error("a larger prompt changed nothing")
	}
}

// TestInt8Graphs: scores and generation run on integers as well.
func TestInt8Graphs(t *testing.T) {
	spec := int8Spec(t)
	spec.Method = nil
	exact, err := Score(spec)
	if err != nil {
		t.Fatal(err)
	}
	spec.Precision = INT8
	for name, build := range map[string]func(Spec) (*onnx.Model, error){"encode": Encode, "decode": Decode} {
		m, err := build(spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := onnx.Validate(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		orttest.Session(t, m, ort.Config{Prepack: true})
	}
	rounded, err := Score(spec)
	if err != nil {
		t.Fatal(err)
	}
	want, got := orttest.Run(t, exact, scoreInputs()), orttest.Run(t, rounded, scoreInputs())
	if cosine, size := compare(t, got["log_probability"], want["log_probability"]); cosine < 0.999 || math.Abs(size-1) > 0.02 {
		t.Errorf("log-probabilities: cosine %v, size %v of float32's", cosine, size)
	}
}

// TestPrecisionRefuses what cannot be built.
func TestPrecisionRefuses(t *testing.T) {
	_, spec := tiny(t)
	spec.Precision = INT8
	if _, err := Train(spec); err == nil || !strings.Contains(err.Error(), "no weights in int8") {
		t.Errorf("without weights: %v", err)
	}
	if _, err := ParsePrecision("int4"); err == nil {
		t.Error("int4 was taken")
	}
	for _, s := range append(precisions, "") {
		if _, err := ParsePrecision(s); err != nil {
			t.Error(err)
		}
	}
}

// TestInt8Names: a quantised weight that no product reads stays out.
func TestInt8Names(t *testing.T) {
	spec := int8Spec(t)
	spec.Precision = INT8
	m, err := Score(spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Graph.Initializers {
		if strings.Contains(w.Name, ":back") {
			t.Errorf("a graph without a gradient has %s", w.Name)
		}
	}
	if name, _ := models.Int8Names("w", true); name == "w" {
		t.Error("the integers have the weight's name")
	}
}

func scalar(t *testing.T, x *onnx.Tensor) float64 {
	t.Helper()
	v, err := x.Float32s()
	if err != nil || len(v) != 1 {
		t.Fatalf("%v, %v", v, err)
	}
	return float64(v[0])
}

// compare returns the cosine between two tensors and the quotient of their
// norms.
func compare(t *testing.T, got, want *onnx.Tensor) (cosine, size float64) {
	t.Helper()
	a, err := got.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	b, err := want.Float32s()
	if err != nil || len(a) != len(b) {
		t.Fatal(len(a), len(b), err)
	}
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb), math.Sqrt(aa / bb)
}
