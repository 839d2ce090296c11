package tune

import (
	"math"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// CutsOff tells whether a value in YAML has a fraction where the setting of
// that key counts. YAML's reader takes 1.5 for 1 then, without a word; a number
// such as 1e3 is whole.
func CutsOff(key string, value *yaml.Node) bool {
	var x float64
	if value.Decode(&x) != nil || x == math.Trunc(x) {
		return false
	}
	return slices.ContainsFunc(reflect.VisibleFields(reflect.TypeFor[Settings]()), func(f reflect.StructField) bool {
		return f.Tag.Get("yaml") == key && slices.Contains(wholeNumbers, f.Type.Kind())
	})
}

// wholeNumbers are the kinds of settings that count.
var wholeNumbers = []reflect.Kind{reflect.Int, reflect.Int64, reflect.Uint64}
