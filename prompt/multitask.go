package prompt

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"softprompt/models"
	"softprompt/onnx"
)

// MethodMultitask is the name of [Multitask].
const MethodMultitask = "multitask"

// The tensors of [Multitask] beside [TensorPrompt].
const (
	TensorU = "u" // U [P,r], PEFT's prefix_task_cols
	TensorV = "v" // V [r,d], PEFT's prefix_task_rows
)

// multitaskNoise is the deviation that PEFT starts U and V with
// (peft/tuners/multitask_prompt_tuning/model.py).
const multitaskNoise = 0.02

// Multitask returns the method of Wang et al. 2023, multitask prompt tuning: a
// task's prompt is a matrix P [P,d] that all tasks share, element by element
// times a product of rank r that is the task's own:
//
//	P' = P ∘ U·V, with U [P,r] and V [r,d]
//
// (the paper has r of 1; a higher one is of PEFT's MULTITASK_PROMPT_TUNING).
// Runs that share a pass share P; [Method.Fold] computes each one's P', and
// what is kept is the prompt of [PromptTuning]. There is no distillation from
// prompts of single tasks, as there is none in PEFT.
//
// A rank of 0 is 1. PEFT starts U and V near 0, and with them the prompt,
// whatever P is; here the first column of U and row of V start at 1 and only
// the others near 0, so that training starts from P.
//
// Graph inputs: prompts [K,P,d], prompt_mask [K,P], multitask.u [K,P,r],
// multitask.v [K,r,d].
func Multitask(c models.Config, s Sizes) (*Method, error) {
	if s.Rank == 0 {
		s.Rank = 1
	}
	m := PromptTuning(c.DModel)
	m.Name, m.Sizes, m.Fold = MethodMultitask, Sizes{Length: s.Length, Rank: s.Rank}, foldMultitask
	m.Trainables[0].Shared = true
	rank, width := onnx.Size(int64(s.Rank)), onnx.Size(int64(c.DModel))
	m.Trainables = append(m.Trainables,
		Trainable{
			Name: TensorU, Input: "multitask.u", Shape: onnx.Shape{onnx.Sym("P"), rank}, MethodRate: true,
			Init: onesWhere(func(i int) bool { return i%s.Rank == 0 }),
		},
		Trainable{
			Name: TensorV, Input: "multitask.v", Shape: onnx.Shape{rank, width}, MethodRate: true,
			Init: onesWhere(func(i int) bool { return i < c.DModel }),
		},
	)
	m.Embeddings = func(site *Site, emb, mask string) (string, string) {
		b := site.B
		rows := b.Mul("prompts", b.MatMul("multitask.u", "multitask.v")) // [K,P,d]
		return b.Concat(1, site.PerRow(rows), emb), b.Concat(1, site.PerRow(PromptMask), mask)
	}
	return m, nil
}

// onesWhere returns an initialiser of 1 where first says so, and of noise elsewhere.
func onesWhere(first func(i int) bool) func(*Rand, []float32) {
	return func(rng *Rand, values []float32) {
		for i := range values {
			if values[i] = 1; !first(i) {
				values[i] = multitaskNoise * rng.Normal()
			}
		}
	}
}

// foldMultitask computes a task's own matrix and returns it as a prompt of
// [PromptTuning].
func foldMultitask(p *Prompt) (*Prompt, error) {
	m, err := Multitask(p.Meta.config(), p.Sizes())
	if err == nil {
		err = p.fits(m)
	}
	if err != nil {
		return nil, fmt.Errorf("folding a prompt of method %s: %w", p.Method, err)
	}
	shared, u, v := p.Tensor(TensorPrompt), matrix(p.Tensor(TensorU)), matrix(p.Tensor(TensorV))
	out := make([]float32, len(shared.Data))
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, u, v, 0, blas32.General{Rows: u.Rows, Cols: v.Cols, Stride: v.Cols, Data: out})
	for i, x := range shared.Data {
		out[i] *= x
	}
	folded := New(out, u.Rows, v.Cols)
	folded.Meta = p.Meta.folded(p.Method)
	return folded, nil
}
