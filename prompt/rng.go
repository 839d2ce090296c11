package prompt

import (
	"math"
	"math/bits"
)

// Rand draws random numbers from a counter: Philox 4×32 with 10 rounds (Salmon
// et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). What it
// draws depends on nothing but the seed and the path it was made with, so any
// place of a run can be entered without replaying what came before:
//
//	mask := prompt.NewRand(seed, prompt.StreamDropout, k, example, step, site)
//	mask.Dropout(values, 0.1)
//
// Rand is a value; a copy goes on from where the original was.
type Rand struct {
	key    [2]uint32
	stream [2]uint32 // upper half of the counter
	block  uint64    // lower half: blocks drawn
	words  [4]uint32 // the last block
	left   int       // words of it not yet given out
}

// The first step of a path says what the numbers are for, so that no two uses
// of one seed share them. Which numbers they are does not matter, but runs of
// before replay only if they stay. (The order of the rows is package tasks'.)
const (
	StreamInit    uint64 = 1 // initial prompts
	StreamDropout uint64 = 3 // dropout masks
)

// NewRand returns the generator of a seed and a path of numbers. Different
// paths give independent numbers.
func NewRand(seed uint64, path ...uint64) Rand {
	return Rand{key: halves(seed)}.Sub(path...)
}

// Sub returns the generator that lies further down r's path: for the same seed
// Sub(1, 2), Sub(1).Sub(2) and NewRand(seed, 1, 2) are one. What r has drawn
// makes no difference.
func (r Rand) Sub(path ...uint64) Rand {
	r = Rand{key: r.key, stream: r.stream}
	for _, x := range path {
		// Another key than drawing uses, or a child would begin with the
		// numbers of its parent.
		x, key := halves(x), [2]uint32{r.key[0] ^ 0x736f6674, r.key[1] ^ 0x70617468}
		out := Philox([4]uint32{x[0], x[1], r.stream[0], r.stream[1]}, key)
		r.key, r.stream = [2]uint32(out[:2]), [2]uint32(out[2:])
	}
	return r
}

func halves(x uint64) [2]uint32 { return [2]uint32{uint32(x), uint32(x >> 32)} }

// Philox turns a counter into four random words under a key: the bare block
// function philox4x32-10 of the Random123 library.
func Philox(counter [4]uint32, key [2]uint32) [4]uint32 {
	// Scalars, which the compiler keeps in registers; arrays it does not.
	c0, c1, c2, c3 := counter[0], counter[1], counter[2], counter[3]
	k0, k1 := key[0], key[1]
	for range 10 {
		hi0, lo0 := bits.Mul32(0xD2511F53, c0)
		hi1, lo1 := bits.Mul32(0xCD9E8D57, c2)
		c0, c1, c2, c3 = hi1^c1^k0, lo1, hi0^c3^k1, lo0
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return [4]uint32{c0, c1, c2, c3}
}

// Uint32 returns 32 random bits.
func (r *Rand) Uint32() uint32 {
	if r.left == 0 {
		at := halves(r.block)
		r.words = Philox([4]uint32{at[0], at[1], r.stream[0], r.stream[1]}, r.key)
		r.block++
		r.left = len(r.words)
	}
	r.left--
	return r.words[len(r.words)-1-r.left]
}

// Uint64 returns 64 random bits.
func (r *Rand) Uint64() uint64 {
	low := uint64(r.Uint32())
	return uint64(r.Uint32())<<32 | low
}

// Float32 returns a multiple of 2^-24 in [0,1).
func (r *Rand) Float32() float32 { return float32(r.Uint32()>>8) / (1 << 24) }

// Normal returns a number of mean 0 and variance 1 (Box and Muller 1958).
func (r *Rand) Normal() float32 {
	radius := math.Sqrt(-2 * math.Log(1-float64(r.Float32())))
	return float32(radius * math.Cos(2*math.Pi*float64(r.Float32())))
}

// IntN returns a number in [0,n), each with the same probability. It returns 0
// if n is below 1.
func (r *Rand) IntN(n int) int {
	if n < 1 {
		return 0
	}
	// Lemire's multiplication: the upper half of n times 64 random bits, but
	// drawn again in the few cases that would favour some numbers.
	bound := uint64(n)
	hi, lo := bits.Mul64(r.Uint64(), bound)
	for lo < bound && lo < -bound%bound {
		hi, lo = bits.Mul64(r.Uint64(), bound)
	}
	return int(hi)
}

// Perm returns the numbers 0 … n−1 in random order.
func (r *Rand) Perm(n int) []int { return r.Sample(n, n) }

// Sample returns k distinct numbers of 0 … n−1 in random order, all of them if
// k is above n.
func (r *Rand) Sample(n, k int) []int {
	all := make([]int, max(0, n))
	for i := range all {
		all[i] = i
	}
	k = min(max(0, k), len(all))
	for i := range k {
		j := i + r.IntN(n-i)
		all[i], all[j] = all[j], all[i]
	}
	return all[:k]
}

// Dropout fills mask with 0 at the given rate and with 1/(1−rate) elsewhere,
// so that its mean is 1. A rate of 0 or less draws nothing; at 1 or more all
// is 0.
func (r *Rand) Dropout(mask []float32, rate float64) {
	switch {
	case !(rate > 0):
		for i := range mask {
			mask[i] = 1
		}
		return
	case rate >= 1:
		clear(mask)
		return
	}
	drop, keep := uint64(rate*(1<<32)), float32(1/(1-rate))
	for i := range mask {
		mask[i] = keep
		if uint64(r.Uint32()) < drop {
			mask[i] = 0
		}
	}
}
