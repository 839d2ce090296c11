package tune

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

// A value has to be of its setting's type, and whole where the setting counts;
// 1e3 is whole. Nothing else changes.
func TestSettingsSet(t *testing.T) {
	for _, c := range []struct {
		key, value string
		want       Settings
		err        string
	}{
		{"steps", "15", Settings{Steps: 15}, ""},
		{"steps", "15.0", Settings{Steps: 15}, ""},
		{"steps", "1e3", Settings{Steps: 1000}, ""},
		{"steps", "0x10", Settings{Steps: 16}, ""},
		{"seed", "18446744073709551615", Settings{Seed: 1<<64 - 1}, ""},
		{"learning_rate", "0.3", Settings{LearningRate: 0.3}, ""},
		{"task", "1.5", Settings{Task: "1.5"}, ""},
		{"balance", "true", Settings{Balance: true}, ""},
		{"steps", "1.5", Settings{}, `steps is "1.5", want a value of type int`},
		{"steps", "-0.5", Settings{}, `steps is "-0.5", want a value of type int`},
		{"steps", "1e-3", Settings{}, `steps is "1e-3", want a value of type int`},
		{"steps", "many", Settings{}, `steps is "many", want a value of type int`},
		{"seed", "0.1", Settings{}, `seed is "0.1", want a value of type uint64`},
		{"seed", "-1", Settings{}, `seed is "-1", want a value of type uint64`},
		{"balance", "2", Settings{}, `balance is "2", want a value of type bool`},
		{"stepps", "3", Settings{}, `there is no setting "stepps"`},
		{"", "3", Settings{}, `there is no setting ""`},
	} {
		var s Settings
		err := s.Set(c.key, &yaml.Node{Kind: yaml.ScalarNode, Value: c.value})
		if c.err == "" && (err != nil || s != c.want) {
			t.Errorf("%s: %s gave %+v, %v", c.key, c.value, s, err)
		}
		if c.err != "" && (err == nil || err.Error() != c.err) {
			t.Errorf("%s: %s: %v, want %s", c.key, c.value, err, c.err)
		}
	}
}
