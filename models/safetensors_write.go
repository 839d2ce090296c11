package models

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"softprompt/onnx/atomicfile"
)

// NamedTensor is a tensor to be written. Data holds the elements row by row,
// little-endian.
type NamedTensor struct {
	Name  string
	DType DType
	Shape []int64
	Data  []byte
}

// WriteSafetensors writes the tensors and the metadata (nil for none) to a
// file that is there whole or not at all. The same input gives the same bytes
// and, with at most one metadata key, those of Hugging Face's library: tensors
// with the widest type first, then by name, the header padded to 8 bytes.
func WriteSafetensors(path string, tensors []NamedTensor, metadata map[string]string) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := encodeSafetensors(f, tensors, metadata); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Commit()
}

// MarshalSafetensors returns the bytes that WriteSafetensors would write.
func MarshalSafetensors(tensors []NamedTensor, metadata map[string]string) ([]byte, error) {
	var buf bytes.Buffer
	if err := encodeSafetensors(&buf, tensors, metadata); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// dtypeOrder ranks types as the reference implementation lays them out, from
// the last byte in the file to the first.
var dtypeOrder = []DType{"BOOL", U8, I8, "F8_E5M2", "F8_E4M3", "I16", "U16", F16, BF16, I32, "U32", F32, "C64", "F64", I64, "U64"}

func encodeSafetensors(w io.Writer, tensors []NamedTensor, metadata map[string]string) error {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b NamedTensor) int {
		rank := cmp.Compare(slices.Index(dtypeOrder, b.DType), slices.Index(dtypeOrder, a.DType))
		return cmp.Or(rank, cmp.Compare(a.Name, b.Name))
	})
	infos := make([]TensorInfo, len(tensors))
	for i, t := range tensors {
		infos[i] = TensorInfo{Name: t.Name, DType: t.DType, Shape: t.Shape, Length: int64(len(t.Data))}
	}
	header, err := marshalHeader(infos, metadata, 8)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		if _, err := w.Write(t.Data); err != nil {
			return err
		}
	}
	return nil
}

// marshalHeader returns a file's bytes up to the data, for tensors that lie in
// the given order without holes, padded so that the data starts at a multiple
// of align.
func marshalHeader(tensors []TensorInfo, metadata map[string]string, align int) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 8, 4096))
	buf.WriteByte('{')
	comma := ""
	entry := func(name string, value any) error {
		if !utf8.ValidString(name) {
			return fmt.Errorf("the name %q is not UTF-8", name)
		}
		buf.WriteString(comma)
		comma = ","
		if err := writeJSON(buf, name); err != nil {
			return err
		}
		buf.WriteByte(':')
		return writeJSON(buf, value)
	}
	if metadata != nil {
		for _, k := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(k) || !utf8.ValidString(metadata[k]) {
				return nil, fmt.Errorf("metadata %q is not UTF-8", k)
			}
		}
		if err := entry("__metadata__", metadata); err != nil { // json sorts the keys
			return nil, err
		}
	}
	seen := map[string]bool{"__metadata__": true}
	offset := int64(0)
	for _, t := range tensors {
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %q comes twice or has a reserved name", t.Name)
		}
		seen[t.Name] = true
		size, ok := dtypeSizes[t.DType]
		if !ok {
			return nil, fmt.Errorf("tensor %q: dtype %q is none of %s", t.Name, t.DType, dtypeNames())
		}
		want, err := byteLength(t.Shape, size)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if t.Length != want {
			return nil, fmt.Errorf("tensor %q: %d bytes for shape %v of %s, wanted %d", t.Name, t.Length, t.Shape, t.DType, want)
		}
		err = entry(t.Name, headerEntry{t.DType, append([]int64{}, t.Shape...), [2]int64{offset, offset + t.Length}})
		if err != nil {
			return nil, err
		}
		offset += t.Length
	}
	buf.WriteByte('}')
	for buf.Len()%align != 0 {
		buf.WriteByte(' ')
	}
	header := buf.Bytes()
	if len(header)-8 > headerLimit {
		return nil, fmt.Errorf("a header of %d bytes, limit %d", len(header)-8, headerLimit)
	}
	binary.LittleEndian.PutUint64(header, uint64(len(header)-8))
	return header, nil
}

// headerEntry fixes the order of an entry's fields.
type headerEntry struct {
	DType   DType    `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// writeJSON appends compact JSON without escaping <, > and &.
func writeJSON(buf *bytes.Buffer, v any) error {
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	buf.Truncate(buf.Len() - 1) // the encoder's newline
	return nil
}
