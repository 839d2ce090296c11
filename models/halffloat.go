package models

import (
	"encoding/binary"
	"math"
)

// Float16ToFloat32 widens an IEEE 754 half. Every half has an exact float32;
// a signalling NaN comes out quiet.
func Float16ToFloat32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	frac := uint32(h & 0x3ff)
	switch {
	case exp == 0x1f && frac != 0:
		return math.Float32frombits(sign | 0x7fc00000 | frac<<13)
	case exp == 0x1f:
		return math.Float32frombits(sign | 0x7f800000)
	case exp == 0: // zero or subnormal: frac units of 2^-24
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(f))
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// Float32ToFloat16 rounds to the nearest half, ties to even; what is too
// large becomes infinite.
func Float32ToFloat16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000:
		return sign | 0x7e00 | uint16(bits>>13&0x3ff)
	case bits >= 0x47800000: // 2^16 and above, infinity included
		return sign | 0x7c00
	case bits < 0x38800000: // below the smallest normal half, 2^-14
		// Adding 0.5 shifts the half's unit (2^-24) to float32's last place,
		// so that the processor does the rounding.
		return sign | uint16(math.Float32bits(math.Float32frombits(bits)+0.5)-0x3f000000)
	}
	// A carry out of the fraction runs into the exponent, as it should, up to
	// infinity for what rounds above 65504.
	bits += 0xfff + bits>>13&1
	return sign | uint16(bits>>13-(127-15)<<10)
}

// BFloat16ToFloat32 widens a bfloat16, which is the upper half of a float32.
func BFloat16ToFloat32(h uint16) float32 {
	return math.Float32frombits(uint32(h) << 16)
}

// Float32ToBFloat16 rounds to the nearest bfloat16, ties to even.
func Float32ToBFloat16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40 // keep a NaN a NaN
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// floatReaders says how to read one little-endian value of each floating
// point type that weights come in.
var floatReaders = map[DType]func(b []byte) float32{
	F32:  func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) },
	F16:  func(b []byte) float32 { return Float16ToFloat32(binary.LittleEndian.Uint16(b)) },
	BF16: func(b []byte) float32 { return BFloat16ToFloat32(binary.LittleEndian.Uint16(b)) },
}

// isFloat reports whether weights of this type can be used.
func isFloat(t DType) bool { return floatReaders[t] != nil }

// widen reads len(dst) values of type t from src.
func widen(dst []float32, src []byte, t DType) {
	read, size := floatReaders[t], dtypeSizes[t]
	for i := range dst {
		dst[i] = read(src[int64(i)*size:])
	}
}
