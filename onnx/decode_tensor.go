package onnx

import (
	"fmt"
	"strconv"

	"softprompt/onnx/onnxpb"
)

// decodeRawTensor reads a tensor without copying its elements.
func decodeRawTensor(b []byte) (*Tensor, error) {
	raws, rest, err := carve(b, tensorRaw)
	if err != nil {
		return nil, err
	}
	p := &onnxpb.TensorProto{}
	if err := unmarshal(rest, p); err != nil {
		return nil, err
	}
	if len(raws) > 0 { // of a field that is given twice, the last one counts
		p.RawData = raws[len(raws)-1]
	}
	return decodeTensor(p)
}

// decodeTensor brings the elements, which may lie in any of seven fields, into
// one form, and checks their number.
func decodeTensor(p *onnxpb.TensorProto) (*Tensor, error) {
	t := &Tensor{Name: p.GetName(), Type: DType(p.GetDataType()), Dims: p.Dims}
	fail := func(format string, args ...any) (*Tensor, error) {
		return nil, fmt.Errorf("tensor %s: %w", t.Name, fmt.Errorf(format, args...))
	}
	if p.Segment != nil {
		return fail("it is a segment of a larger one, which nothing writes")
	}
	if len(p.Dims) > maxRank {
		return fail("rank %d is more than %d", len(p.Dims), maxRank)
	}
	switch {
	case p.GetDataLocation() == onnxpb.TensorProto_EXTERNAL:
		var err error
		if t.External, err = decodeExternal(p.ExternalData); err != nil {
			return fail("%w", err)
		}
		if p.RawData != nil {
			return fail("its elements lie both here and in file %s", t.External.Location)
		}
	case t.Type == String:
		t.Strings = p.StringData
	case p.RawData != nil:
		t.Data = p.RawData
	default:
		t.Data = typedData(p)
	}
	if err := t.validate(); err != nil {
		return nil, err
	}
	return t, nil
}

func decodeExternal(entries []*onnxpb.StringStringEntryProto) (*External, error) {
	e := &External{}
	for _, kv := range entries {
		var err error
		switch kv.GetKey() {
		case "location":
			e.Location = kv.GetValue()
		case "offset":
			e.Offset, err = strconv.ParseInt(kv.GetValue(), 10, 64)
		case "length":
			e.Length, err = strconv.ParseInt(kv.GetValue(), 10, 64)
		}
		if err != nil {
			return nil, fmt.Errorf("%s of its external data: %w", kv.GetKey(), err)
		}
	}
	return e, nil
}

// typedData returns the elements of the typed fields as raw bytes. Types of
// up to 32 bits share int32_data; what each field holds is said beside it in
// onnx.proto.
func typedData(p *onnxpb.TensorProto) []byte {
	switch DType(p.GetDataType()) {
	case Float32, Complex64:
		return littleEndian(p.FloatData)
	case Float64, Complex128:
		return littleEndian(p.DoubleData)
	case Int64:
		return littleEndian(p.Int64Data)
	case Uint64:
		return littleEndian(p.Uint64Data)
	case Uint32:
		return littleEndian(narrow[uint32](p.Uint64Data))
	case Int32:
		return littleEndian(p.Int32Data)
	case Int16, Uint16, Float16, BFloat16:
		return littleEndian(narrow[uint16](p.Int32Data))
	}
	return narrow[byte](p.Int32Data) // int8, uint8, bool, and the types of 8 bits and less
}

// narrow keeps the low bits of each element.
func narrow[To byte | uint16 | uint32, From int32 | uint64](in []From) []To {
	out := make([]To, len(in))
	for i, v := range in {
		out[i] = To(v)
	}
	return out
}
