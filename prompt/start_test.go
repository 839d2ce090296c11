package prompt

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// startOf starts a method with a matrix of twos and weights that are threes.
func startOf(t *testing.T, m *Method, seed uint64) []Tensor {
	t.Helper()
	tensors, err := m.Start(seed, func(_ Rand, length, width int) ([]float32, error) {
		return slices.Repeat([]float32{2}, length*width), nil
	}, func(name string) ([]float32, error) {
		for _, x := range m.Trainables {
			if x.Weight == name {
				return slices.Repeat([]float32{3}, int(x.elements(0))), nil
			}
		}
		return nil, errors.New("no such weight")
	})
	if err != nil {
		t.Fatal(err)
	}
	return tensors
}

// TestStartValues: each tensor begins as its method's paper or code has it, at a
// number or spread over a range, with half of it on either side of its middle.
func TestStartValues(t *testing.T) {
	const big = 40 // enough values to see where they lie
	c := hooked
	c.DModel, c.DKV, c.NumHeads, c.DFF = big, big, 1, big
	normal := [2]float64{-5, 5}
	within := func(n float64) [2]float64 { return [2]float64{-1 / math.Sqrt(n), 1 / math.Sqrt(n)} }
	at := func(v float64) [2]float64 { return [2]float64{v, v} }
	for method, want := range map[string]map[string][2]float64{ // by the end of the tensor's name
		MethodPromptTuning: {TensorPrompt: at(2)},
		MethodDePT:         {TensorPrompt: at(2), TensorDePTA: within(9), TensorDePTB: at(0)},
		MethodADePT:        {TensorPrompt: at(2), TensorW1: within(9), TensorB1: at(0), TensorW2: at(0), TensorB2: at(0)},
		MethodPTuning: {
			TensorEmbedding: normal, TensorW1: within(big), TensorB1: within(big), TensorW2: within(25), TensorB2: within(25), TensorW3: within(25), TensorB3: within(25),
		},
		MethodPerLayer:    {TensorPrompt: at(2), "encoder.1.prompt": {0, 0.5}},
		MethodPerLayerAdd: {TensorPrompt: at(2), "encoder.0.prompt": at(0), "encoder.1.prompt": at(0)},
		MethodPrefix:      {".key": normal, ".value": normal},
		MethodPrefixMLP: {
			".embedding": normal, ".hidden.weight": within(big), ".hidden.bias": within(big),
			".key.weight": within(25), ".value.weight": within(25), ".key.bias": within(25), ".value.bias": within(25),
		},
		MethodIA3:   {".key": at(1), ".value": at(1), ".hidden": at(1)},
		MethodModel: {"weight": at(3)},
	} {
		m, err := NewMethod(method, c, Sizes{Length: 50, Rank: 9, Hidden: 25, Rows: 60})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, x := range startOf(t, m, 7) {
			name := ""
			for end := range want {
				if strings.HasSuffix(x.Name, end) && len(end) > len(name) {
					name = end
				}
			}
			bound, ok := want[name]
			if !ok {
				t.Errorf("%s: tensor %s is not expected", method, x.Name)
				continue
			}
			seen[name] = true
			var sum float64
			for _, v := range x.Data {
				if float64(v) < bound[0]-1e-6 || float64(v) > bound[1]+1e-6 {
					t.Errorf("%s: %s has a %v, want %v", method, x.Name, v, bound)
					break
				}
				sum += float64(v)
			}
			n := float64(len(x.Data))
			if middle, spread := (bound[0]+bound[1])/2, bound[1]-bound[0]; math.Abs(sum/n-middle) > 1.5*spread/math.Sqrt(n) || spread > 0 && slices.Max(x.Data) == slices.Min(x.Data) {
				t.Errorf("%s: the mean of %s is %v, want about %v", method, x.Name, sum/n, middle)
			}
		}
		if len(seen) != len(want) {
			t.Errorf("%s has %v of %v", method, seen, want)
		}
	}
}

// TestStartStreams: a seed gives the same first values again, another seed
// others, no two random tensors begin alike, and another initialiser of the
// matrix changes nothing but the matrix.
func TestStartStreams(t *testing.T) {
	for _, name := range MethodNames() {
		m := methodOf(t, name, Sizes{Length: 4, Rows: 8, Rank: 2})
		first, again, other := startOf(t, m, 1), startOf(t, m, 1), startOf(t, m, 2)
		with, err := m.Start(1, Uniform(0, 1), func(string) ([]float32, error) { return nil, errors.New("unread") })
		if err != nil && name != MethodModel {
			t.Fatal(err)
		}
		for i, x := range first {
			random := slices.Max(x.Data) != slices.Min(x.Data)
			if !slices.Equal(x.Data, again[i].Data) || random == slices.Equal(x.Data, other[i].Data) {
				t.Errorf("%s: %s does not follow the seed", name, x.Name)
			}
			if with != nil && (x.Name == TensorPrompt) == slices.Equal(x.Data, with[i].Data) {
				t.Errorf("%s: %s with another initialiser: %v and %v", name, x.Name, x.Data, with[i].Data)
			}
			for _, y := range first[:i] {
				if n := min(len(x.Data), len(y.Data)); random && slices.Max(y.Data) != slices.Min(y.Data) && slices.Equal(x.Data[:n], y.Data[:n]) && n > 1 {
					t.Errorf("%s: %s and %s begin alike", name, x.Name, y.Name)
				}
			}
		}
	}
}

// TestStartShapes: what any method starts with is a prompt that can be saved, and
// fits the method.
func TestStartShapes(t *testing.T) {
	for _, name := range MethodNames() {
		m := methodOf(t, name, Sizes{Length: 3, Rows: 8, Rank: 2})
		p := &Prompt{Method: name, Tensors: startOf(t, m, 1), Meta: Meta{Length: m.Sizes.Length, DModel: hooked.DModel, Sizes: m.Sizes.Map()}}
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := p.fits(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStartErrors: what cannot be made says which tensor it was to be.
func TestStartErrors(t *testing.T) {
	boom := errors.New("boom")
	fails := func(Rand, int, int) ([]float32, error) { return nil, boom }
	unread := func(string) ([]float32, error) { return nil, boom }
	short := func(string) ([]float32, error) { return make([]float32, 3), nil }
	for _, c := range []struct {
		method string
		length int
		matrix Initialiser
		weight func(string) ([]float32, error)
		want   string
	}{
		{MethodPromptTuning, 2, fails, nil, "making the first prompt: boom"},
		{MethodPromptTuning, 0, fails, nil, "making the first prompt: impossible shape [0 6]"},
		{MethodPromptTuning, math.MaxInt32, fails, nil, "making the first prompt: impossible shape [2147483647 6]"},
		{MethodPrefix, 0, fails, nil, "making the first encoder.0.self-attention.key: impossible shape [0 8]"},
		{MethodModel, 0, fails, unread, "making the first shared.weight: boom"},
		{MethodModel, 0, fails, short, "making the first shared.weight: the model has 3 values there, want 42"},
	} {
		m := methodOf(t, c.method, Sizes{Length: c.length})
		tensors, err := m.Start(1, c.matrix, c.weight)
		if err == nil || err.Error() != c.want || tensors != nil {
			t.Errorf("%s of length %d: %v, %v", c.method, c.length, tensors, err)
		}
	}
}
