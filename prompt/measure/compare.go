package measure

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"softprompt/grad"
	"softprompt/onnx"
	"softprompt/onnx/ort"
)

// Error is how far a tensor a is from the one b that it should be.
type Error struct {
	Relative float64 `json:"relative"` // ‖a−b‖ / ‖b‖
	Largest  float64 `json:"largest"`  // max|a−b| / max|b|
	Cosine   float64 `json:"cosine"`   // a·b / ‖a‖‖b‖
}

// ErrorOf compares tensors of one shape. Where b is all zeros the error is 1
// unless a is, too.
func ErrorOf(a, b []float32) (Error, error) {
	if len(a) != len(b) {
		return Error{}, fmt.Errorf("comparing tensors: %d elements against %d", len(a), len(b))
	}
	var diff, aa, bb, ab, largest, most float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		d := x - y
		diff, aa, bb, ab = diff+d*d, aa+x*x, bb+y*y, ab+x*y
		largest, most = max(largest, math.Abs(d)), max(most, math.Abs(y))
	}
	switch {
	case diff == 0:
		return Error{Cosine: 1}, nil
	case bb == 0:
		return Error{Relative: 1, Largest: 1}, nil
	case aa == 0:
		return Error{Relative: 1, Largest: largest / most}, nil
	}
	return Error{math.Sqrt(diff / bb), largest / most, ab / math.Sqrt(aa) / math.Sqrt(bb)}, nil
}

// Layer has the errors of the residual stream where a block of the model hands
// it on, and of its gradient there.
type Layer struct {
	Block      string `json:"block"` // the one that made it
	Activation Error  `json:"activation"`
	Gradient   *Error `json:"gradient,omitempty"` // nil where none flows
}

// Comparison is how far one graph of a training step is from another.
type Comparison struct {
	Layers      []Layer          `json:"layers"` // as the model computes them
	Loss        float64          `json:"loss"`
	Exact       float64          `json:"exact_loss"`
	ExampleLoss Error            `json:"example_loss"`
	Gradients   map[string]Error `json:"gradients"` // by output: grad.prompts
}

// Compare runs two train graphs of one model on the same inputs and compares
// what they make of the residual stream, of its gradient, and of the prompt's.
// Values are found in the exact graph; the other one has them under the same
// names, as passes over a finished graph leave them.
func Compare(ctx context.Context, rt *ort.Runtime, reduced, exact *onnx.Model, inputs map[string]*ort.Tensor) (*Comparison, error) {
	sites := Residuals(exact)
	if len(sites) == 0 {
		return nil, errors.New("comparing graphs: no norm reads a residual stream")
	}
	names := []string{"loss", "example_loss"}
	for _, v := range exact.Graph.Outputs {
		if strings.HasPrefix(v.Name, grad.Prefix) {
			names = append(names, v.Name)
		}
	}
	outputs := len(names)
	for _, s := range sites {
		names = append(names, s.Value)
		if s.Gradient != "" {
			names = append(names, s.Gradient)
		}
	}
	want, err := values(ctx, rt, exact, inputs, names)
	if err != nil {
		return nil, err
	}
	got, err := values(ctx, rt, reduced, inputs, names)
	if err != nil {
		return nil, err
	}
	differ := func(name string) Error {
		e, differs := ErrorOf(got[name], want[name])
		if differs != nil && err == nil {
			err = fmt.Errorf("value %s: %w", name, differs)
		}
		return e
	}
	c := &Comparison{ExampleLoss: differ("example_loss"), Gradients: map[string]Error{}}
	if len(got["loss"]) != 1 || len(want["loss"]) != 1 {
		return nil, errors.New("comparing graphs: the loss is not one number")
	}
	c.Loss, c.Exact = float64(got["loss"][0]), float64(want["loss"][0])
	for _, name := range names[2:outputs] {
		c.Gradients[name] = differ(name)
	}
	for _, s := range sites {
		l := Layer{Block: s.Block, Activation: differ(s.Value)}
		if s.Gradient != "" {
			g := differ(s.Gradient)
			l.Gradient = &g
		}
		c.Layers = append(c.Layers, l)
	}
	return c, err
}

// values runs a graph once and returns the given values of it, interior ones
// included.
func values(ctx context.Context, rt *ort.Runtime, m *onnx.Model, inputs map[string]*ort.Tensor, names []string) (map[string][]float32, error) {
	c, g := *m, *m.Graph
	c.Graph = &g
	g.Outputs = slices.Clone(g.Outputs)
	own := m.Graph.Own()
	out := map[string]*ort.Tensor{}
	for _, name := range names {
		if !own[name] {
			return nil, fmt.Errorf("comparing graphs: graph %s has no value %s", g.Name, name)
		}
		out[name] = nil
		if !slices.ContainsFunc(g.Outputs, func(v onnx.Value) bool { return v.Name == name }) {
			g.Outputs = append(g.Outputs, onnx.Value{Name: name, Type: onnx.Float32})
		}
	}
	s, err := rt.Load(ctx, &c, ort.Config{Arena: true, Prepack: true, Pack: func(string) bool { return false }})
	if err != nil {
		return nil, fmt.Errorf("comparing graphs: %w", err)
	}
	defer s.Close()
	if err := s.Run(ctx, inputs, out); err != nil {
		return nil, fmt.Errorf("comparing graphs: %w", err)
	}
	floats := map[string][]float32{}
	for name, t := range out {
		if floats[name] = t.Float32s(); floats[name] == nil {
			return nil, fmt.Errorf("comparing graphs: value %s is %v, want float32", name, t)
		}
	}
	return floats, nil
}
