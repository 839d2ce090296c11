package prompt

import (
	"math"
	"strings"
	"testing"

	"softprompt/models"
)

// TestTable4 has the paper's numbers (Lester et al. 2021, table 4): parameters
// that are tuned, and all of them, for each size of T5 v1.1 and prompt length.
func TestTable4(t *testing.T) {
	paper := map[string]struct {
		frozen int64
		tuned  map[int]int64
		share  float64 // of 100 vectors, in percent
	}{
		"small": {76_961_152, map[int]int64{1: 512, 5: 2_560, 20: 10_240, 100: 51_200, 150: 76_800}, 0.06648},
		"base":  {247_577_856, map[int]int64{1: 768, 5: 3_840, 20: 15_360, 100: 76_800, 150: 115_200}, 0.03101},
		"large": {783_150_080, map[int]int64{1: 1_024, 5: 5_120, 20: 20_480, 100: 102_400, 150: 153_600}, 0.01307},
		"xl":    {2_849_757_184, map[int]int64{1: 2_048, 5: 10_240, 20: 40_960, 100: 204_800, 150: 307_200}, 0.00719},
		"xxl":   {11_135_332_352, map[int]int64{1: 4_096, 5: 20_480, 20: 81_920, 100: 409_600, 150: 614_400}, 0.00368},
	}
	info, err := LookupMethod(MethodPromptTuning)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, k := range models.KnownModels() {
		size, ok := strings.CutPrefix(k.Name, "google/t5-v1_1-")
		if !ok {
			continue
		}
		seen++
		want := paper[size]
		for length, tuned := range want.tuned {
			got, err := info.CountParameters(k.Config, Sizes{Length: length})
			if err != nil {
				t.Fatal(err)
			}
			if got.Tuned != tuned || got.Kept != tuned || got.Frozen != want.frozen {
				t.Errorf("%s with %d vectors: %+v, want %d of %d", size, length, got, tuned, want.frozen)
			}
			if length == 100 && math.Abs(100*got.Share()-want.share) > 5e-6 {
				t.Errorf("%s: %.5f %%, want %v", size, 100*got.Share(), want.share)
			}
		}
	}
	if seen != len(paper) {
		t.Errorf("%d sizes", seen)
	}
}

// TestCountMethods counts what each method tunes of a small model by hand.
func TestCountMethods(t *testing.T) {
	c := models.Config{
		DModel: 8, DKV: 3, NumHeads: 2, DFF: 10, NumLayers: 2, NumDecoderLayers: 1, VocabSize: 50, NumBuckets: 4, Gated: true,
	}
	const p, d, inner, attentions = 5, 8, 6, 4 // 2 of the encoder, 2 of the decoder's layer
	for name, want := range map[string]Count{
		MethodPromptTuning: {Tuned: p * d, Kept: p * d},
		MethodDePT:         {Tuned: p*d + 3*(20+d), Kept: p*d + 3*(20+d)},
		MethodADePT:        {Tuned: p*d + 2*d*3 + 3 + d, Kept: p*d + 2*d*3 + 3 + d},
		MethodPTuning:      {Tuned: p*d + (7*d + 7) + (7*7 + 7) + (d*7 + d), Kept: p * d},
		MethodMultitask:    {Tuned: p*d + 3*(p+d), Kept: p * d},
		MethodPerLayer:     {Tuned: 2 * p * d, Kept: 2 * p * d},
		MethodPerLayerAdd:  {Tuned: 3 * p * d, Kept: 3 * p * d},
		MethodPrefix:       {Tuned: attentions * 2 * p * inner, Kept: attentions * 2 * p * inner},
		MethodPrefixMLP:    {Tuned: 3*(p*d+7*d+7) + attentions*2*(inner*7+inner), Kept: attentions * 2 * p * inner},
		MethodIA3:          {Tuned: attentions*2*inner + 3*10, Kept: attentions*2*inner + 3*10},
		MethodModel:        {Tuned: c.Parameters(), Kept: c.Parameters()},
	} {
		info, err := LookupMethod(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := info.CountParameters(c, Sizes{Length: p, Rank: 3, Hidden: 7, Rows: 20})
		if err != nil {
			t.Fatal(err)
		}
		if name != MethodModel {
			want.Frozen = c.Parameters()
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if _, err := (MethodInfo{Name: "hypnosis"}).CountParameters(c, Sizes{}); err == nil {
		t.Error("an unknown method was counted")
	}
}
