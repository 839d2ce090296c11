package measure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"softprompt/onnx/hint"
)

// Run is one run of a session in a trace. Times are microseconds of the
// trace's own clock.
type Run struct {
	Start, Micros float64
	Kernels       []Kernel
}

// Kernel is one execution of a node.
type Kernel struct {
	Node, Op        string
	Inputs, Outputs []Operand
	Start, Micros   float64
}

// Operand is what a kernel read or wrote. The runtime leaves some constants
// out.
type Operand struct {
	Type  string // as ONNX Runtime writes it: float, int8
	Shape []int64
}

// traceEvent is an event of a trace as ONNX Runtime writes it.
type traceEvent struct {
	Cat, Name string
	TID       int64
	TS, Dur   float64
	Args      struct {
		Op      string               `json:"op_name"`
		Inputs  []map[string][]int64 `json:"input_type_shape"`
		Outputs []map[string][]int64 `json:"output_type_shape"`
	}
}

const kernelTime = "_kernel_time"

// ParseTrace reads a trace in Chrome's format, as ONNX Runtime writes it for
// ort.Config.Profile, and returns the runs in the order in which they ended.
// Runs may have gone side by side: each is a thread's.
func ParseTrace(r io.Reader) ([]Run, error) {
	var runs []Run
	open := map[int64][]Kernel{} // by thread
	d := json.NewDecoder(r)
	first, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("reading the runtime's trace: %w", err)
	}
	if first != json.Delim('[') {
		return nil, fmt.Errorf("reading the runtime's trace: it begins with %v, not with a list", first)
	}
	for d.More() {
		var e traceEvent
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("reading the runtime's trace, byte %d: %w", d.InputOffset(), err)
		}
		node, kernel := strings.CutSuffix(e.Name, kernelTime)
		switch {
		case e.Cat == "Node" && kernel:
			open[e.TID] = append(open[e.TID], Kernel{node, e.Args.Op, operands(e.Args.Inputs), operands(e.Args.Outputs), e.TS, e.Dur})
		case e.Name == "model_run":
			runs = append(runs, Run{e.TS, e.Dur, open[e.TID]})
			delete(open, e.TID)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("reading the runtime's trace: it is not whole: %w", err)
	}
	if len(runs) == 0 {
		return nil, hint.Wrap(errors.New("the runtime's trace has no run"), "its format may have changed with the version of ONNX Runtime")
	}
	return runs, nil
}

// operands flattens the runtime's list of objects with one key, the type.
func operands(list []map[string][]int64) []Operand {
	var out []Operand
	for _, o := range list {
		for typ, shape := range o {
			out = append(out, Operand{typ, shape})
		}
	}
	return out
}

// shapes writes the operands' shapes: [2,3] [3,5].
func shapes(list []Operand) string {
	var out []string
	for _, o := range list {
		out = append(out, strings.ReplaceAll(fmt.Sprint(o.Shape), " ", ","))
	}
	return strings.Join(out, " ")
}
