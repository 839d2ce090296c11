package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/proto"

	"softprompt/onnx/onnxpb"
)

// decodeRawTensor reads a tensor without copying its elements.
func decodeRawTensor(b []byte) (*Tensor, error) {
	raws, rest, err := carve(b, tensorRaw)
	if err != nil {
		return nil, err
	}
	p := &onnxpb.TensorProto{}
	if err := proto.Unmarshal(rest, p); err != nil {
		return nil, err
	}
	if len(raws) > 0 { // of a field that is given twice, the last one counts
		p.RawData = raws[len(raws)-1]
		if p.RawData == nil {
			p.RawData = []byte{}
		}
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
	le := binary.LittleEndian
	b := []byte{}
	switch t := DType(p.GetDataType()); t {
	case Float32, Complex64:
		for _, v := range p.FloatData {
			b = le.AppendUint32(b, math.Float32bits(v))
		}
	case Float64, Complex128:
		for _, v := range p.DoubleData {
			b = le.AppendUint64(b, math.Float64bits(v))
		}
	case Int64:
		for _, v := range p.Int64Data {
			b = le.AppendUint64(b, uint64(v))
		}
	case Uint64:
		for _, v := range p.Uint64Data {
			b = le.AppendUint64(b, v)
		}
	case Uint32:
		for _, v := range p.Uint64Data {
			b = le.AppendUint32(b, uint32(v))
		}
	case Int32:
		for _, v := range p.Int32Data {
			b = le.AppendUint32(b, uint32(v))
		}
	case Int16, Uint16, Float16, BFloat16:
		for _, v := range p.Int32Data {
			b = le.AppendUint16(b, uint16(v))
		}
	default: // a byte each: int8, uint8, bool, and the types of 8 bits and less
		for _, v := range p.Int32Data {
			b = append(b, byte(v))
		}
	}
	return b
}
