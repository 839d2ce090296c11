package models

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"softprompt/onnx/hint"
)

// Fingerprint tells models apart, not files. It is the sizes of the model and
// values at fixed places of 32 of its matrices, spread over all layers, and it
// is compared with the tolerance of bfloat16: a model converted between F32,
// F16 and BF16 keeps its fingerprint, while another model, or the same one
// trained on, does not. It can be compared with ==, but should be with
// [Fingerprint.Matches].
type Fingerprint struct {
	sizes   [len(sizeKeys)]int
	kind    string                    // feed-forward layer, such as gated-gelu_new
	count   int                       // matrices sampled; fewer than 32 in a small model
	samples [maxMatrices]matrixSample // in WeightShapes' order
}

const (
	fingerprintVersion = "t5a"
	maxMatrices        = 32
	samplesPerMatrix   = 8
	// sampleBytes is the largest value as float32 and each value as a 16 bit
	// fraction of it.
	sampleBytes = 4 + 2*samplesPerMatrix

	// The root mean square of the differences may be this share of that of
	// the values. Rounding to bfloat16 changes a value by at most 2^-8 of
	// itself and rounding to a half by 2^-11; the rest is for the fractions.
	fingerprintTolerance = 1.0/(1<<8) + 1.0/(1<<10)
	// A half below 2^-14 is off by up to 2^-25 whatever its size.
	fingerprintFloor = 1.0 / (1 << 24)
)

// sizeKeys names the sizes in a fingerprint, as config.json does.
var sizeKeys = [...]string{
	"vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads",
	"relative_attention_num_buckets", "relative_attention_max_distance",
}

func configSizes(c Config) [len(sizeKeys)]int {
	return [...]int{c.VocabSize, c.DModel, c.DKV, c.DFF, c.NumLayers, c.NumDecoderLayers, c.NumHeads, c.NumBuckets, c.MaxDistance}
}

// matrixSample holds values of one matrix as fractions of the largest.
type matrixSample struct {
	largest   float32
	fractions [samplesPerMatrix]int16 // of largest, in units of 1/32767
}

func (s matrixSample) value(i int) float64 {
	return float64(s.largest) * float64(s.fractions[i]) / math.MaxInt16
}

// NewFingerprint takes a model's fingerprint. The function at returns the
// value at a flat index of a weight, row by row in the layout of WeightShapes
// ([out,in]); the head is asked for by the name that Config.HeadName gives.
func NewFingerprint(c Config, at func(name string, index int64) (float32, error)) (Fingerprint, error) {
	var matrices []Weight
	for _, w := range WeightShapes(c) {
		if len(w.Shape) == 2 {
			matrices = append(matrices, w)
		}
	}
	// The head is named by place, so that a tied model has the same
	// fingerprint whether its file repeats the embedding or not.
	matrices[len(matrices)-1].Name = c.HeadName()
	return newFingerprint(c, feedForwardKind(c), matrices, at)
}

// NewGraphFingerprint takes the fingerprint of an exported model whose graphs
// are used as they stand: there is no telling which of a T5's weights its
// constants are, so it matches that of the same graphs alone. The constants
// are given by name and shape, and at is as for [NewFingerprint].
func NewGraphFingerprint(c Config, constants []Weight, at func(name string, index int64) (float32, error)) (Fingerprint, error) {
	if len(constants) == 0 {
		return Fingerprint{}, errors.New("taking the model's fingerprint: its graphs have no weights")
	}
	return newFingerprint(c, feedForwardKind(c)+graphsKind, constants, at)
}

// graphsKind marks the fingerprint of graphs.
const graphsKind = "@graphs"

func newFingerprint(c Config, kind string, matrices []Weight, at func(name string, index int64) (float32, error)) (Fingerprint, error) {
	f := Fingerprint{sizes: configSizes(c), kind: kind, count: min(maxMatrices, len(matrices))}
	for i, k := range strata(int64(len(matrices)), int64(f.count)) {
		w := matrices[k]
		var values [samplesPerMatrix]float32
		n := int64(1)
		for _, d := range w.Shape {
			n *= d
		}
		for j, index := range strata(n, samplesPerMatrix) {
			v, err := at(w.Name, index)
			if err != nil {
				return Fingerprint{}, fmt.Errorf("taking the model's fingerprint: %w", err)
			}
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return Fingerprint{}, hint.Wrap(fmt.Errorf("taking the model's fingerprint: %s has the value %v at %d", w.Name, v, index),
					"the weights are damaged, or overflowed when they were converted to float16")
			}
			values[j] = v
		}
		f.samples[i] = newMatrixSample(values)
	}
	return f, nil
}

func newMatrixSample(values [samplesPerMatrix]float32) matrixSample {
	var s matrixSample
	for _, v := range values {
		s.largest = max(s.largest, float32(math.Abs(float64(v))))
	}
	if s.largest == 0 {
		return s
	}
	for i, v := range values {
		s.fractions[i] = int16(math.Round(float64(v) / float64(s.largest) * math.MaxInt16))
	}
	return s
}

// strata cuts 0..n-1 into k equal parts and returns one place in each, the
// same for every call but without a period that layers could fall in with.
func strata(n, k int64) []int64 {
	places := make([]int64, k)
	for i := range k {
		from, to := n*i/k, n*(i+1)/k
		places[i] = from
		if to > from {
			places[i] += int64(splitmix64(uint64(i)) % uint64(to-from))
		}
	}
	return places
}

// splitmix64 scrambles a number (Steele, Lea and Flood 2014).
func splitmix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func feedForwardKind(c Config) string {
	kind := c.Activation
	if c.Gated {
		kind = "gated-" + kind
	}
	if c.PerLayerBias {
		kind += "+"
	}
	return kind
}

// Fingerprint takes the fingerprint of the model from a few hundred values of
// its weights.
func (m *Model) Fingerprint() (Fingerprint, error) {
	return NewFingerprint(m.Config, func(name string, index int64) (float32, error) {
		t, err := m.Checkpoint.get(name)
		if err != nil {
			return 0, err
		}
		return floatReaders[t.DType](t.raw(nil, index, 1)), nil
	})
}

// Matches reports whether other is of the same model as f; f is the one
// wanted. The error says what differs.
func (f Fingerprint) Matches(other Fingerprint) error {
	for i, key := range sizeKeys {
		if f.sizes[i] != other.sizes[i] {
			return fmt.Errorf("another model: %s is %d, wanted %d", key, other.sizes[i], f.sizes[i])
		}
	}
	if f.kind != other.kind {
		return fmt.Errorf("another model: its layers are %s, wanted %s", other.kind, f.kind)
	}
	if f.count != other.count {
		return errors.New("fingerprints of different kinds")
	}
	different, worst := 0, 0.0
	for i := range f.count {
		var sum, diff float64
		for j := range samplesPerMatrix {
			a, b := f.samples[i].value(j), other.samples[i].value(j)
			sum += a*a + b*b
			diff += (a - b) * (a - b)
		}
		size, off := math.Sqrt(sum/2/samplesPerMatrix), math.Sqrt(diff/samplesPerMatrix)
		if off > fingerprintTolerance*size+fingerprintFloor {
			different++
			worst = max(worst, off/size)
		}
	}
	if different > 0 {
		return fmt.Errorf("other weights in a model of the same sizes: %d of %d matrices differ, by up to %.2g of their values", different, f.count, worst)
	}
	return nil
}

// String returns the fingerprint as one line without spaces, the inverse of
// ParseFingerprint.
func (f Fingerprint) String() string {
	var data []byte
	for _, s := range f.samples[:f.count] {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(s.largest))
		for _, v := range s.fractions {
			data = binary.LittleEndian.AppendUint16(data, uint16(v))
		}
	}
	parts := []string{fingerprintVersion}
	for _, n := range f.sizes {
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(append(parts, f.kind, base64.RawURLEncoding.EncodeToString(data)), ":")
}

// ParseFingerprint reads what String wrote.
func ParseFingerprint(s string) (Fingerprint, error) {
	var f Fingerprint
	parts := strings.Split(s, ":")
	if parts[0] != fingerprintVersion {
		return f, hint.Wrap(fmt.Errorf("reading a model fingerprint: it starts with %.20q, wanted %q", parts[0], fingerprintVersion),
			"it is damaged, or from a newer softprompt")
	}
	if len(parts) != len(sizeKeys)+3 {
		return f, fmt.Errorf("reading a model fingerprint: %d parts, wanted %d", len(parts), len(sizeKeys)+3)
	}
	for i, key := range sizeKeys {
		n, err := strconv.Atoi(parts[1+i])
		if err != nil || n < 1 || strconv.Itoa(n) != parts[1+i] {
			return f, fmt.Errorf("reading a model fingerprint: %s is %.20q", key, parts[1+i])
		}
		f.sizes[i] = n
	}
	f.kind = parts[len(parts)-2]
	data, err := base64.RawURLEncoding.Strict().DecodeString(parts[len(parts)-1])
	if err != nil {
		return f, fmt.Errorf("reading a model fingerprint: %w", err)
	}
	f.count = len(data) / sampleBytes
	if len(data)%sampleBytes != 0 || f.count < 1 || f.count > maxMatrices {
		return f, fmt.Errorf("reading a model fingerprint: %d bytes of samples", len(data))
	}
	for i := range f.count {
		b, s := data[i*sampleBytes:], &f.samples[i]
		s.largest = math.Float32frombits(binary.LittleEndian.Uint32(b))
		if !(s.largest >= 0 && s.largest <= math.MaxFloat32) {
			return f, fmt.Errorf("reading a model fingerprint: sample %d has no size", i)
		}
		for j := range s.fractions {
			s.fractions[j] = int16(binary.LittleEndian.Uint16(b[4+2*j:]))
		}
	}
	return f, nil
}
