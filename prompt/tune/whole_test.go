package tune

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

// Only a fraction for a setting that counts would be cut off: not a whole
// number in any form, not one for a share or a rate, not what is no number.
func TestCutsOff(t *testing.T) {
	for _, c := range []struct {
		key, value string
		want       bool
	}{
		{"steps", "1.5", true},
		{"steps", "-0.5", true},
		{"steps", "1e-3", true},
		{"seed", "0.1", true},
		{"initial_step", "1.5", true},
		{"steps", "15", false},
		{"steps", "15.0", false},
		{"steps", "1e3", false},
		{"steps", "0x10", false},
		{"steps", "many", false},
		{"steps", "", false},
		{"learning_rate", "0.3", false},
		{"dropout", "0.1", false},
		{"task", "1.5", false},
		{"no setting", "1.5", false},
	} {
		if got := CutsOff(c.key, &yaml.Node{Kind: yaml.ScalarNode, Value: c.value}); got != c.want {
			t.Errorf("%s: %s: %v, want %v", c.key, c.value, got, c.want)
		}
	}
}
