package tune

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/onnx"
	"softprompt/prompt"
)

// ramp is a prompt whose elements count up from first.
func ramp(first float32, length, width int) *prompt.Prompt {
	values := make([]float32, length*width)
	for i := range values {
		values[i] = first + float32(i)
	}
	return prompt.New(values, length, width)
}

// TestBankPadsOnTheLeft lays prompts of any lengths side by side.
func TestBankPadsOnTheLeft(t *testing.T) {
	const width = 3
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.IntRange(1, 5), 1, 4).Draw(t, "lengths")
		var prompts []*prompt.Prompt
		for k, n := range lengths {
			prompts = append(prompts, ramp(float32(100*k+1), n, width))
		}
		b, err := NewBank(prompt.PromptTuning(width), prompts...)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		longest := slices.Max(lengths)
		if b.K != len(lengths) || b.Length != longest {
			t.Fatalf("K %d, length %d", b.K, b.Length)
		}
		values, grads := b.Tensors()
		if len(values) != 1 || len(values[0]) != len(lengths)*longest*width || len(grads[0]) != len(values[0]) {
			t.Fatalf("%d values, %d gradients", len(values[0]), len(grads[0]))
		}
		mask := b.mask.Float32s()
		for k, n := range lengths {
			got := b.Prompt(k)
			if len(got) != 1 || got[0].Name != "prompt" || !slices.Equal(got[0].Shape, []int64{int64(longest), width}) {
				t.Fatalf("prompt %d: %+v", k, got)
			}
			rows := got[0].Data
			pad := (longest - n) * width
			if slices.ContainsFunc(rows[:pad], func(v float32) bool { return v != 0 }) || !slices.Equal(rows[pad:], prompts[k].Tensors[0].Data) {
				t.Fatalf("prompt %d of length %d of %d: %v", k, n, longest, rows)
			}
			for p := range longest {
				want := float32(0)
				if p >= longest-n {
					want = 1
				}
				if mask[k*longest+p] != want {
					t.Fatalf("mask %v for lengths %v", mask, lengths)
				}
			}
		}
	})
}

// TestBankPrompt gives copies, while Tensors gives the values in place.
func TestBankPrompt(t *testing.T) {
	b, err := NewBank(prompt.PromptTuning(2), ramp(1, 2, 2), ramp(5, 2, 2))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.Prompt(0)[0].Data[0] = 99
	if got := b.Prompt(0)[0].Data; !slices.Equal(got, []float32{1, 2, 3, 4}) {
		t.Errorf("the bank was changed from outside: %v", got)
	}
	values, _ := b.Tensors()
	values[0][4] = 50
	if got := b.Prompt(1)[0].Data; !slices.Equal(got, []float32{50, 6, 7, 8}) {
		t.Errorf("an update is not in the bank: %v", got)
	}
}

// TestBankFeed names each row's prompt, and the bank of no method nothing.
func TestBankFeed(t *testing.T) {
	b, err := NewBank(prompt.PromptTuning(2), ramp(1, 1, 2), ramp(5, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	in := newFeed()
	defer in.close()
	rows := []Row{{IDs: []int64{7, 1}, Prompt: 1}, {IDs: []int64{1}}, {IDs: []int64{8, 9, 1}, Prompt: 1}}
	in.inputs(rows, b, 0)
	if in.err != nil {
		t.Fatal(in.err)
	}
	if got := in.tensors[prompt.PromptIndex].Int64s(); !slices.Equal(got, []int64{1, 0, 1}) {
		t.Errorf("prompts %v", got)
	}
	if got := in.tensors["input_ids"]; !slices.Equal(got.Int64s(), []int64{7, 1, 0, 1, 0, 0, 8, 9, 1}) || !slices.Equal(got.Shape(), []int64{3, 3}) {
		t.Errorf("ids %v %v", got.Shape(), got.Int64s())
	}
	if got := in.tensors["attention_mask"].Int64s(); !slices.Equal(got, []int64{1, 1, 0, 1, 0, 0, 1, 1, 1}) {
		t.Errorf("mask %v", got)
	}
	if in.tensors["prompts"] != b.values["prompts"] || in.tensors[prompt.PromptMask] != b.mask {
		t.Error("the bank's tensors were copied")
	}

	none, err := NewBank(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	plain := newFeed()
	defer plain.close()
	plain.inputs(rows, none, 0)
	if len(plain.tensors) != 2 || plain.err != nil {
		t.Errorf("without a method: %d inputs, %v", len(plain.tensors), plain.err)
	}
}

// TestFits compares a tensor's shape with what a method wants.
func TestFits(t *testing.T) {
	want := prompt.Trainable{Shape: onnx.Shape{onnx.Sym("P"), onnx.Size(4)}}
	for _, c := range []struct {
		shape []int64
		fits  bool
	}{
		{[]int64{1, 4}, true},
		{[]int64{100, 4}, true},
		{[]int64{4, 1}, false},
		{[]int64{4}, false},
		{[]int64{1, 4, 1}, false},
		{nil, false},
	} {
		err := want.Fits(c.shape)
		if (err == nil) != c.fits || err != nil && !strings.Contains(err.Error(), "want [P,4]") {
			t.Errorf("%v: %v", c.shape, err)
		}
	}
}

// TestFeedKeepsTheFirstError: what comes after it is not fed.
func TestFeedKeepsTheFirstError(t *testing.T) {
	in := newFeed()
	defer in.close()
	in.ints("good", []int64{1, 2}, 2)
	in.ints("bad", []int64{1, 2}, 3)
	in.floats("late", []float32{1}, 1)
	in.floats("worse", []float32{1}, 7)
	if in.err == nil || !strings.Contains(in.err.Error(), "feeding bad: ") {
		t.Errorf("error %v", in.err)
	}
	if len(in.tensors) != 1 || in.tensors["good"] == nil {
		t.Errorf("fed %d inputs", len(in.tensors))
	}
}

// TestCandidates gives each row all candidates, padded to the longest.
func TestCandidates(t *testing.T) {
	in := newFeed()
	defer in.close()
	longest := in.candidates(2, [][]int64{{5, 6, 1}, {7, 1}})
	if in.err != nil || longest != 3 {
		t.Fatalf("longest %d, %v", longest, in.err)
	}
	if got := in.tensors["candidate_ids"].Shape(); !slices.Equal(got, []int64{2, 2, 3}) {
		t.Errorf("shape %v", got)
	}
	if got := in.tensors["candidate_ids"].Int64s(); !slices.Equal(got, []int64{5, 6, 1, 7, 1, ignored, 5, 6, 1, 7, 1, ignored}) {
		t.Errorf("ids %v", got)
	}
	rank := newFeed()
	defer rank.close()
	j := &Judge{candidates: [][]int64{{5, 1}, {6, 1}, {7, 1}}, classes: []int{0, 0, 1}}
	if _, err := rank.choices([]Row{{Label: 1}, {Label: 0}}, StepOptions{Weight: 0.5, Judge: j}); err != nil {
		t.Fatal(err)
	}
	if got := rank.tensors["right"].Float32s(); !slices.Equal(got, []float32{0, 0, 1, 1, 1, 0}) {
		t.Errorf("right answers %v", got)
	}
	if got := rank.tensors["row_weights"].Float32s(); !slices.Equal(got, []float32{0.5, 0.5}) {
		t.Errorf("weights %v", got)
	}
}
