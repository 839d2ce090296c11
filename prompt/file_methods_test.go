package prompt

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// TestSaveMethods: a prompt of any method and any sizes is loaded with what was
// saved, and the order that its tensors were in changes no byte of the file.
func TestSaveMethods(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, FileName), filepath.Join(dir, "other.safetensors")
	small := rapid.IntRange(1, 4)
	for _, name := range MethodNames() {
		random := rapid.Custom(func(t *rapid.T) *Prompt {
			m := methodOf(t, name, Sizes{Length: small.Draw(t, "length"), Rank: small.Draw(t, "rank"), Hidden: small.Draw(t, "hidden"), Rows: small.Draw(t, "rows")})
			return randomPromptOf(m, rapid.Uint64().Draw(t, "seed"))
		})
		for seed := range 2 {
			p := random.Example(seed)
			if err := Save(one, p); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := LoadFile(one)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			slices.SortFunc(p.Tensors, func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
			if diff := cmp.Diff(p, got); diff != "" {
				t.Fatalf("%s: saved -, loaded +:\n%s", name, diff)
			}
			slices.Reverse(p.Tensors)
			if err := Save(two, p); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			first, err := os.ReadFile(one)
			if err != nil {
				t.Fatal(err)
			}
			if second, err := os.ReadFile(two); err != nil || !bytes.Equal(first, second) {
				t.Errorf("%s: tensors in another order gave other bytes, %v", name, err)
			}
		}
	}
}

// foreign writes a prompt file by hand: metadata without the prefix, which is
// that of a prompt [2,3] unless it says something else.
func foreign(t *testing.T, meta map[string]string, tensors ...models.NamedTensor) string {
	t.Helper()
	all := map[string]string{keyFormat: "1", keyMethod: MethodPromptTuning, keyPrefix + "length": "2", keyPrefix + "d_model": "3"}
	for key, text := range meta {
		if all[keyPrefix+key] = text; text == "-" {
			delete(all, keyPrefix+key)
		}
	}
	data, err := models.MarshalSafetensors(tensors, all)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "p.safetensors")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLoadHalves: a file that someone made smaller, in float16 or bfloat16, has
// the same values where these hold them.
func TestLoadHalves(t *testing.T) {
	want := []float32{0, -1, 0.5, 1.75, -2.25, 3}
	for _, dtype := range []models.DType{models.F32, models.F16, models.BF16} {
		p, err := Load(foreign(t, nil, stored(t, TensorPrompt, dtype, want, 2, 3)))
		if err != nil || !slices.Equal(p.Tensor(TensorPrompt).Data, want) {
			t.Errorf("%s: %+v, %v", dtype, p, err)
		}
	}
}

// TestLoadTexts: what is wrong with a file's tensors or metadata is told in full,
// after the file.
func TestLoadTexts(t *testing.T) {
	matrix := floats(TensorPrompt, 2, 3)
	type meta = map[string]string
	dept := meta{"method": MethodDePT, "size.rank": "2", "size.rows": "4"}
	for _, c := range []struct {
		meta    meta
		tensors []models.NamedTensor
		want    string
	}{
		{nil, nil, "the prompt has no tensors"},
		{nil, []models.NamedTensor{floats(TensorPrompt, 6)}, `a prompt of method "prompt-tuning" has no matrix "prompt"`},
		{nil, []models.NamedTensor{floats(TensorPrompt, 3, 2)}, `tensor "prompt" is [3 2], but the prompt says that it has 2 vectors of width 3`},
		{meta{"d_model": "-"}, []models.NamedTensor{matrix}, `tensor "prompt" is [2 3], but the prompt says that it has 2 vectors of width 0`},
		{nil, []models.NamedTensor{matrix, floats("w1", 2)}, `tensor "w1" is none of method prompt-tuning`},
		{meta{"method": "-"}, []models.NamedTensor{matrix}, "the prompt names no method"},
		{meta{"method": "lora"}, []models.NamedTensor{matrix}, `there is no method "lora"`},
		{meta{"size.rank": "-3"}, []models.NamedTensor{matrix}, "method prompt-tuning: the size rank is -3"},
		{dept, []models.NamedTensor{matrix, floats("b", 2, 3)}, `a prompt of method dept has a tensor "a", and this one lacks it`},
		{dept, []models.NamedTensor{matrix, floats("a", 4, 2), floats("b", 2, 2)}, `tensor "b": shape [2 2], want [2,3]`},
		{dept, []models.NamedTensor{matrix, floats("a", 4, 2), floats("b", 2, 3), floats("c", 1)}, `tensor "c" is none of method dept`},
		{meta{"method": MethodMultitask, "size.rank": "1"}, []models.NamedTensor{matrix, floats("u", 3, 1), floats("v", 1, 3)}, `tensor "u" is of a prompt of length 3, but the prompt says 2`},
		{meta{"method": MethodPTuning, "size.hidden": "1"}, []models.NamedTensor{floats("embedding", 2, 3)}, `a prompt of method p-tuning has a tensor "w1", and this one lacks it`},
		{meta{"placement": "top"}, []models.NamedTensor{matrix}, `method prompt-tuning: there is no placement "top"`},
		{meta{"format": "1.0"}, []models.NamedTensor{matrix}, `metadata softprompt.format is "1.0", want a version`},
		{meta{"max_input": "4294967296"}, []models.NamedTensor{matrix}, "max_input is 4294967296"},
		{meta{"max_target": "-1"}, []models.NamedTensor{matrix}, "max_target is -1"},
		{meta{"seed": "-1"}, []models.NamedTensor{matrix}, `metadata softprompt.seed is "-1": want a value of type uint64`},
		{meta{"step": "9223372036854775808"}, []models.NamedTensor{matrix}, `metadata softprompt.step is "9223372036854775808": want a value of type int64`},
		{meta{"score": "half"}, []models.NamedTensor{matrix}, `metadata softprompt.score is "half": want a value of type float64`},
		{meta{"length": "2 "}, []models.NamedTensor{matrix}, `metadata softprompt.length is "2 ": want a value of type int`},
		{meta{"labels": `{"a": 1}`}, []models.NamedTensor{matrix}, `metadata softprompt.labels is "{\"a\": 1}": want a value of type []string`},
		{meta{"calibration": "1,2"}, []models.NamedTensor{matrix}, `metadata softprompt.calibration is "1,2": want numbers between spaces`},
		{meta{"calibration": "0.5"}, []models.NamedTensor{matrix}, "1 calibration values for 0 labels"},
		{meta{"labels": `["a","b"]`, "calibration": "1 Inf"}, []models.NamedTensor{matrix}, `calibration of label "b" is +Inf`},
		{meta{"size.": "x"}, []models.NamedTensor{matrix}, `metadata softprompt.size. is "x", want a number`},
		{meta{"Length": "2"}, []models.NamedTensor{matrix}, `unknown metadata "softprompt.Length"`},
		{meta{strings.Repeat("z", 99): ""}, []models.NamedTensor{matrix}, `unknown metadata "softprompt.` + strings.Repeat("z", 69) + `"`},
	} {
		path := foreign(t, c.meta, c.tensors...)
		want := "loading a prompt from " + path + ": " + c.want
		if p, err := LoadFile(path); err == nil || err.Error() != want {
			t.Errorf("%v: %+v, %v\nwant %s", c.meta, p, err, want)
		}
	}
}

// TestLoadFolders: of a folder that has no prompt itself but runs below it, the
// error names them; what is broken there is not passed over for something else.
func TestLoadFolders(t *testing.T) {
	dir := t.TempDir()
	for _, seed := range []string{"seed-2", "seed-1"} {
		if err := os.Mkdir(filepath.Join(dir, seed), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := Save(filepath.Join(dir, seed, FileName), full()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := LoadFile(dir)
	if err == nil || err.Error() != fmt.Sprintf("loading a prompt from %s: it holds several", dir) ||
		hint.Of(err) != fmt.Sprintf("name one of them: %s, %s", filepath.Join(dir, "seed-1"), filepath.Join(dir, "seed-2")) {
		t.Errorf("%v, hint %q", err, hint.Of(err))
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte("cut off"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(dir); err == nil || !strings.HasPrefix(err.Error(), "loading a prompt: reading weights from "+filepath.Join(dir, FileName)) {
		t.Errorf("a broken prompt above good ones: %v", err)
	}
	loop := t.TempDir()
	if err := os.Symlink(FileName, filepath.Join(loop, FileName)); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if _, err := LoadFile(loop); err == nil || !strings.Contains(err.Error(), "loading a prompt: stat "+filepath.Join(loop, FileName)) {
		t.Errorf("a link to itself: %v", err)
	}
}

// TestCheckNumbers: the first value that is no number is named by its row and
// column, whatever the tensor's axes.
func TestCheckNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := methodOf(t, rapid.SampledFrom([]string{MethodADePT, MethodPrefix, MethodModel, MethodIA3}).Draw(t, "method"), Sizes{Length: 2, Rank: 2})
		p := randomPromptOf(m, 1)
		x := &p.Tensors[rapid.IntRange(0, len(p.Tensors)-1).Draw(t, "tensor")]
		at := rapid.IntRange(0, len(x.Data)-1).Draw(t, "at")
		x.Data[at] = float32(rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}).Draw(t, "value"))
		rows := rowsOf(make([]float32, len(x.Data)), int(x.Shape[len(x.Shape)-1]))
		row, column := 0, at
		for column >= len(rows[row]) {
			column -= len(rows[row])
			row++
		}
		want := fmt.Sprintf("tensor %q: row %d, column %d is %v", x.Name, row, column, x.Data[at])
		if err := p.Check(); err == nil || err.Error() != want {
			t.Fatalf("%v, want %s", err, want)
		}
	})
}
