package models

import (
	"math"
	"regexp"
	"testing"
)

// published has parameter counts in millions as papers and model cards give
// them: T5 (arXiv 1910.10683, section 3.7), mT5 (2010.11934, table 1), ByT5
// (2105.13626, table 1); for T5 v1.1 the size of pytorch_model.bin over 4.
var published = map[string]float64{
	"google-t5/t5-small": 60, "google-t5/t5-base": 220, "google-t5/t5-large": 770, "google-t5/t5-3b": 2800, "google-t5/t5-11b": 11000,
	"google/t5-v1_1-base": 248, "google/t5-base-lm-adapt": 248, "google/t5-xxl-lm-adapt": 11130,
	"google/mt5-small": 300, "google/mt5-base": 580, "google/mt5-large": 1200, "google/mt5-xl": 3700, "google/mt5-xxl": 13000,
	"google/byt5-small": 300, "google/byt5-base": 582, "google/byt5-large": 1230, "google/byt5-xl": 3740, "google/byt5-xxl": 12900,
	"google/umt5-small": 308,
}

func TestKnownModels(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range KnownModels() {
		if seen[k.Name] || !regexp.MustCompile(`^google(-t5)?/[a-z0-9_-]+$`).MatchString(k.Name) {
			t.Errorf("name %q", k.Name)
		}
		seen[k.Name] = true
		if err := k.Config.check(); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		got := float64(k.Config.Parameters()) / 1e6
		if want, ok := published[k.Name]; ok && math.Abs(got/want-1) > 0.06 {
			t.Errorf("%s has %.0f million parameters by its sizes, %.0f were published", k.Name, got, want)
		}
	}
	for name := range published {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if seen["google/umt5-large"] {
		t.Error("google/umt5-large was never published")
	}
}
