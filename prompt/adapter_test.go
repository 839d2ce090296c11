package prompt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// TestAdapters: folders that PEFT, DePT's authors and ADePT's code saved are
// prompts of the right method, sizes and values.
func TestAdapters(t *testing.T) {
	for name, want := range map[string]struct {
		method, base string
		sizes        Sizes
		width        int
		first        []float32 // of the matrix
	}{
		"peft-prompt-tuning": {MethodPromptTuning, "google-t5/t5-small", Sizes{Length: 3}, 32, nil},
		"peft-p-tuning":      {MethodPromptTuning, "google-t5/t5-small", Sizes{Length: 3}, 32, nil},
		"peft-multitask":     {MethodPromptTuning, "google-t5/t5-small", Sizes{Length: 3}, 32, nil},
		// The values that reference/dept-adept.md measured in the published file.
		"dept-sst2": {MethodDePT, "t5-base", Sizes{Length: 60, Rank: 30, Rows: 256}, 768, []float32{1.5253, -20.5575, -26.5511, -18.3853}},
		"adept":     {MethodADePT, "t5-base", Sizes{Length: 3, Rank: 2}, 4, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", "adapters", name)
			p, err := LoadFile(dir)
			if err != nil {
				t.Fatal(err)
			}
			rows, length, width, err := p.Matrix()
			if err != nil || p.Method != want.method || p.Sizes() != want.sizes || length != want.sizes.Length || width != want.width || p.Meta.BaseModel != want.base {
				t.Fatalf("%s of [%d,%d], %+v, for %q, %v", p.Method, length, width, p.Sizes(), p.Meta.BaseModel, err)
			}
			for i, w := range want.first {
				if d := rows[i] - w; d > 5e-5 || d < -5e-5 {
					t.Errorf("the matrix begins with %v, want %v", rows[:4], want.first)
				}
			}
			path := filepath.Join(t.TempDir(), FileName)
			if err := Save(path, p); err != nil {
				t.Fatal(err)
			}
			again, err := Load(path)
			if err != nil || again.Method != p.Method || again.Sizes() != p.Sizes() || again.Meta.Extra["peft_type"] == "" {
				t.Errorf("saved as a prompt: %+v, %v", again, err)
			}
		})
	}
}

// folder writes an adapter of a config and named tensors.
func adapterFolder(t *testing.T, config string, tensors ...models.NamedTensor) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, adapterConfig), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if tensors != nil {
		if err := models.WriteSafetensors(filepath.Join(dir, adapterWeights[0].name), tensors, nil); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// floats is a tensor of 0.5, 1.5, ….
func floats(name string, shape ...int64) models.NamedTensor {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	data := make([]byte, 4*n)
	for i := range n {
		copy(data[4*i:], []byte{0, 0, byte(i), 0x3f}) // 0.5 and a little more
	}
	return models.NamedTensor{Name: name, DType: models.F32, Shape: shape, Data: data}
}

// TestAdapterRows: of the rows for two submodules the first half is the
// encoder's, and a vocabulary's table beside the prompt is passed over.
func TestAdapterRows(t *testing.T) {
	p, err := LoadAdapter(adapterFolder(t, `{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 2, "num_transformer_submodules": 2, "token_dim": 3}`,
		floats("prompt_embeddings", 4, 3), floats("base_model.shared.weight", 7, 3)))
	if err != nil {
		t.Fatal(err)
	}
	rows, length, _, err := p.Matrix()
	if err != nil || length != 2 || len(rows) != 6 || len(p.Tensors) != 1 {
		t.Errorf("%d rows, %d values, %v", length, len(rows), err)
	}
}

// TestAdapterMultitask: a prompt of PEFT's multitask prompt tuning is the matrix
// times its task's part, and of the rows for two submodules the encoder's.
func TestAdapterMultitask(t *testing.T) {
	dir := filepath.Join("testdata", "adapters", "peft-multitask")
	p, err := LoadAdapter(dir)
	if err != nil {
		t.Fatal(err)
	}
	ck, err := models.OpenSafetensors(filepath.Join(dir, adapterWeights[0].name))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	parts := map[string][]float32{}
	for _, name := range ck.Names() {
		if parts[name], err = ck.Float32(name); err != nil {
			t.Fatal(err)
		}
	}
	rows, length, width, err := p.Matrix()
	if err != nil || length != 3 || len(parts["prompt_embeddings"]) != 2*len(rows) {
		t.Fatalf("%d rows of %d values, %v", length, len(parts["prompt_embeddings"]), err)
	}
	u, v := parts["prefix_task_cols"], parts["prefix_task_rows"]
	for i, got := range rows {
		at, column := i/width, i%width
		want := parts["prompt_embeddings"][i] * (u[2*at]*v[column] + u[2*at+1]*v[width+column])
		if d := got - want; d > 1e-8 || d < -1e-8 {
			t.Fatalf("row %d, column %d is %v, want %v", at, column, got, want)
		}
	}
}

// TestAdapterRefuses: what an adapter folder may have wrong is named.
func TestAdapterRefuses(t *testing.T) {
	const dept = `{"peft_type": "PROMPT_TUNING_LORA", "lora_alpha": 8}`
	const multitask = `{"peft_type": "MULTITASK_PROMPT_TUNING"}`
	prompt := floats("prompt_embeddings", 2, 3)
	for name, c := range map[string]struct {
		config  string
		tensors []models.NamedTensor
		want    string
	}{
		"no JSON":                  {"{", nil, "unexpected end of JSON"},
		"another type":             {`{"peft_type": "LORA"}`, nil, `peft_type is "LORA"`},
		"another task":             {`{"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM"}`, nil, `task_type is "CAUSAL_LM"`},
		"a negative size":          {`{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": -2}`, nil, "a size is negative or impossible"},
		"a size that wraps around": {`{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4611686018427387905, "num_transformer_submodules": 4}`, []models.NamedTensor{floats("prompt_embeddings", 4, 3)}, "a size is negative or impossible"},
		"a text for size":          {`{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": "2"}`, nil, "cannot unmarshal string"},
		"another scale":            {`{"peft_type": "PROMPT_TUNING_LORA", "lora_alpha": 16}`, nil, "lora_alpha is 16"},
		"no weights":               {dept, nil, "there is no adapter_model.safetensors, nor adapter_model.bin"},
		"no prompt":                {`{"peft_type": "PROMPT_TUNING"}`, []models.NamedTensor{floats("other", 2)}, "its weights have no prompt_embeddings"},
		"a part of DePT":           {dept, []models.NamedTensor{prompt}, "its weights have no prompt_encoder.lora_embedding_"},
		"a vector":                 {`{"peft_type": "PROMPT_TUNING"}`, []models.NamedTensor{floats("prompt_embeddings", 6)}, "is of shape [6]"},
		"another width":            {`{"peft_type": "PROMPT_TUNING", "token_dim": 4}`, []models.NamedTensor{prompt}, "token_dim is 4"},
		"other rows":               {`{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 3}`, []models.NamedTensor{prompt}, "num_virtual_tokens is 3"},
		"ranks that differ":        {dept, []models.NamedTensor{prompt, floats("prompt_encoder.lora_embedding_A", 5, 2), floats("prompt_encoder.lora_embedding_B", 3, 3)}, `tensor "b"`},
		"two tasks":                {multitask, []models.NamedTensor{prompt, floats("prefix_task_cols", 2, 2, 1), floats("prefix_task_rows", 2, 1, 3)}, "it is of 2 tasks"},
		"no tasks":                 {multitask, []models.NamedTensor{prompt, floats("prefix_task_cols", 2, 1), floats("prefix_task_rows", 1, 3)}, "of shape [2 1], want three"},
		"other rows of a task": {multitask, []models.NamedTensor{
			prompt, floats("prefix_task_cols", 1, 3, 1), floats("prefix_task_rows", 1, 1, 3),
		}, `tensor "u"`},
		"a wide network": {`{"peft_type": "PROMPT_TUNING_LORAX"}`, []models.NamedTensor{
			prompt, floats("prompt_encoder.lora_embedding_A", 4, 2), floats("prompt_encoder.lora_embedding_a", 2),
			floats("prompt_encoder.lora_embedding_B", 2, 3), floats("prompt_encoder.lora_embedding_b", 3),
		}, `tensor "w1"`},
		"too long": {`{"peft_type": "` + strings.Repeat("x", maxAdapterConfig) + `"}`, nil, "more than 1048576 bytes"},
	} {
		dir := adapterFolder(t, c.config, c.tensors...)
		p, err := LoadFile(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %+v, %v, want %q", name, p, err, c.want)
		}
	}
	// One of the published adapters, saved without what belongs to it.
	_, err := LoadFile(filepath.Join("testdata", "adapters", "dept-wic"))
	if err == nil || !strings.Contains(hint.Of(err), "some published adapters of DePT") {
		t.Errorf("half an adapter: %v, hint %q", err, hint.Of(err))
	}
}

func FuzzAdapterConfig(f *testing.F) {
	for _, name := range []string{"peft-prompt-tuning", "peft-p-tuning", "peft-multitask", "dept-sst2", "dept-wic", "adept"} {
		data, err := os.ReadFile(filepath.Join("testdata", "adapters", name, adapterConfig))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseAdapter(data)
		if err != nil {
			return
		}
		if _, ok := adapterForms[c.Type]; !ok || c.Vectors < 0 || c.Width < 0 {
			t.Errorf("%+v was taken", c)
		}
		if !json.Valid(data) {
			t.Errorf("%q is no JSON", data)
		}
	})
}
