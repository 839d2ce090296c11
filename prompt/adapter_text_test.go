package prompt

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// TestAdapterTexts: each mistake is told in full, after the folder that it is in.
func TestAdapterTexts(t *testing.T) {
	const plain, dept, adept, multitask = `"peft_type": "PROMPT_TUNING"`, `{"peft_type": "PROMPT_TUNING_LORA"}`, `{"peft_type": "PROMPT_TUNING_LORAX"}`, `{"peft_type": "MULTITASK_PROMPT_TUNING"}`
	matrix := floats("prompt_embeddings", 2, 3)
	lora := func(name string, shape ...int64) models.NamedTensor {
		return floats("prompt_encoder.lora_embedding_"+name, shape...)
	}
	spoilt := stored(t, "prompt_embeddings", models.F32, []float32{0, 1, 2, 3, float32(math.Inf(-1)), 5}, 2, 3)
	list := func(tensors ...models.NamedTensor) []models.NamedTensor { return tensors }
	for _, c := range []struct {
		config  string
		tensors []models.NamedTensor
		want    string
	}{
		{"", nil, "reading adapter_config.json: unexpected end of JSON input"},
		{"[]", nil, "reading adapter_config.json: json: cannot unmarshal array into Go value of type prompt.adapter"},
		{"null", nil, `adapter_config.json: peft_type is ""`},
		{"{} {}", nil, "reading adapter_config.json: invalid character '{' after top-level value"},
		{`{"peft_type": 3}`, nil, "reading adapter_config.json: json: cannot unmarshal number into Go struct field adapter.peft_type of type string"},
		{`{"peft_type": "` + strings.Repeat("X", 50) + `"}`, nil, `adapter_config.json: peft_type is "` + strings.Repeat("X", 40) + `"`},
		{`{` + plain + `, "num_virtual_tokens": 2.5}`, nil, "reading adapter_config.json: json: cannot unmarshal number 2.5 into Go struct field adapter.num_virtual_tokens of type int"},
		{`{` + plain + `, "task_type": "SEQ_CLS"}`, nil, `adapter_config.json: task_type is "SEQ_CLS", and T5's is SEQ_2_SEQ_LM`},
		{`{` + plain + `, "token_dim": 2147483648}`, nil, "adapter_config.json: a size is negative or impossible"},
		{`{` + plain + `, "r": -1}`, nil, "adapter_config.json: a size is negative or impossible"},
		{`{` + plain + `, "max_length": -1}`, nil, "adapter_config.json: a size is negative or impossible"},
		{`{"peft_type": "PROMPT_TUNING_LORA", "lora_alpha": -0.5}`, nil, "adapter_config.json: lora_alpha is -0.5, and DePT's scale is known for 8 alone"},
		{`{` + plain + `}`, list(floats("prompt", 2, 3)), "its weights have no prompt_embeddings"},
		{`{` + plain + `}`, list(floats("prompt_embeddings", 0, 3)), `tensor "prompt": shape [0 3], but 0 values`},
		{`{` + plain + `}`, list(spoilt), `tensor "prompt": row 1, column 1 is -Inf`},
		{`{` + plain + `}`, list(floats("prompt_embeddings", 1, 2, 3)), "prompt_embeddings is of shape [1 2 3], want rows of the model's width"},
		{`{` + plain + `, "token_dim": 2}`, list(matrix), "prompt_embeddings has rows of 3, and token_dim is 2"},
		{`{` + plain + `, "num_virtual_tokens": 5}`, list(matrix), "prompt_embeddings has 2 rows, and num_virtual_tokens is 5"},
		{`{` + plain + `, "num_virtual_tokens": 1, "num_transformer_submodules": 3}`, list(matrix), "prompt_embeddings has 2 rows, and num_virtual_tokens is 1"},
		{dept, list(matrix, lora("A", 4, 2)), "its weights have no prompt_encoder.lora_embedding_B"},
		{dept, list(matrix, lora("A", 4), lora("B", 2, 3)), "method dept: the length of the inputs is not known, which says how many rows A has"},
		{dept, list(matrix, lora("A", 4, 2), lora("B", 3, 3)), `tensor "b": shape [3 3], want [2,3]`},
		{adept, list(matrix, lora("A", 3, 2), lora("a", 2), lora("B", 2, 3)), "its weights have no prompt_encoder.lora_embedding_b"},
		{adept, list(matrix, lora("A", 3, 2), lora("a", 3), lora("B", 2, 3), lora("b", 3)), `tensor "b1": shape [3], want [2]`},
		{multitask, list(matrix, floats("prefix_task_cols", 1, 2, 1), floats("prefix_task_rows", 3, 1, 3)), "it is of 3 tasks, and a prompt is of one"},
		{multitask, list(matrix, floats("prefix_task_cols", 1, 2, 1), floats("prefix_task_rows", 1, 3)), "the tensor of its tasks that is v here is of shape [1 3], want three sizes"},
		{multitask[:len(multitask)-1] + `, "num_virtual_tokens": 2}`, list(matrix, floats("prefix_task_cols", 1, 5, 1), floats("prefix_task_rows", 1, 1, 3)), "prefix_task_cols has 5 rows, and num_virtual_tokens is 2"},
	} {
		dir := adapterFolder(t, c.config, c.tensors...)
		want := "loading the adapter " + dir + ": " + c.want
		if p, err := LoadFile(dir); err == nil || err.Error() != want {
			t.Errorf("%s with %d tensors: %+v, %v\nwant %s", c.config, len(c.tensors), p, err, want)
		}
	}
}

// TestAdapterHints: where something else can be done about it, the error says so.
func TestAdapterHints(t *testing.T) {
	for config, c := range map[string]struct {
		tensors []models.NamedTensor
		want    string
	}{
		`{"peft_type": "LORA"}`:          {nil, "read are PROMPT_TUNING, P_TUNING, MULTITASK_PROMPT_TUNING, and DePT's and ADePT's PROMPT_TUNING_LORA and PROMPT_TUNING_LORAX"},
		`{"peft_type": "PROMPT_TUNING"}`: {[]models.NamedTensor{floats("x", 1)}, "without it the prompt does not do what it did; some published adapters of DePT were saved so"},
		`{"peft_type": "MULTITASK_PROMPT_TUNING"}`: {
			[]models.NamedTensor{floats("prompt_embeddings", 1, 1), floats("prefix_task_cols", 2, 1, 1), floats("prefix_task_rows", 2, 1, 1)},
			"PEFT's prompt_tuning_init EXACT_SOURCE_TASK makes an adapter of one of them",
		},
	} {
		if _, err := LoadFile(adapterFolder(t, config, c.tensors...)); hint.Of(err) != c.want {
			t.Errorf("%s: hint %q of %v, want %q", config, hint.Of(err), err, c.want)
		}
	}
}

// TestAdapterFiles: weights are looked for in PEFT's order, a folder in a file's
// place is none, and a prompt of ours in the folder goes before the adapter.
func TestAdapterFiles(t *testing.T) {
	dir := adapterFolder(t, `{"peft_type": "PROMPT_TUNING"}`, floats("prompt_embeddings", 2, 3))
	bin := filepath.Join(dir, "adapter_model.bin")
	if err := os.WriteFile(bin, []byte("no pickle"), 0o644); err != nil {
		t.Fatal(err)
	}
	if p, err := LoadFile(dir); err != nil || p.Meta.Length != 2 {
		t.Errorf("with both forms of weights: %+v, %v", p, err)
	}
	if err := Save(filepath.Join(dir, FileName), New([]float32{1, 2}, 1, 2)); err != nil {
		t.Fatal(err)
	}
	if p, err := LoadFile(dir); err != nil || p.Meta.Length != 1 {
		t.Errorf("with a prompt of ours: %+v, %v", p, err)
	}
	if p, err := LoadAdapter(dir); err != nil || p.Meta.Length != 2 {
		t.Errorf("asked for the adapter: %+v, %v", p, err)
	}
	if err := os.Remove(filepath.Join(dir, adapterWeights[0].name)); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAdapter(dir); err == nil || !strings.HasPrefix(err.Error(), "loading the adapter "+dir+": reading weights from "+bin+": ") {
		t.Errorf("a .bin that is none: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, adapterWeights[0].name), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAdapter(dir); err == nil || !strings.Contains(err.Error(), "adapter_model.safetensors is not a regular file") {
		t.Errorf("a folder of weights: %v", err)
	}
	none := t.TempDir()
	if err := os.Mkdir(filepath.Join(none, adapterConfig), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(none); err == nil || err.Error() != "loading a prompt from "+none+": no prompt.safetensors in this folder" {
		t.Errorf("a folder as configuration: %v", err)
	}
	if _, err := LoadAdapter(none); err == nil || !strings.Contains(err.Error(), "reading adapter_config.json: ") {
		t.Errorf("read all the same: %v", err)
	}
	if _, err := LoadAdapter(t.TempDir()); err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
}

// FuzzAdapter: whatever the two files of an adapter hold, it is refused or is a
// prompt that can be saved.
func FuzzAdapter(f *testing.F) {
	for _, name := range []string{"peft-prompt-tuning", "peft-p-tuning", "peft-multitask"} {
		dir := filepath.Join("testdata", "adapters", name)
		config, err := os.ReadFile(filepath.Join(dir, adapterConfig))
		if err != nil {
			f.Fatal(err)
		}
		weights, err := os.ReadFile(filepath.Join(dir, adapterWeights[0].name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(config, weights)
	}
	for form, tensors := range map[string][]models.NamedTensor{
		"PROMPT_TUNING_LORA":  {floats("prompt_embeddings", 2, 3), floats("prompt_encoder.lora_embedding_A", 4, 2), floats("prompt_encoder.lora_embedding_B", 2, 3)},
		"PROMPT_TUNING_LORAX": {floats("prompt_embeddings", 2, 3), floats("prompt_encoder.lora_embedding_A", 3), floats("prompt_encoder.lora_embedding_b", 3)},
	} {
		weights, err := models.MarshalSafetensors(tensors, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(`{"peft_type": "`+form+`", "num_virtual_tokens": 1, "num_transformer_submodules": 2}`), weights)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		for name, data := range map[string][]byte{adapterConfig: config, adapterWeights[0].name: weights} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p, err := LoadAdapter(dir)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "loading the adapter "+dir+": ") {
				t.Errorf("the error names no folder: %v", err)
			}
			return
		}
		if err := p.Check(); err != nil {
			t.Errorf("%s was read, and cannot be saved: %v", config, err)
		}
	})
}
