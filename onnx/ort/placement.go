package ort

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"softprompt/onnx/hint"
)

// Placed is a node of a graph as a profile saw it run.
type Placed struct {
	Node, Op string
	Provider string // the execution provider that ran it, such as CUDAExecutionProvider
	// Elements is the size of the largest tensor that it wrote, Floats whether
	// one of those that it read or wrote holds floating-point numbers.
	Elements int64
	Floats   bool
}

// Placement reads where each node ran, in order of their first run, from the
// trace of a session that had a [Config.Profile].
func Placement(trace []byte) ([]Placed, error) {
	type typed []map[string][]int64 // of each tensor: its type and sizes
	var events []struct {
		Cat, Name string
		Args      struct {
			Op       string `json:"op_name"`
			Provider string `json:"provider"`
			Inputs   typed  `json:"input_type_shape"`
			Outputs  typed  `json:"output_type_shape"`
		}
	}
	if err := json.Unmarshal(trace, &events); err != nil {
		return nil, fmt.Errorf("reading the runtime's trace: %w", err)
	}
	seen := map[string]bool{}
	var list []Placed
	for _, e := range events {
		name, ran := strings.CutSuffix(e.Name, "_kernel_time")
		if e.Cat != "Node" || !ran || e.Args.Provider == "" || seen[name] {
			continue
		}
		seen[name] = true
		p := Placed{Node: name, Op: e.Args.Op, Provider: e.Args.Provider}
		for _, t := range slices.Concat(e.Args.Inputs, e.Args.Outputs) {
			for kind := range t {
				p.Floats = p.Floats || strings.Contains(kind, "float") || kind == "double"
			}
		}
		for _, t := range e.Args.Outputs {
			for _, sizes := range t {
				n := int64(1)
				for _, size := range sizes {
					n *= size
				}
				p.Elements = max(p.Elements, n)
			}
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, hint.Wrap(fmt.Errorf("the runtime's trace has no node that says where it ran"), "its format may have changed with the version of ONNX Runtime")
	}
	return list, nil
}

// shapeElements is the most that shape arithmetic writes: the sizes of a tensor.
const shapeElements = 16

// OffDevice returns what ran elsewhere than on the device's provider and should
// not have: copies between device and processor, and nodes that compute. The runtime puts
// arithmetic on shapes, a few integers, on the processor on purpose, so that
// the device need not be waited for; that is left out. Largest first.
func OffDevice(list []Placed, provider string) []Placed {
	var off []Placed
	for _, p := range list {
		copies := strings.HasPrefix(p.Op, "Memcpy")
		shapes := !p.Floats && p.Elements <= shapeElements
		if copies || p.Provider != provider && !shapes {
			off = append(off, p)
		}
	}
	slices.SortStableFunc(off, func(a, b Placed) int { return cmp.Compare(b.Elements, a.Elements) })
	return off
}

// String describes the node for a report.
func (p Placed) String() string {
	return p.Op + " " + p.Node + " on " + strings.TrimSuffix(p.Provider, "ExecutionProvider") + ", " + strconv.FormatInt(p.Elements, 10) + " elements"
}

// ProviderName returns the name of the execution provider behind a device. That
// of a library is known once a session was made on it.
func (rt *Runtime) ProviderName(d Device) string {
	switch d.Kind {
	case "cuda":
		return "CUDAExecutionProvider"
	case "library":
		return rt.libraryProvider(d.Library)
	}
	return "CPUExecutionProvider"
}
