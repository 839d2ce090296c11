package models

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"
)

// Every half against an independent implementation, there and back.
func TestFloat16Exhaustive(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got, want := Float16ToFloat32(h), float16.Frombits(h).Float32()
		if math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("%#04x: %v (%#x), wanted %v (%#x)", h, got, math.Float32bits(got), want, math.Float32bits(want))
		}
		if back := Float32ToFloat16(got); back != uint16(float16.Fromfloat32(want)) {
			t.Fatalf("%#04x came back as %#04x", h, back)
		}
	}
}

// interesting yields float32 bits at and around every rounding border of a
// 16 bit type, and many at random.
func interesting(yield func(uint32)) {
	for hi := range uint32(1 << 16) {
		for _, lo := range []uint32{0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x2fff, 0x3000, 0x7fff, 0x8000, 0x8001, 0xffff} {
			yield(hi<<16 | lo)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1_000_000 {
		yield(rng.Uint32())
	}
}

func TestFloat16Rounding(t *testing.T) {
	interesting(func(bits uint32) {
		f := math.Float32frombits(bits)
		if got, want := Float32ToFloat16(f), uint16(float16.Fromfloat32(f)); got != want {
			t.Fatalf("%v (%#x) became %#04x, wanted %#04x", f, bits, got, want)
		}
	})
}

func TestBFloat16RoundTrip(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := BFloat16ToFloat32(h)
		got := Float32ToBFloat16(f)
		if f != f {
			if g := BFloat16ToFloat32(got); g == g {
				t.Fatalf("%#04x is NaN and came back as %v", h, g)
			}
		} else if got != h {
			t.Fatalf("%#04x came back as %#04x", h, got)
		}
	}
}

// The nearest of the two neighbours, the even one in the middle, decided in
// float64, where all of them and their distances are exact.
func TestBFloat16Rounding(t *testing.T) {
	interesting(func(bits uint32) {
		f := math.Float32frombits(bits)
		got := Float32ToBFloat16(f)
		if f != f || math.IsInf(float64(f), 0) {
			return
		}
		down := uint16(bits >> 16) // toward zero
		up := down + 1
		lo, hi := float64(BFloat16ToFloat32(down)), float64(BFloat16ToFloat32(up))
		if math.IsInf(hi, 0) { // the next power of two stands where infinity is
			hi = math.Copysign(math.Ldexp(1, 128), lo)
		}
		want := down
		dl, dh := math.Abs(float64(f)-lo), math.Abs(hi-float64(f))
		if dh < dl || dh == dl && up&1 == 0 {
			want = up
		}
		if got != want {
			t.Fatalf("%v (%#x) became %#04x, wanted %#04x", f, bits, got, want)
		}
	})
}

func BenchmarkWidenBF16(b *testing.B) {
	src, dst := make([]byte, 2<<20), make([]float32, 1<<20)
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		widen(dst, src, BF16)
	}
}
