package ort

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"softprompt/onnx/hint"
)

// Device says where sessions run: an execution provider of the runtime and the
// number of its card. The zero Device is the processor.
type Device struct {
	Kind    string // "cpu" (or ""), "cuda", or "library"
	Index   int    // which card; 0 is the first
	Library string // file of an execution provider's library, for Kind "library"
}

// ParseDevice reads cpu, cuda, cuda:1, or the path of a provider's library
// with an optional :N behind it. A path has a slash in it, or ends as shared
// libraries do.
func ParseDevice(s string) (Device, error) {
	name, index := s, 0
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		n, err := strconv.Atoi(s[i+1:])
		if err != nil || n < 0 {
			return Device{}, hint.Wrap(fmt.Errorf("device %q: %q is not the number of a card", s, s[i+1:]),
				"cards are counted from 0, as in cuda:0")
		}
		name, index = s[:i], n
	}
	switch ext := filepath.Ext(name); {
	case name == "cpu" && name == s:
		return Device{Kind: "cpu"}, nil
	case name == "cuda":
		return Device{Kind: "cuda", Index: index}, nil
	case strings.ContainsRune(name, filepath.Separator) || ext == ".so" || ext == ".dylib":
		return Device{Kind: "library", Index: index, Library: name}, nil
	}
	return Device{}, hint.Wrap(fmt.Errorf("there is no device %q", s),
		"devices are cpu, cuda, cuda:1, or the path of an execution provider's library")
}

// String writes the device as ParseDevice reads it.
func (d Device) String() string {
	name := d.Kind
	switch d.Kind {
	case "", "cpu":
		return "cpu"
	case "library":
		if name = d.Library; !strings.ContainsRune(name, filepath.Separator) {
			name = "." + string(filepath.Separator) + name
		}
	}
	if d.Index == 0 && !strings.Contains(name, ":") { // what stands behind a colon is read as the number
		return name
	}
	return fmt.Sprintf("%s:%d", name, d.Index)
}
