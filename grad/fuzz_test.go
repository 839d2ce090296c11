package grad

import (
	"testing"

	"softprompt/onnx"
)

// FuzzReverse: a model from outside never makes Reverse panic, and what it
// returns is a valid model.
func FuzzReverse(f *testing.F) {
	for _, tc := range contractCases() {
		for _, d := range []declaration{sizesKnown, ranksUnknown} {
			m := tc.forward(d)
			data, err := m.Marshal()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Unmarshal(data, "")
		if err != nil || len(m.Graph.Outputs) == 0 {
			return
		}
		loss := m.Graph.Outputs[0].Name
		for _, v := range m.Graph.Inputs {
			r, err := Reverse(m, loss, []string{v.Name}, Seed("the seed"))
			if err != nil {
				continue
			}
			if err := onnx.Validate(r); err != nil {
				t.Errorf("from a model that is valid: %v", err)
			}
		}
	})
}
