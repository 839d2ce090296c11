package prompt

import (
	"slices"
	"strings"
	"testing"

	"softprompt/models"
)

// TestPlacementKept: a prompt's file says where its vectors stand and what they
// see, where that is not the default, and one that says nonsense is refused.
func TestPlacementKept(t *testing.T) {
	for _, c := range []struct {
		placement, visibility string
		want                  Sizes
		refused               string
	}{
		{"", "", Sizes{Length: 2}, ""},
		{PlacementPrefix, VisibilityFull, Sizes{Length: 2}, ""},
		{"suffix", VisibilityFull, Sizes{Length: 2, Placement: "suffix"}, ""},
		{"after-first", "self", Sizes{Length: 2, Placement: "after-first", Visibility: "self"}, ""},
		{"infix", "", Sizes{}, `no placement "infix"`},
		{"", "none", Sizes{}, `no visibility "none"`},
	} {
		m, err := NewMethod(MethodPromptTuning, models.Config{DModel: 3}, Sizes{Length: 2, Placement: c.placement, Visibility: c.visibility})
		p := &Prompt{
			Method: MethodPromptTuning, Tensors: []Tensor{{Name: TensorPrompt, Shape: []int64{2, 3}, Data: make([]float32, 6)}},
			Meta: Meta{Length: 2, DModel: 3, Placement: c.placement, Visibility: c.visibility},
		}
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("method in %q seeing %q: %v", c.placement, c.visibility, err)
			}
			if err := p.Check(); err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("prompt in %q seeing %q: %v", c.placement, c.visibility, err)
			}
			continue
		}
		if err != nil || m.Sizes != c.want || (m.EncoderMask != nil) != (c.want.Visibility != "") {
			t.Errorf("method in %q seeing %q: sizes %+v, %v", c.placement, c.visibility, m.Sizes, err)
			continue
		}
		p.Meta.Placement, p.Meta.Visibility = m.Sizes.Placement, m.Sizes.Visibility
		meta := p.Meta.encode(p.Method)
		if _, said := meta["softprompt.placement"]; said != (c.want.Placement != "") {
			t.Errorf("placement %q is in the file: %v", c.placement, said)
		}
		if _, again, err := decodeMeta(meta); err != nil || again.sizes() != c.want {
			t.Errorf("in %q seeing %q: read back as %+v, %v", c.placement, c.visibility, again.sizes(), err)
		}
	}
	if !slices.Contains(Placements(), "suffix-after-eos") || Placements()[0] != PlacementPrefix || Visibilities()[0] != VisibilityFull {
		t.Errorf("placements %v, visibilities %v: the default comes first", Placements(), Visibilities())
	}
}
