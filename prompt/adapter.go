package prompt

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// An adapter folder is what PEFT's save_pretrained writes, and the code of DePT
// and ADePT, which are copies of PEFT with a type of their own: a description
// in JSON and one file of tensors.

// The files of an adapter folder, weights in the order that PEFT looks for
// them.
const adapterConfig = "adapter_config.json"

var adapterWeights = []struct {
	name string
	open func(path string) (*models.Checkpoint, error)
}{
	{"adapter_model.safetensors", models.OpenSafetensors},
	{"adapter_model.bin", models.OpenPyTorch},
}

// maxAdapterConfig bounds the JSON.
const maxAdapterConfig = 1 << 20

// adapter is what of adapter_config.json decides how the tensors are used
// (peft/config.py, and tuners/prompt_tuning_lora.py of DePT).
type adapter struct {
	Type       string  `json:"peft_type"`
	Task       string  `json:"task_type"`
	Base       string  `json:"base_model_name_or_path"`
	Revision   string  `json:"revision"`
	Vectors    int     `json:"num_virtual_tokens"`
	Submodules int     `json:"num_transformer_submodules"`
	Width      int     `json:"token_dim"`
	Rank       int     `json:"r"`
	Alpha      float64 `json:"lora_alpha"`
	MaxLength  int     `json:"max_length"`
}

// adapterForm says how the tensors of a type of adapter are named, and which
// method they are of.
type adapterForm struct {
	method  string
	tensors map[string]string // ours by theirs
	// size reads the method's sizes off the tensors; nil is of a method that has
	// none but its length.
	size func(c *adapter, p *Prompt) (Sizes, error)
}

// adapterForms is the table of the types that are read.
var adapterForms = map[string]adapterForm{
	"PROMPT_TUNING": {MethodPromptTuning, map[string]string{"prompt_embeddings": TensorPrompt}, nil},
	// What PEFT keeps of P-tuning is what its network made.
	"P_TUNING": {MethodPromptTuning, map[string]string{"prompt_embeddings": TensorPrompt}, nil},
	"MULTITASK_PROMPT_TUNING": {MethodMultitask, map[string]string{
		"prompt_embeddings": TensorPrompt, "prefix_task_cols": TensorU, "prefix_task_rows": TensorV,
	}, (*adapter).sizeMultitask},
	"PROMPT_TUNING_LORA": {MethodDePT, map[string]string{
		"prompt_embeddings": TensorPrompt, "prompt_encoder.lora_embedding_A": TensorDePTA, "prompt_encoder.lora_embedding_B": TensorDePTB,
	}, (*adapter).sizeDePT},
	"PROMPT_TUNING_LORAX": {MethodADePT, map[string]string{
		"prompt_embeddings": TensorPrompt, "prompt_encoder.lora_embedding_A": TensorW1, "prompt_encoder.lora_embedding_a": TensorB1,
		"prompt_encoder.lora_embedding_B": TensorW2, "prompt_encoder.lora_embedding_b": TensorB2,
	}, (*adapter).sizeADePT},
}

// deptAlpha is the only lora_alpha that DePT's scale is known for.
const deptAlpha = 8

// isAdapter tells whether a folder is one.
func isAdapter(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, adapterConfig))
	return err == nil && info.Mode().IsRegular()
}

// LoadAdapter reads a prompt from an adapter folder of PEFT (prompt tuning,
// P-tuning and multitask prompt tuning), DePT or ADePT. It says nothing about
// its task, and of its model the name alone.
func LoadAdapter(dir string) (*Prompt, error) {
	p, err := loadAdapter(dir)
	if err != nil {
		return nil, fmt.Errorf("loading the adapter %s: %w", dir, err)
	}
	return p, nil
}

func loadAdapter(dir string) (*Prompt, error) {
	c, err := readAdapterConfig(filepath.Join(dir, adapterConfig))
	if err != nil {
		return nil, err
	}
	weights, err := openAdapterWeights(dir)
	if err != nil {
		return nil, err
	}
	defer weights.Close()
	p, err := c.prompt(weights)
	if err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	if p.Method == MethodMultitask {
		return foldMultitask(p)
	}
	return p, nil
}

// readAdapterConfig reads and checks the description.
func readAdapterConfig(path string) (*adapter, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAdapterConfig+1))
	if err == nil && len(data) > maxAdapterConfig {
		err = fmt.Errorf("more than %d bytes", maxAdapterConfig)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", adapterConfig, err)
	}
	return parseAdapter(data)
}

// parseAdapter reads the description's JSON.
func parseAdapter(data []byte) (*adapter, error) {
	var c adapter
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("reading %s: %w", adapterConfig, err)
	}
	form, ok := adapterForms[c.Type]
	switch {
	case !ok:
		return nil, hint.Wrap(fmt.Errorf("%s: peft_type is %.40q", adapterConfig, c.Type),
			"read are PROMPT_TUNING, P_TUNING, MULTITASK_PROMPT_TUNING, and DePT's and ADePT's PROMPT_TUNING_LORA and PROMPT_TUNING_LORAX")
	case c.Task != "" && c.Task != "SEQ_2_SEQ_LM":
		return nil, fmt.Errorf("%s: task_type is %.40q, and T5's is SEQ_2_SEQ_LM", adapterConfig, c.Task)
	case slices.ContainsFunc([]int{c.Vectors, c.Width, c.Rank, c.MaxLength, c.Submodules}, func(n int) bool { return n < 0 || n > math.MaxInt32 }):
		return nil, fmt.Errorf("%s: a size is negative or impossible", adapterConfig)
	case form.method == MethodDePT && c.Alpha != deptAlpha && c.Alpha != 0:
		return nil, fmt.Errorf("%s: lora_alpha is %v, and DePT's scale is known for %d alone", adapterConfig, c.Alpha, deptAlpha)
	}
	return &c, nil
}

// openAdapterWeights opens the tensors.
func openAdapterWeights(dir string) (*models.Checkpoint, error) {
	for _, w := range adapterWeights {
		path := filepath.Join(dir, w.name)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return w.open(path)
		}
	}
	return nil, fmt.Errorf("there is no %s, nor %s", adapterWeights[0].name, adapterWeights[1].name)
}

// prompt puts the tensors together.
func (c *adapter) prompt(weights *models.Checkpoint) (*Prompt, error) {
	form := adapterForms[c.Type]
	p := &Prompt{Method: form.method, Meta: Meta{BaseModel: c.Base, Revision: c.Revision, Extra: map[string]string{"peft_type": c.Type}}}
	for _, name := range weights.Names() {
		own, ok := form.tensors[name]
		if !ok {
			continue // PEFT ignores it too; a resized vocabulary's tables lie here
		}
		info, _ := weights.Lookup(name)
		data, err := weights.Float32(name)
		if err != nil {
			return nil, err
		}
		p.Tensors = append(p.Tensors, Tensor{own, slices.Clone(info.Shape), data})
	}
	for _, theirs := range slices.Sorted(maps.Keys(form.tensors)) {
		if p.Tensor(form.tensors[theirs]) == nil {
			return nil, hint.Wrap(fmt.Errorf("its weights have no %s", theirs),
				"without it the prompt does not do what it did; some published adapters of DePT were saved so")
		}
	}
	matrix := p.Tensor(TensorPrompt)
	if len(matrix.Shape) != 2 {
		return nil, fmt.Errorf("prompt_embeddings is of shape %v, want rows of the model's width", matrix.Shape)
	}
	if c.Width > 0 && int64(c.Width) != matrix.Shape[1] {
		return nil, fmt.Errorf("prompt_embeddings has rows of %d, and token_dim is %d", matrix.Shape[1], c.Width)
	}
	if form.size != nil {
		sizes, err := form.size(c, p)
		if err != nil {
			return nil, err
		}
		p.Meta.Sizes = sizes.Map()
	}
	if err := c.encoderRows("prompt_embeddings", matrix); err != nil {
		return nil, err
	}
	p.Meta.Length, p.Meta.DModel = int(matrix.Shape[0]), int(matrix.Shape[1])
	return p, nil
}

// sizeDePT reads the rows and the rank off A [L,r].
func (c *adapter) sizeDePT(p *Prompt) (s Sizes, err error) {
	if a := p.Tensor(TensorDePTA).Shape; len(a) == 2 {
		s.Rows, s.Rank = int(a[0]), int(a[1])
	}
	p.Meta.MaxInput = s.Rows
	return s, nil
}

// sizeADePT reads the rank off W1 [d,r].
func (c *adapter) sizeADePT(p *Prompt) (s Sizes, err error) {
	if w := p.Tensor(TensorW1).Shape; len(w) == 2 {
		s.Rank = int(w[1])
	}
	p.Meta.MaxInput = c.MaxLength
	return s, nil
}

// sizeMultitask makes of what PEFT keeps for each task, which has to be one, U
// [P,r] and V [r,d].
func (c *adapter) sizeMultitask(p *Prompt) (Sizes, error) {
	u, v := p.Tensor(TensorU), p.Tensor(TensorV)
	if err := oneTask(u, v); err != nil {
		return Sizes{}, err
	}
	return Sizes{Rank: int(u.Shape[1])}, c.encoderRows("prefix_task_cols", u)
}

// encoderRows cuts a matrix to the encoder's rows: where PEFT has a prompt for
// each of two submodules, it reads the first one's alone.
func (c *adapter) encoderRows(name string, m *Tensor) error {
	rows, width := int(m.Shape[0]), int(m.Shape[1])
	if c.Vectors == 0 || rows == c.Vectors {
		return nil
	}
	if rows != c.Vectors*cmp.Or(c.Submodules, 2) {
		return fmt.Errorf("%s has %d rows, and num_virtual_tokens is %d", name, rows, c.Vectors)
	}
	m.Shape[0], m.Data = int64(c.Vectors), m.Data[:c.Vectors*width]
	return nil
}

// oneTask takes away the first axis of what PEFT keeps for each task, which is
// one of one task.
func oneTask(tensors ...*Tensor) error {
	for _, t := range tensors {
		if len(t.Shape) != 3 {
			return fmt.Errorf("the tensor of its tasks that is %s here is of shape %v, want three sizes", t.Name, t.Shape)
		}
		if t.Shape[0] != 1 {
			return hint.Wrap(fmt.Errorf("it is of %d tasks, and a prompt is of one", t.Shape[0]),
				"PEFT's prompt_tuning_init EXACT_SOURCE_TASK makes an adapter of one of them")
		}
		t.Shape = t.Shape[1:]
	}
	return nil
}
