package models

import "fmt"

// Embedding returns the table of input embeddings [V,d] row by row, widened to
// float32 where it is read: the row of an id, and V. A row is a copy; an id
// outside the table gives nil.
func (m *Model) Embedding() (row func(id int) []float32, rows int, err error) {
	t, err := m.Checkpoint.get(sharedName)
	if err != nil {
		return nil, 0, err
	}
	if !isFloat(t.DType) || len(t.Shape) != 2 {
		return nil, 0, fmt.Errorf("tensor %q in %s is %s %v, wanted a matrix of floats", t.Name, t.File, t.DType, t.Shape)
	}
	rows, width := int(t.Shape[0]), t.Shape[1]
	return func(id int) []float32 {
		if id < 0 || id >= rows {
			return nil
		}
		out := make([]float32, width)
		t.floats(out, int64(id)*width)
		return out
	}, rows, nil
}

// Parameters returns how many numbers a model of this configuration consists
// of, each counted once.
func (c Config) Parameters() int64 {
	var n int64
	for _, w := range WeightShapes(c) {
		if w.Name == headName && c.TieWordEmbeddings {
			continue
		}
		size := int64(1)
		for _, d := range w.Shape {
			size *= d
		}
		n += size
	}
	return n
}
