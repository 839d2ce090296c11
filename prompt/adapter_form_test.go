package prompt

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"softprompt/models"
)

// stored encodes values as a type that holds them.
func stored(t fataler, name string, dtype models.DType, values []float32, shape ...int64) models.NamedTensor {
	t.Helper()
	var data []byte
	for _, v := range values {
		bits := math.Float32bits(v)
		switch dtype {
		case models.F32:
			data = binary.LittleEndian.AppendUint32(data, bits)
		case models.BF16: // the upper half
			data = binary.LittleEndian.AppendUint16(data, uint16(bits>>16))
		case models.F16: // 5 bits of exponent about 15 for 8 about 127, 10 of fraction for 23
			half := uint16(bits >> 16 & 0x8000)
			if v != 0 {
				half |= uint16(bits>>23&0xff-112)<<10 | uint16(bits>>13&0x3ff)
			}
			data = binary.LittleEndian.AppendUint16(data, half)
		default:
			t.Fatalf("no values of type %s", dtype)
		}
	}
	return models.NamedTensor{Name: name, DType: dtype, Shape: shape, Data: data}
}

// saved is an adapter as its program saves it.
type saved struct {
	config  map[string]any
	tensors map[string]Tensor // by their names there
	want    *Prompt           // before anything is folded
}

// drawAdapter draws an adapter of a type. Values are multiples of 1/8, which
// every type of float holds.
func drawAdapter(t *rapid.T, form string) saved {
	small := rapid.IntRange(1, 4)
	length, width, rank, rows := small.Draw(t, "length"), small.Draw(t, "width"), small.Draw(t, "rank"), small.Draw(t, "rows")
	submodules := 1
	config := map[string]any{"peft_type": form, "base_model_name_or_path": "org/name", "revision": nil, "task_type": "SEQ_2_SEQ_LM", "inference_mode": true}
	if form == "PROMPT_TUNING" || form == "MULTITASK_PROMPT_TUNING" {
		submodules = small.Draw(t, "submodules")
		config["num_transformer_submodules"] = submodules
	}
	if submodules > 1 || rapid.Bool().Draw(t, "stated") {
		config["num_virtual_tokens"], config["token_dim"] = length, width
	}
	value := rapid.Map(rapid.IntRange(-16, 16), func(n int) float32 { return float32(n) / 8 })
	s := saved{config: config, tensors: map[string]Tensor{}, want: &Prompt{Meta: Meta{Length: length, DModel: width, BaseModel: "org/name", Extra: map[string]string{"peft_type": form}}}}
	// add has a tensor of ours under their name; of its rows, the first keep are ours.
	add := func(theirs, ours string, keep int, shape ...int) {
		n := 1
		sizes := make([]int64, len(shape))
		for i, d := range shape {
			n, sizes[i] = n*d, int64(d)
		}
		data := rapid.SliceOfN(value, n, n).Draw(t, theirs)
		s.tensors[theirs] = Tensor{theirs, sizes, data}
		own := slices.Clone(sizes)
		if len(own) == 3 {
			own = own[1:] // of the one task
		}
		if keep > 0 {
			data, own[0] = data[:len(data)/int(own[0])*keep], int64(keep)
		}
		s.want.Tensors = append(s.want.Tensors, Tensor{ours, own, slices.Clone(data)})
	}
	add("prompt_embeddings", TensorPrompt, length, submodules*length, width)
	switch s.want.Method = MethodPromptTuning; form {
	case "MULTITASK_PROMPT_TUNING":
		s.want.Method, s.want.Meta.Sizes = MethodMultitask, map[string]int{"rank": rank}
		add("prefix_task_cols", TensorU, length, 1, submodules*length, rank)
		add("prefix_task_rows", TensorV, 0, 1, rank, width)
	case "PROMPT_TUNING_LORA":
		s.want.Method, s.want.Meta.Sizes, s.want.Meta.MaxInput = MethodDePT, map[string]int{"rank": rank, "rows": rows}, rows
		add("prompt_encoder.lora_embedding_A", TensorDePTA, 0, rows, rank)
		add("prompt_encoder.lora_embedding_B", TensorDePTB, 0, rank, width)
	case "PROMPT_TUNING_LORAX":
		s.want.Method, s.want.Meta.Sizes, s.want.Meta.MaxInput = MethodADePT, map[string]int{"rank": rank}, rows
		config["max_length"] = rows
		add("prompt_encoder.lora_embedding_A", TensorW1, 0, width, rank)
		add("prompt_encoder.lora_embedding_a", TensorB1, 0, rank)
		add("prompt_encoder.lora_embedding_B", TensorW2, 0, rank, width)
		add("prompt_encoder.lora_embedding_b", TensorB2, 0, width)
	}
	return s
}

// save writes the adapter's two files.
func (s saved) save(t fataler, dir string, dtype models.DType, more ...models.NamedTensor) {
	t.Helper()
	config, err := json.Marshal(s.config)
	if err != nil {
		t.Fatal(err)
	}
	tensors := more
	for _, x := range s.tensors {
		tensors = append(tensors, stored(t, x.Name, dtype, x.Data, x.Shape...))
	}
	if err := os.WriteFile(filepath.Join(dir, adapterConfig), config, 0o644); err != nil {
		t.Fatal(err)
	}
	data, err := models.MarshalSafetensors(tensors, map[string]string{"format": "pt"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, adapterWeights[0].name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// forms are the types of adapters.
var forms = []string{"PROMPT_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING", "PROMPT_TUNING_LORA", "PROMPT_TUNING_LORAX"}

// TestAdapterForms: of each type of adapter, with any sizes and any float type,
// what is read has the method, the sizes and the values that were saved, and a
// tensor of the model beside it makes no difference.
func TestAdapterForms(t *testing.T) {
	if len(forms) != len(adapterForms) {
		t.Errorf("%d types are read", len(adapterForms))
	}
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := drawAdapter(t, rapid.SampledFrom(forms).Draw(t, "form"))
		s.save(t, dir, rapid.SampledFrom([]models.DType{models.F32, models.F16, models.BF16}).Draw(t, "dtype"), floats("base_model.shared.weight", 5, 2))
		got, err := LoadFile(dir)
		if err != nil {
			t.Fatal(err)
		}
		want := s.want
		if want.Method == MethodMultitask {
			u, v := tensorRows(want, TensorU), tensorRows(want, TensorV)
			rows := want.Tensor(TensorPrompt)
			own := product(u, v)
			for i, x := range rows.Data { // exact: few multiples of 1/512
				rows.Data[i] = float32(float64(x) * own[i/want.Meta.DModel][i%want.Meta.DModel])
			}
			want = New(rows.Data, want.Meta.Length, want.Meta.DModel)
			want.Meta.BaseModel, want.Meta.Extra = "org/name", map[string]string{"peft_type": s.want.Meta.Extra["peft_type"], "folded_from": MethodMultitask}
		}
		if fmt.Sprintf("%+v", got.Meta) != fmt.Sprintf("%+v", want.Meta) || got.Method != want.Method || len(got.Tensors) != len(want.Tensors) {
			t.Fatalf("read %s of %d tensors, %+v; want %s of %d, %+v", got.Method, len(got.Tensors), got.Meta, want.Method, len(want.Tensors), want.Meta)
		}
		for _, x := range want.Tensors {
			if y := got.Tensor(x.Name); y == nil || !slices.Equal(y.Shape, x.Shape) || !slices.Equal(y.Data, x.Data) {
				t.Fatalf("tensor %s is read as %+v, want %+v", x.Name, y, x)
			}
		}
	})
}

// TestAdapterShapes: an adapter of which one tensor has a size, or an axis, more
// than it should is refused.
func TestAdapterShapes(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := drawAdapter(t, rapid.SampledFrom(forms[2:]).Draw(t, "form"))
		names := make([]string, 0, len(s.tensors))
		for name := range s.tensors {
			names = append(names, name)
		}
		slices.Sort(names)
		x := s.tensors[rapid.SampledFrom(names).Draw(t, "tensor")]
		axis := rapid.IntRange(0, len(x.Shape)).Draw(t, "axis")
		what := "an axis"
		if axis < len(x.Shape) {
			what = "a size"
			if s.want.Method == MethodDePT && x.Name == "prompt_encoder.lora_embedding_A" && axis == 0 {
				return // longer inputs, and nothing to tell that it is wrong by
			}
			if x.Name == "prompt_embeddings" && axis == 0 && s.want.Method != MethodMultitask {
				s.config["num_virtual_tokens"] = s.want.Meta.Length
				s.config["num_transformer_submodules"] = 1
			}
			x.Data = append(slices.Clone(x.Data), make([]float32, len(x.Data)/int(x.Shape[axis]))...)
			x.Shape = slices.Clone(x.Shape)
			x.Shape[axis]++
		} else {
			x.Shape = append(slices.Clone(x.Shape), 1)
		}
		s.tensors[x.Name] = x
		s.save(t, dir, models.F32)
		if p, err := LoadFile(dir); err == nil {
			t.Fatalf("%v has %s more in %s, %v, and is read as %+v", s.config, what, x.Name, x.Shape, p)
		}
	})
}

// TestAdapterTensorTypes: whole numbers and float64 are refused with the tensor,
// the file and what could be used.
func TestAdapterTensorTypes(t *testing.T) {
	for _, dtype := range []models.DType{models.I64, "F64"} {
		dir := adapterFolder(t, `{"peft_type": "PROMPT_TUNING"}`, models.NamedTensor{Name: "prompt_embeddings", DType: dtype, Shape: []int64{1, 2}, Data: make([]byte, 16)})
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`loading the adapter %s: tensor "prompt_embeddings" in %s is %s, wanted F32, F16 or BF16`, dir, filepath.Join(real, "adapter_model.safetensors"), dtype)
		if _, err := LoadFile(dir); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", dtype, err, want)
		}
	}
}
