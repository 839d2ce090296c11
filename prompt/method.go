package prompt

import "softprompt/onnx"

// PromptTuning returns the method of Lester et al. 2021: P vectors of width
// d_model are laid before the embedded input of the encoder, and nothing else
// is touched (google-research/prompt-tuning, prompt_tuning/train/prompts.py,
// prefix_prompt). The prompt takes the positions 0 … P−1, so that T5's
// relative bias and attention masks need no change but their length.
//
// Graph inputs: prompts [K,P,d], prompt_mask [K,P].
func PromptTuning(dModel int) *Method {
	return &Method{
		Name: "prompt-tuning",
		Trainables: []Trainable{{
			Name: "prompt", Input: "prompts",
			Shape: onnx.Shape{onnx.Sym("P"), onnx.Size(int64(dModel))},
		}},
		Inputs: []onnx.Value{{
			Name: PromptMask, Type: onnx.Float32, Shape: onnx.Shape{onnx.Sym("K"), onnx.Sym("P")},
		}},
		Embeddings: func(s *Site, emb, mask string) (string, string) {
			return s.B.Concat(1, s.PerRow("prompts"), emb), s.B.Concat(1, s.PerRow(PromptMask), mask)
		},
	}
}
