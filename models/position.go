package models

import "math"

// RelativeBucket returns the row of a table of relative positions for the
// distance key position − query position: near distances have a row each, far
// ones share rows by their logarithm, and from maxDistance on the last one
// (T5, section 2.1; transformers modeling_t5.py, _relative_position_bucket).
// Encoders tell the directions apart, decoders look back only. The logarithm
// is taken in float32, as the reference takes it: in float64 some edges move.
func RelativeBucket(distance, buckets, maxDistance int, bidirectional bool) int {
	base := 0
	if bidirectional {
		buckets /= 2
		if distance > 0 {
			base = buckets
		}
		distance = max(distance, -distance)
	} else {
		distance = max(-distance, 0)
	}
	exact := buckets / 2
	if distance < exact {
		return base + distance
	}
	ratio := float32(math.Log(float64(float32(distance) / float32(exact))))
	large := float32(ratio/float32(math.Log(float64(maxDistance)/float64(exact)))) * float32(buckets-exact)
	return base + min(exact+int(large), buckets-1)
}
