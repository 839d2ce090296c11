package exported

import (
	"fmt"

	"softprompt/models"
	"softprompt/onnx"
)

// Rows returns the table of embeddings row by row in float32: the row of an
// id, and how many there are. A row is a copy; an id outside the table gives
// nil.
func (e Embedding) Rows() (row func(id int) []float32, rows int, err error) {
	s := newSource(e.Table)
	if e.Scale != nil {
		g := &view{consts: map[string]*onnx.Tensor{"scale": e.Scale}}
		zero := ""
		if e.ZeroPoint != nil {
			zero, g.consts["zero"] = "zero", e.ZeroPoint
		}
		if s = g.quantised(s, "scale", zero, -1); s == nil {
			return nil, 0, fmt.Errorf("reading the embeddings %s: scale and zero point do not fit", e.Table.Name)
		}
	}
	if err := s.check(); err != nil {
		return nil, 0, fmt.Errorf("reading the embeddings: %w", err)
	}
	return func(id int) []float32 {
		if id < 0 || int64(id) >= s.rows {
			return nil
		}
		out := make([]float32, s.cols)
		s.read(out, int64(id))
		return out
	}, int(s.rows), nil
}

// Fingerprint tells the graphs' weights from those of others, by the constants
// that they hold.
func (t *T5) Fingerprint(c models.Config) (models.Fingerprint, error) {
	sources := map[string]*source{}
	var list []models.Weight
	add := func(name string, tensor *onnx.Tensor) {
		if s := newSource(tensor); weighs(tensor) && len(tensor.Dims) == 2 && readers[tensor.Type] != nil && int64(len(tensor.Data)) == tensor.Len()*int64(tensor.Type.Size()) {
			sources[name] = s
			list = append(list, models.Weight{Name: name, Shape: tensor.Dims})
		}
	}
	add("embedding", t.Embedding.Table)
	for _, m := range []*onnx.Model{t.Encoder, t.Decoder} {
		for i, tensor := range m.Graph.Initializers {
			add(fmt.Sprintf("%s %d: %s", m.Graph.Name, i, tensor.Name), tensor)
		}
	}
	return models.NewGraphFingerprint(c, list, func(name string, index int64) (float32, error) {
		v := make([]float32, 1)
		s := sources[name]
		size := int64(s.tensor.Type.Size())
		v[0] = float32(readers[s.tensor.Type](s.tensor.Data[index*size:]))
		return v[0], nil
	})
}
