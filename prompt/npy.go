package prompt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"

	"softprompt/onnx/atomicfile"
	"softprompt/onnx/hint"
)

// The .npy format, as numpy.lib.format documents it: magic, version, length of
// the header, a Python dict literal, then the elements.

var npyMagic = []byte("\x93NUMPY")

// npyLimit is the largest file that is read: prompts are small, and embedding
// tables of the largest T5 stay below it.
const npyLimit = 1 << 31

// npyHeader matches the dict that NumPy writes. Keys come in this order from
// every version of NumPy, which sorts them.
var npyHeader = regexp.MustCompile(`^\{'descr': '([^']*)', 'fortran_order': (True|False), 'shape': \(([0-9L, ]*)\),? *\} *\n?$`)

// npyTypes are the element types that can be read: bytes and conversion.
var npyTypes = map[string]struct {
	size int
	read func([]byte) float32
}{
	"<f4": {4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }},
	"<f8": {8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }},
}

// ReadNPY reads an array of float32 or float64 (rounded to float32) in C order
// from a .npy file, with its shape.
func ReadNPY(path string) (shape []int64, values []float32, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if info.Size() > npyLimit {
		return nil, nil, fmt.Errorf("reading %s: %d bytes are more than the %d that a .npy file may have", path, info.Size(), npyLimit)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	if shape, values, err = ParseNPY(data); err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return shape, values, nil
}

// ParseNPY reads a .npy file's content; see [ReadNPY].
func ParseNPY(data []byte) (shape []int64, values []float32, err error) {
	header, body, err := splitNPY(data)
	if err != nil {
		return nil, nil, err
	}
	m := npyHeader.FindStringSubmatch(header)
	if m == nil {
		return nil, nil, fmt.Errorf("unreadable .npy header %.100q", header)
	}
	elem, ok := npyTypes[m[1]]
	if !ok {
		return nil, nil, hint.Wrap(fmt.Errorf("elements of type %.20q, want <f4 or <f8", m[1]),
			"convert it with NumPy: numpy.save(file, array.astype('<f4'))")
	}
	if m[2] == "True" {
		return nil, nil, hint.Wrap(errors.New("the array is in Fortran order"),
			"convert it with NumPy: numpy.save(file, numpy.ascontiguousarray(array))")
	}
	if shape, err = parseNPYShape(m[3]); err != nil {
		return nil, nil, err
	}
	n, err := elements(shape)
	if err != nil {
		return nil, nil, err
	}
	if n != len(body)/elem.size || len(body)%elem.size != 0 {
		return nil, nil, fmt.Errorf("shape %v of %s does not fit the %d bytes of data", shape, m[1], len(body))
	}
	values = make([]float32, n)
	for i := range values {
		values[i] = elem.read(body[i*elem.size:])
	}
	return shape, values, nil
}

// splitNPY cuts a file into header and data. Version 1 has two bytes of header
// length, later ones four.
func splitNPY(data []byte) (header string, body []byte, err error) {
	rest, ok := bytes.CutPrefix(data, npyMagic)
	if !ok {
		return "", nil, errors.New("not a .npy file")
	}
	if len(rest) < 2 || rest[0] < 1 || rest[0] > 3 {
		return "", nil, fmt.Errorf("unknown .npy version % x", rest[:min(2, len(rest))])
	}
	wide := rest[0] > 1
	rest = rest[2:]
	var n, skip int
	switch {
	case !wide && len(rest) >= 2:
		n, skip = int(binary.LittleEndian.Uint16(rest)), 2
	case wide && len(rest) >= 4:
		n, skip = int(binary.LittleEndian.Uint32(rest)), 4
	}
	if skip == 0 || n > len(rest)-skip {
		return "", nil, errors.New("the .npy header is cut off")
	}
	return string(rest[skip : skip+n]), rest[skip+n:], nil
}

// parseNPYShape reads the inside of a Python tuple of sizes: "100, 768",
// "5," or, from Python 2, "5L, 4L".
func parseNPYShape(text string) (shape []int64, err error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errors.New("the array has no axes")
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(text, ","), ",") {
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(part), "L"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("unreadable .npy shape (%.60s)", text)
		}
		shape = append(shape, n)
	}
	return shape, nil
}

// MarshalNPY returns an array as a .npy file of version 1.0, little-endian
// float32 in C order. A matrix is byte for byte what NumPy writes.
func MarshalNPY(shape []int64, values []float32) ([]byte, error) {
	n, err := elements(shape)
	if err != nil || n != len(values) {
		return nil, fmt.Errorf("making a .npy file: shape %v for %d values", shape, len(values))
	}
	var dims []string
	for _, d := range shape {
		dims = append(dims, strconv.FormatInt(d, 10))
	}
	tuple := strings.Join(dims, ", ")
	if len(dims) == 1 {
		tuple += ","
	}
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", tuple)
	// The data starts at a multiple of 64 and the header ends with a newline.
	before := len(npyMagic) + 4
	total := (before + len(header) + 1 + 63) / 64 * 64
	header += strings.Repeat(" ", total-before-len(header)-1) + "\n"
	if len(header) > math.MaxUint16 {
		return nil, fmt.Errorf("making a .npy file: %d axes", len(shape))
	}
	out := make([]byte, 0, total+4*len(values))
	out = append(out, npyMagic...)
	out = append(out, 1, 0)
	out = binary.LittleEndian.AppendUint16(out, uint16(len(header)))
	out = append(out, header...)
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out, nil
}

// WriteNPY writes a .npy file, whole or not at all; see [MarshalNPY].
func WriteNPY(path string, shape []int64, values []float32) error {
	data, err := MarshalNPY(shape, values)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, data)
}
