package prompt

import "softprompt/models"

// elements counts the numbers of a trainable in a prompt of some length.
func (t Trainable) elements(length int) int64 {
	n := int64(1)
	for _, d := range t.Shape {
		if d.Sym == "P" {
			n *= int64(length)
		} else {
			n *= d.Size
		}
	}
	return n
}

// Tuned counts what the method tunes: its trainables, of a prompt of the
// method's length.
func (m *Method) Tuned() (n int64) {
	for _, t := range m.Trainables {
		n += t.elements(m.Sizes.Length)
	}
	return n
}

// Frozen counts the parameters of a model that stay as they are.
func (m *Method) Frozen(c models.Config) int64 {
	n := c.Parameters()
	for _, t := range m.Trainables {
		if t.Weight != "" {
			n -= t.elements(0)
		}
	}
	return n
}

// Count is what a method tunes and keeps of a model's parameters.
type Count struct {
	Tuned  int64 `json:"tuned"`
	Kept   int64 `json:"kept"`   // in the prompt's file: less where an MLP is folded away
	Frozen int64 `json:"frozen"` // the model's own that stay as they are
}

// Share is what part of all parameters is tuned (Lester et al. 2021, table 4,
// where the total is of both).
func (c Count) Share() float64 { return float64(c.Tuned) / float64(c.Tuned+c.Frozen) }

// CountParameters counts them for a model, with the sizes that are not 0 in
// place of the method's defaults.
func (i MethodInfo) CountParameters(c models.Config, s Sizes) (Count, error) {
	m, err := NewMethod(i.Name, c, s)
	if err != nil {
		return Count{}, err
	}
	n := Count{Tuned: m.Tuned(), Frozen: m.Frozen(c)}
	n.Kept = n.Tuned
	if i.Keeps != "" {
		kept, err := NewMethod(i.Keeps, c, Sizes{Length: s.Length})
		if err != nil {
			return Count{}, err
		}
		n.Kept = kept.Tuned()
	}
	return n, nil
}
