package export

import (
	"math"

	"softprompt/models"
	"softprompt/onnx"
)

// Relative position bias: a table [buckets,h] that each stack's first
// self-attention owns and all its layers use (T5, section 2.1;
// transformers modeling_t5.py, T5Attention.compute_bias). The bucket depends
// on the distance alone and stops changing at max_distance, so the graph holds
// the buckets of all distances up to there, computed here, and looks them up.

// distanceBuckets returns the buckets of the distances −M … M, where M is
// max_distance.
func distanceBuckets(buckets, maxDistance int, bidirectional bool) []int64 {
	out := make([]int64, 2*maxDistance+1)
	for i := range out {
		out[i] = int64(models.RelativeBucket(i-maxDistance, buckets, maxDistance, bidirectional))
	}
	return out
}

// positionBias returns the bias [1,h,Q,L] of a stack for query and key
// positions given as int64 vectors.
func (g *t5) positionBias(table, queries, keys string, bidirectional bool) string {
	m := int64(g.Config.MaxDistance)
	buckets := g.Const(onnx.Longs("", []int64{2*m + 1},
		distanceBuckets(g.Config.NumBuckets, g.Config.MaxDistance, bidirectional)))
	distance := g.Sub(g.Unsqueeze(keys, 0), g.Unsqueeze(queries, 1)) // [Q,L]
	clipped := g.Min(g.Max(distance, g.Int(-m)), g.Int(m))
	index := g.Gather(buckets, g.Add(clipped, g.Int(m)), 0)
	bias := g.Gather(g.weight(table), index, 0) // [Q,L,h]
	return g.Unsqueeze(g.Transpose(bias, 2, 0, 1), 0)
}

// positions returns 0, 1, … for axis 1 of x, as an int64 vector.
func (g *t5) positions(x string) string { return g.positionsOf(x, 1) }

// positionsOf returns 0, 1, … for an axis of x.
func (g *t5) positionsOf(x string, axis int64) string {
	n := g.Squeeze(g.SizesOf(x, axis, axis+1), 0)
	return g.Range(g.Int(0), n, g.Int(1))
}

// maskBias turns a mask, 1 to see and 0 to hide, into what is added to
// attention scores: 0, and the lowest float. A finite number keeps the softmax
// of a row without any visible key from becoming NaN.
func (g *t5) maskBias(mask string) string {
	return g.Mul(g.Sub(g.Float(1, mask), mask), g.Float(-math.MaxFloat32, mask))
}
