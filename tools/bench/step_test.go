package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx/ort"
)

// testModel returns a folder as make_model.py writes it, with the tiny model
// and two batches of two rows.
func testModel(t *testing.T) string {
	m, err := models.Open(t.Context(), "tiny", models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join(m.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	writeBatches(t, dir, testTensors(int64(m.Config.DModel)))
	return dir
}

func testTensors(d int64) []models.NamedTensor {
	start := make([]byte, 0, 3*d*4)
	for i := range 3 * d {
		start = binary.LittleEndian.AppendUint32(start, math.Float32bits(float32(i%7)-3))
	}
	return []models.NamedTensor{
		{Name: "prompt", DType: models.F32, Shape: []int64{3, d}, Data: start},
		{Name: "input_ids", DType: "I32", Shape: []int64{2, 2, 4}, Data: int32s(5, 6, 7, 1, 8, 9, 10, 1, 11, 12, 13, 1, 14, 15, 16, 1)},
		{Name: "labels", DType: "I32", Shape: []int64{2, 2, 2}, Data: int32s(20, 1, 21, 1, 22, 1, 23, 1)},
	}
}

func int32s(values ...int32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

func writeBatches(t *testing.T, dir string, tensors []models.NamedTensor) {
	if err := models.WriteSafetensors(filepath.Join(dir, batchesFile), tensors, nil); err != nil {
		t.Fatal(err)
	}
}

// TestStep runs softprompt's peer as the driver does. Three times over the
// same two batches it has to lower the loss of both.
func TestStep(t *testing.T) {
	dir := testModel(t)
	for _, optimizer := range []string{"adamw", "adafactor"} {
		t.Run(optimizer, func(t *testing.T) {
			var out bytes.Buffer
			args := []string{"-model", dir, "-threads", "1", "-optimizer", optimizer}
			if err := stepMain(t.Context(), args, strings.NewReader(strings.Repeat("step\n", 6)), &out); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(&out)
			var hello ready
			if err := decodeLine(lines, &hello); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(hello.Batch, []int64{2, 4}) || hello.Targets != 2 || hello.Prompt[0] != 3 || hello.Threads != 1 || hello.Runtime == "" {
				t.Errorf("ready %+v", hello)
			}
			var losses []float64
			for range 6 {
				var s stepped
				if err := decodeLine(lines, &s); err != nil {
					t.Fatal(err)
				}
				if !(s.Seconds > 0) {
					t.Errorf("a step took %v seconds", s.Seconds)
				}
				losses = append(losses, s.Loss)
			}
			if !(losses[4] < losses[0] && losses[5] < losses[1]) {
				t.Errorf("losses %v do not fall", losses)
			}
			var m memory
			if err := decodeLine(lines, &m); err != nil || m.Peak < 10<<20 {
				t.Errorf("memory %+v, %v", m, err)
			}
		})
	}
}

// TestStepInt8 trains with products of integers: near float32, and not it.
func TestStepInt8(t *testing.T) {
	dir := testModel(t)
	t.Setenv("SOFTPROMPT_CACHE", t.TempDir())
	losses := map[string][]float64{}
	for precision, dtype := range map[string]string{"fp32": "float32", "int8": "int8"} {
		var out bytes.Buffer
		args := []string{"-model", dir, "-threads", "1", "-precision", precision}
		if err := stepMain(t.Context(), args, strings.NewReader("step\nstep\nstep\n"), &out); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(&out)
		var hello ready
		if err := decodeLine(lines, &hello); err != nil || hello.DType != dtype {
			t.Fatalf("%s: ready %+v, %v", precision, hello, err)
		}
		for range 3 {
			var s stepped
			if err := decodeLine(lines, &s); err != nil {
				t.Fatal(err)
			}
			losses[precision] = append(losses[precision], s.Loss)
		}
	}
	a, b := measured{Losses: losses["int8"]}, measured{Losses: losses["fp32"]}
	if apart := a.apart(&b); apart == 0 || apart > 0.05 {
		t.Errorf("losses %v are %v apart", losses, apart)
	}
}

// TestStepDropout: masks change what a step finds, and are the same again the
// next time.
func TestStepDropout(t *testing.T) {
	dir := testModel(t)
	var losses []float64
	for _, rate := range []float64{0, 0.1, 0.1} {
		tr, err := newTrainer(t.Context(), training{dir: dir, threads: 1, optimizer: "adamw", rate: 0.3, dropout: rate})
		if err != nil {
			t.Fatal(err)
		}
		s, err := tr.step(t.Context())
		if err := errors.Join(err, tr.close()); err != nil {
			t.Fatal(err)
		}
		losses = append(losses, s.Loss)
	}
	if losses[0] == losses[1] || losses[1] != losses[2] {
		t.Errorf("losses %v without dropout, with it, and with it again", losses)
	}
}

func TestStepRefuses(t *testing.T) {
	dir := testModel(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-model", t.TempDir()}, batchesFile},
		{[]string{"-model", dir, "-optimizer", "sgd"}, `no optimizer "sgd"`},
		{[]string{"-model", dir, "-precision", "int9"}, `no precision "int9"`},
	} {
		if err := stepMain(t.Context(), test.args, strings.NewReader(""), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: got error %v, want one with %q", test.args, err, test.want)
		}
	}
}

func TestBatches(t *testing.T) {
	dir := t.TempDir()
	writeBatches(t, dir, testTensors(8))
	b, err := readBatches(filepath.Join(dir, batchesFile))
	if err != nil {
		t.Fatal(err)
	}
	if len(b.rows) != 2 || !slices.Equal(b.rows[1][0].IDs, []int64{11, 12, 13, 1}) || !slices.Equal(b.rows[1][1].Target, []int64{23, 1}) {
		t.Errorf("rows %v", b.rows)
	}
	fits := shape{Prompt: 3, Input: 4, Targets: 2, Batch: 2}
	if !b.have(fits) {
		t.Errorf("the batches do not have their own shape")
	}
	for _, other := range []shape{{4, 4, 2, 2}, {3, 5, 2, 2}, {3, 4, 3, 2}, {3, 4, 2, 1}} {
		if b.have(other) {
			t.Errorf("the batches have shape %+v", other)
		}
	}
}

func TestBatchesRefuse(t *testing.T) {
	for _, test := range []struct {
		name, want string
		change     func(list []models.NamedTensor) []models.NamedTensor
	}{
		{"no labels", "no tensor labels", func(l []models.NamedTensor) []models.NamedTensor { return l[:2] }},
		{"a flat prompt", "want 2 sizes", func(l []models.NamedTensor) []models.NamedTensor {
			l[0].Shape = []int64{24}
			return l
		}},
		{"other batches", "not of the same batches", func(l []models.NamedTensor) []models.NamedTensor {
			l[2].Shape = []int64{4, 1, 2}
			return l
		}},
		{"ids of another type", "want I32", func(l []models.NamedTensor) []models.NamedTensor {
			l[1].DType = "U32"
			return l
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			writeBatches(t, dir, test.change(testTensors(8)))
			if _, err := readBatches(filepath.Join(dir, batchesFile)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestTimeProduct(t *testing.T) {
	rt, err := ort.Open(ort.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, int8 := range []bool{false, true} {
		small, err := timeProduct(t.Context(), rt, [3]int64{16, 16, 16}, 1, int8)
		if err != nil {
			t.Fatal(err)
		}
		large, err := timeProduct(t.Context(), rt, [3]int64{512, 512, 512}, 1, int8)
		if err != nil || !(small > 0) || large <= small {
			t.Errorf("16³ takes %v s and 512³ %v s, %v", small, large, err)
		}
	}
}
