package exported

import (
	"fmt"
	"math"
	"slices"

	"softprompt/models"
)

// walk follows one graph from its output back to its token ids, along what a
// T5 is made of, and notes the weights that it passes. What lies on the way
// and is none of that stops it: a graph that it gets through is a T5.
type walk struct {
	*view
	config models.Config
	part   string // encoder or decoder
	// weights are the sources by Hugging Face's name.
	weights map[string]*source
	wanted  map[string][]int64 // shapes by name
	tables  map[string]*source // by the value that a bias is
	isFixed map[string]bool    // values that do not depend on hidden states
	notes   []string
}

func newWalk(config models.Config, part string, g *view) *walk {
	w := &walk{
		view: g, config: config, part: part,
		weights: map[string]*source{}, wanted: map[string][]int64{}, tables: map[string]*source{}, isFixed: map[string]bool{},
	}
	for _, s := range models.WeightShapes(config) {
		w.wanted[s.Name] = s.Shape
	}
	return w
}

// found notes a weight, if its shape is the one that config.json asks for.
func (w *walk) found(name string, s *source) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	shape := w.wanted[name]
	got := []int64{s.rows, s.cols}
	if len(shape) == 1 {
		got = []int64{s.rows * s.cols}
	}
	if !slices.Equal(got, shape) {
		return fmt.Errorf("%s is %v in the graph (%s), wanted %v by config.json", name, got, s.tensor.Name, shape)
	}
	for _, t := range s.parts {
		w.used[t] = name
	}
	w.weights[name] = s
	return nil
}

// describe names what makes a value, for messages.
func (w *walk) describe(value string) string {
	switch m := w.maker(value); {
	case m.Op != "":
		return "found " + m.Node.String()
	case w.inputs[value]:
		return "found the input " + value
	}
	return "found the constant " + value
}

// stack walks from the states after the final norm down to the embeddings.
func (w *walk) stack(states string) error {
	parts := []string{"SelfAttention", "DenseReluDense"}
	layers := w.config.NumLayers
	if w.part == "decoder" {
		parts = []string{"SelfAttention", "EncDecAttention", "DenseReluDense"}
		layers = w.config.NumDecoderLayers
	}
	x, err := w.norm(states, w.part+".final_layer_norm.weight")
	if err != nil {
		return fmt.Errorf("the final norm: %w", err)
	}
	for i := layers - 1; i >= 0; i-- {
		for j := len(parts) - 1; j >= 0; j-- {
			layer := fmt.Sprintf("%s.block.%d.layer.%d", w.part, i, j)
			if x, err = w.sublayer(x, layer, parts[j]); err != nil {
				return fmt.Errorf("%s: %w", layer, err)
			}
		}
	}
	if err := w.embedding(x); err != nil {
		return fmt.Errorf("below the %d layers that config.json has: %w", layers, err)
	}
	return nil
}

// sublayer walks from the stream after a sub-layer to the stream before it:
// after = before + f(norm(before)) · Wᵀ, with W the weight o or wo.
func (w *walk) sublayer(after, layer, part string) (before string, err error) {
	after = w.plain(after)
	m := w.maker(after)
	if !m.is("", "Add") || len(m.Inputs) != 2 {
		return "", fmt.Errorf("%s where the sum of the stream and a sub-layer was wanted", w.describe(after))
	}
	var out *product
	for i := range 2 {
		p, err := w.product(m.Input(i))
		switch {
		case err != nil:
			return "", err
		case p != nil && out != nil:
			return "", fmt.Errorf("%v adds two products, which no T5 does: an adapter?", m.Node)
		case p != nil:
			out, before = p, w.plain(m.Input(1-i))
		}
	}
	if out == nil {
		return "", fmt.Errorf("%v adds no product with a weight to the stream, but %s and %s", m.Node, w.describe(w.plain(m.Input(0))), w.describe(w.plain(m.Input(1))))
	}
	if out.alpha != 1 {
		return "", fmt.Errorf("node %s scales its product by %v", out.node, out.alpha)
	}
	var normed string
	if part == "DenseReluDense" {
		err = w.found(layer+".DenseReluDense.wo.weight", out.weight)
		if err == nil {
			normed, err = w.feedForward(out.x, layer)
		}
	} else {
		err = w.found(layer+"."+part+".o.weight", out.weight)
		if err == nil {
			normed, err = w.attention(out.x, layer, part)
		}
	}
	if err != nil {
		return "", err
	}
	x, err := w.norm(normed, layer+".layer_norm.weight")
	if err != nil {
		return "", err
	}
	if x != before {
		return "", fmt.Errorf("%v adds to something else than what the sub-layer's norm reads", m.Node)
	}
	return before, nil
}

// norm reads a value as T5's norm of x, w·x/√(mean(x²)+ε), and returns x.
func (w *walk) norm(value, name string) (x string, err error) {
	value = w.plain(value)
	m := w.maker(value)
	var scale string
	var eps float64
	switch {
	case m.is("", "SimplifiedLayerNormalization"), m.is("com.microsoft", "SimplifiedLayerNormalization"), m.is("", "RMSNormalization"):
		x, scale, eps = m.Input(0), m.Input(1), float64(m.Float("epsilon", 1e-5))
		if axis := m.Int("axis", -1); axis != -1 && axis != w.rank(x)-1 {
			return "", fmt.Errorf("%v is over axis %d", m.Node, axis)
		}
	default:
		if x, scale, eps, err = w.primitiveNorm(value); err != nil {
			return "", fmt.Errorf("reading %s as a norm: %w", value, err)
		}
	}
	if want := w.config.LayerNormEpsilon; math.Abs(eps-want) > 0.05*want {
		return "", fmt.Errorf("the norm that makes %s has epsilon %.3g, wanted %.3g by config.json", value, eps, want)
	}
	s := w.constant(scale)
	if s == nil {
		return "", fmt.Errorf("the norm that makes %s is scaled by %s, which is no constant", value, scale)
	}
	s.node = m.Name
	return w.plain(x), w.found(name, s)
}

// rank returns how many axes a value has, 0 if that is not known.
func (w *walk) rank(value string) int64 {
	v, _ := w.shapes.Value(value)
	return int64(len(v.Shape))
}

// primitiveNorm reads a norm that is written as arithmetic: it finds the mean
// of squares and the scale, and computes what comes of them.
func (w *walk) primitiveNorm(value string) (x, scale string, eps float64, err error) {
	// Breadth first, so that the norm's own scale comes before what its input
	// is made of.
	mean := ""
	for queue, seen := []string{value}, map[string]bool{}; len(queue) > 0 && (mean == "" || scale == ""); queue = queue[1:] {
		value := w.plain(queue[0])
		if s := w.constant(value); seen[value] || s != nil {
			if s != nil && scale == "" && s.rows*s.cols == int64(w.config.DModel) && w.config.DModel > 1 {
				scale = value
			}
			continue
		}
		seen[value] = true
		m := w.maker(value)
		if m.is("", "ReduceMean") {
			mean = value
		} else if functions[nameOf(m)] != nil {
			queue = append(queue, m.Inputs...)
		}
	}
	if mean == "" || scale == "" {
		return "", "", 0, fmt.Errorf("%s, which leads to no mean and no scale of size %d", w.describe(value), w.config.DModel)
	}
	m := w.maker(mean)
	if axes := w.axes(m); len(axes) != 1 || axes[0] != -1 && axes[0] != w.rank(m.Input(0))-1 || m.Int("keepdims", 1) != 1 {
		return "", "", 0, fmt.Errorf("%v is not over the last axis", m.Node)
	}
	square := w.maker(w.plain(m.Input(0)))
	if !square.is("", "Pow") && !square.is("", "Mul") {
		return "", "", 0, fmt.Errorf("%v is a mean of something else than squares", m.Node)
	}
	x = w.plain(square.Input(0))
	eps, err = w.epsilon(value, x, scale)
	return x, scale, eps, err
}

// axes returns the axes that a reduction is over, an attribute before opset 18.
func (w *walk) axes(m maker) []int64 {
	if a := m.Ints("axes"); a != nil {
		return a
	}
	s := w.constant(m.Input(1))
	if s == nil {
		return nil
	}
	v, err := s.tensor.Int64s()
	if err != nil {
		return nil
	}
	return v
}

// epsilon computes a norm for small numbers, where epsilon counts, and for
// large ones, checks that it is one, and returns epsilon.
func (w *walk) epsilon(value, x, scale string) (eps float64, err error) {
	by := []float64{1, 2, -1, 0.5}
	for _, size := range []float64{1e-3, 10} {
		at := []float64{3 * size, -1 * size, 2 * size, 0.5 * size}
		got, err := (&evaluation{g: w.view, known: map[string][]float64{x: at, scale: by}}).eval(value)
		if err != nil {
			return 0, err
		}
		squares := 0.0
		for _, v := range at {
			squares += v * v / float64(len(at))
		}
		if factor := got[0] / (at[0] * by[0]); eps == 0 {
			eps = 1/(factor*factor) - squares
		}
		for i := range at {
			if want := at[i] * by[i] / math.Sqrt(squares+eps); len(got) != len(at) || !(math.Abs(got[i]-want) <= 1e-4*math.Abs(want)) {
				return 0, fmt.Errorf("it is no norm of %s", x)
			}
		}
	}
	return eps, nil
}
