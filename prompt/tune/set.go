package tune

import (
	"fmt"
	"math"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// Set writes a value in YAML into the setting of that key. A key that is none
// and a value of another type are errors, and so is a fraction for a setting
// that counts: YAML's reader would take 1.5 for 1, without a word.
func (s *Settings) Set(key string, value *yaml.Node) error {
	settings := reflect.ValueOf(s).Elem()
	for i := range settings.NumField() {
		if settings.Type().Field(i).Tag.Get("yaml") != key {
			continue
		}
		field := settings.Field(i)
		if err := value.Decode(field.Addr().Interface()); err != nil || (field.CanInt() || field.CanUint()) && isFraction(value) {
			return fmt.Errorf("%s is %.40q, want a value of type %s", key, value.Value, field.Type())
		}
		return nil
	}
	return fmt.Errorf("there is no setting %q", key)
}

// isFraction tells 1.5 from 1 and from 1e3.
func isFraction(value *yaml.Node) bool {
	var x float64
	return value.Decode(&x) == nil && x != math.Trunc(x)
}
