package models

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"softprompt/onnx/hint"
)

// A safetensors file is the header's length (8 bytes, little-endian), the
// header (JSON, padded with spaces) and the data:
//
//	{"__metadata__": {"format": "pt"},
//	 "shared.weight": {"dtype": "F32", "shape": [8192,256], "data_offsets": [0,8388608]}}
//
// Offsets count from the end of the header. The tensors cover the data without
// hole or overlap; we refuse what the reference implementation refuses.

// headerLimit is the longest header that the reference implementation reads.
const headerLimit = 100_000_000

// DType is a safetensors element type, spelled as in the file.
type DType string

// The element types that weights come in; others are carried but not widened.
const (
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	U8   DType = "U8"
	I8   DType = "I8"
)

// dtypeSizes holds the bytes of one element.
var dtypeSizes = map[DType]int64{
	"BOOL": 1, U8: 1, I8: 1, "F8_E4M3": 1, "F8_E5M2": 1,
	"U16": 2, "I16": 2, F16: 2, BF16: 2,
	"U32": 4, I32: 4, F32: 4,
	"U64": 8, I64: 8, "F64": 8, "C64": 8,
}

// damaged is the advice for a file that is not what it should be.
const damaged = "the file is damaged or only partly there: copy or download it again"

// lfsPointer begins the file that lies in a large file's place until it is
// fetched.
const lfsPointer = "version https://git-lfs"

var errPointer = hint.Wrap(errors.New("a Git LFS pointer, not the weights"), "fetch the file itself: git lfs pull")

// readSafetensors finds the tensors of a whole safetensors file.
func readSafetensors(file []byte) ([]tensor, map[string]string, error) {
	infos, metadata, err := parseSafetensors(file)
	tensors := make([]tensor, len(infos))
	for i, t := range infos {
		tensors[i] = tensor{TensorInfo: t, data: file[t.Offset : t.Offset+t.Length : t.Offset+t.Length]}
	}
	return tensors, metadata, err
}

// parseSafetensors reads the header of a whole safetensors file. The tensors
// come in the order of their bytes, without File.
func parseSafetensors(file []byte) (tensors []TensorInfo, metadata map[string]string, err error) {
	if len(file) < 8 {
		return nil, nil, hint.Wrap(fmt.Errorf("%d bytes are too few for a safetensors file", len(file)), damaged)
	}
	if bytes.HasPrefix(file, []byte(lfsPointer)) {
		return nil, nil, errPointer
	}
	n := binary.LittleEndian.Uint64(file)
	if n > headerLimit {
		return nil, nil, hint.Wrap(fmt.Errorf("not a safetensors file: a header of %d bytes, limit %d", n, headerLimit), damaged)
	}
	if n > uint64(len(file)-8) {
		return nil, nil, hint.Wrap(fmt.Errorf("a header of %d bytes in a file of %d", n, len(file)), damaged)
	}
	header, data := file[8:8+n], int64(len(file))-8-int64(n)
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, hint.Wrap(errors.New("not a safetensors file: the header is no JSON object"), damaged)
	}
	if !utf8.Valid(header) {
		return nil, nil, hint.Wrap(errors.New("the header is not UTF-8"), damaged)
	}
	tensors, metadata, err = parseHeader(header)
	if err != nil {
		return nil, nil, hint.Wrap(fmt.Errorf("the header: %w", err), damaged)
	}
	slices.SortStableFunc(tensors, func(a, b TensorInfo) int { // an empty tensor before the one at its place
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Length, b.Length))
	})
	end := int64(0)
	for i := range tensors {
		t := &tensors[i]
		if t.Offset != end {
			return nil, nil, hint.Wrap(fmt.Errorf("tensor %q starts at byte %d of the data, wanted %d: overlap or hole", t.Name, t.Offset, end), damaged)
		}
		end = t.Offset + t.Length
		if end > data {
			return nil, nil, hint.Wrap(fmt.Errorf("tensor %q ends at byte %d of the data, of which there are %d", t.Name, end, data), damaged)
		}
		t.Offset += 8 + int64(n)
	}
	if end != data {
		return nil, nil, hint.Wrap(fmt.Errorf("%d bytes after the last tensor", data-end), damaged)
	}
	return tensors, metadata, nil
}

// parseHeader walks the header's JSON by token, since a map would hide a
// name that comes twice. Offsets are those of the file, relative to the data.
func parseHeader(header []byte) ([]TensorInfo, map[string]string, error) {
	dec := json.NewDecoder(bytes.NewReader(header))
	if _, err := dec.Token(); err != nil { // the opening brace
		return nil, nil, err
	}
	var tensors []TensorInfo
	var metadata map[string]string
	seen := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, nil, fmt.Errorf("%v where a tensor's name was wanted", key)
		}
		if seen[name] {
			return nil, nil, fmt.Errorf("%q comes twice", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := dec.Decode(&metadata); err != nil {
				return nil, nil, fmt.Errorf("__metadata__ must map strings to strings: %w", err)
			}
			continue
		}
		var raw rawTensor
		if err := dec.Decode(&raw); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		t, err := raw.info(name)
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		tensors = append(tensors, t)
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, nil, errors.New("text after the JSON object")
	}
	return tensors, metadata, nil
}

// rawTensor is a header entry as written; pointers tell absent from empty.
type rawTensor struct {
	DType   DType    `json:"dtype"`
	Shape   *[]int64 `json:"shape"`
	Offsets []int64  `json:"data_offsets"`
}

func (r rawTensor) info(name string) (TensorInfo, error) {
	size, ok := dtypeSizes[r.DType]
	if !ok {
		return TensorInfo{}, fmt.Errorf("dtype %q is none of %s", r.DType, dtypeNames())
	}
	if r.Shape == nil {
		return TensorInfo{}, errors.New("no shape")
	}
	if len(r.Offsets) != 2 || r.Offsets[0] < 0 || r.Offsets[1] < r.Offsets[0] {
		return TensorInfo{}, fmt.Errorf("data_offsets %v, wanted [begin,end]", r.Offsets)
	}
	want, err := byteLength(*r.Shape, size)
	if err != nil {
		return TensorInfo{}, err
	}
	length := r.Offsets[1] - r.Offsets[0]
	if length != want {
		return TensorInfo{}, fmt.Errorf("%d bytes for shape %v of %s, wanted %d", length, *r.Shape, r.DType, want)
	}
	return TensorInfo{Name: name, DType: r.DType, Shape: *r.Shape, Offset: r.Offsets[0], Length: length}, nil
}

// byteLength multiplies a shape out, refusing negative and overflowing sizes.
func byteLength(shape []int64, size int64) (int64, error) {
	n := size
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("negative size in shape %v", shape)
		}
		if d > 0 && n > math.MaxInt64/d {
			return 0, fmt.Errorf("shape %v is too large", shape)
		}
		n *= d
	}
	return n, nil
}

func dtypeNames() string {
	names := slices.Sorted(maps.Keys(dtypeSizes))
	text := make([]string, len(names))
	for i, n := range names {
		text[i] = string(n)
	}
	return strings.Join(text, ", ")
}
