package export

import (
	"fmt"

	"softprompt/onnx"
	"softprompt/prompt"
)

// bake puts a prompt in place of the method's inputs: K is 1, every row of the
// batch uses it, and its tensors are constants under the inputs' names.
func (g *t5) bake(p *prompt.Prompt) {
	if p.Method != g.Method.Name {
		g.Fail(fmt.Errorf("building in a prompt of method %s: the graph's is %s", p.Method, g.Method.Name))
		return
	}
	length := int64(0)
	for _, t := range g.Method.Trainables {
		v := p.Tensor(t.Name)
		if v == nil || t.Fits(v.Shape) != nil {
			g.Fail(fmt.Errorf("building in a prompt: method %s wants a tensor %s %v", p.Method, t.Name, t.Shape))
			return
		}
		if t.Shape[0].Sym == "P" {
			length = v.Shape[0]
		}
		g.Weight(onnx.Floats(t.Input, append([]int64{1}, v.Shape...), v.Data))
	}
	for _, v := range g.Method.Inputs {
		if v.Name != prompt.PromptMask {
			g.Fail(fmt.Errorf("building in a prompt: nothing is known to put in place of input %s", v.Name))
			return
		}
		ones := make([]float32, length)
		for i := range ones {
			ones[i] = 1
		}
		g.Weight(onnx.Floats(v.Name, []int64{1, length}, ones))
	}
	g.Alias(prompt.PromptIndex, g.Fill(g.SizesOf("input_ids", 0, 1), 0, onnx.Int64))
}
