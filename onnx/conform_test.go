package onnx_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// operand is what a node is given in a test.
type operand struct {
	tensor *onnx.Tensor
	fixed  bool // a constant of the graph, not an input
}

// f is a float32 input of the given sizes, with elements between 0.5 and 1.5.
func f(dims ...int64) operand { return operand{tensor: floats(dims)} }

// w is f as a constant.
func w(dims ...int64) operand { return operand{tensor: floats(dims), fixed: true} }

// d is f in float64.
func d(dims ...int64) operand {
	t := floats(dims)
	v, _ := t.Float32s()
	wide := make([]float64, len(v))
	for i := range v {
		wide[i] = float64(v[i])
	}
	return operand{tensor: onnx.Doubles("", dims, wide)}
}

func floats(dims []int64) *onnx.Tensor {
	n := (&onnx.Tensor{Dims: dims}).Len()
	v := make([]float32, n)
	for i := range v {
		v[i] = 0.5 + float32((i*37)%64)/64
	}
	return onnx.Floats("", dims, v)
}

// bools is a bool input in which every other element holds.
func bools(dims ...int64) operand {
	data := make([]byte, (&onnx.Tensor{Dims: dims}).Len())
	for i := range data {
		data[i] = byte(i % 2)
	}
	return operand{tensor: &onnx.Tensor{Type: onnx.Bool, Dims: dims, Data: data}}
}

// bytes8 is a uint8 constant.
func bytes8(dims ...int64) operand {
	return operand{tensor: &onnx.Tensor{Type: onnx.Uint8, Dims: dims, Data: make([]byte, (&onnx.Tensor{Dims: dims}).Len())}, fixed: true}
}

// at is an int64 input of indices 0, 1, 0, 1, …
func at(dims ...int64) operand {
	v := make([]int64, (&onnx.Tensor{Dims: dims}).Len())
	for i := range v {
		v[i] = int64(i % 2)
	}
	return operand{tensor: onnx.Longs("", dims, v)}
}

// c is a constant int64 vector, k a constant int64 scalar.
func c(v ...int64) operand {
	return operand{tensor: onnx.Longs("", []int64{int64(len(v))}, v), fixed: true}
}
func k(v int64) operand { return operand{tensor: onnx.Longs("", nil, []int64{v}), fixed: true} }

// none is an operand that is left out.
var none = operand{}

func in(o ...operand) []operand { return o }

// nodeCase is a node with operands that ONNX Runtime can run.
type nodeCase struct {
	op    string
	in    []operand
	attrs []onnx.Attr
	outs  int   // 1 if not given
	opset int64 // 18 if not given
	open  bool  // sizes depend on the elements

	without []int // outputs that are left out
}

func (c nodeCase) String() string {
	s := c.op
	for _, o := range c.in {
		if o.tensor == nil {
			s += ",-"
			continue
		}
		s += fmt.Sprintf(",%v%v", o.tensor.Type, o.tensor.Dims)
	}
	for _, a := range c.attrs {
		s += "," + a.Name
	}
	if c.opset != 0 {
		s += fmt.Sprintf(",%d", c.opset)
	}
	return s
}

// model makes the graph, with inputs of the shapes that the function gives.
func (c nodeCase) model(shape func(input int, dims []int64) onnx.Shape) (*onnx.Model, map[string]*onnx.Tensor) {
	m := onnx.NewModel("case")
	if c.opset != 0 {
		m.Opset[""] = c.opset
	}
	feeds := map[string]*onnx.Tensor{}
	n := &onnx.Node{Name: "node", Op: c.op, Attrs: c.attrs}
	if rest, ok := strings.CutPrefix(c.op, onnx.Microsoft+"."); ok {
		n.Domain, n.Op = onnx.Microsoft, rest
		m.Opset[n.Domain] = 1
	}
	for i, o := range c.in {
		name := fmt.Sprintf("in%d", i)
		switch {
		case o.tensor == nil:
			name = ""
		case o.fixed:
			t := *o.tensor
			t.Name = name
			m.Graph.Initializers = append(m.Graph.Initializers, &t)
		default:
			m.Graph.Inputs = append(m.Graph.Inputs, onnx.Value{Name: name, Type: o.tensor.Type, Shape: shape(i, o.tensor.Dims)})
			feeds[name] = o.tensor
		}
		n.Inputs = append(n.Inputs, name)
	}
	for i := range max(c.outs, 1) {
		if slices.Contains(c.without, i) {
			n.Outputs = append(n.Outputs, "")
			continue
		}
		name := fmt.Sprintf("out%d", i)
		n.Outputs = append(n.Outputs, name)
		m.Graph.Outputs = append(m.Graph.Outputs, onnx.Value{Name: name})
	}
	m.Graph.Nodes = []*onnx.Node{n}
	return m, feeds
}

// TestAgainstRuntime runs a node of every operator on ONNX Runtime and holds
// what was inferred of its outputs against what came out: with known sizes,
// with symbols for all of them, and with ranks that are not known. Inference
// may say nothing, but never something else.
func TestAgainstRuntime(t *testing.T) {
	for _, c := range nodeCases {
		t.Run(c.String(), func(t *testing.T) {
			fixed, feeds := c.model(func(_ int, dims []int64) onnx.Shape { return onnx.Fixed(dims...) })
			// The runtime is told the types; it refuses wrong ones.
			if err := onnx.InferShapes(fixed); err != nil {
				t.Fatal(err)
			}
			inferred := slices.Clone(fixed.Graph.Outputs)
			for i := range fixed.Graph.Outputs {
				fixed.Graph.Outputs[i].Shape = nil
			}
			results := orttest.Run(t, fixed, feeds)

			check := func(kind string, got []onnx.Value, sizes map[string]int64) {
				for _, v := range got {
					want := results[v.Name]
					if v.Type != want.Type {
						t.Errorf("%s: %s has type %v, the runtime's %v", kind, v.Name, v.Type, want.Type)
					}
					if v.Shape != nil && len(v.Shape) != len(want.Dims) {
						t.Errorf("%s: %s has shape %v, the runtime's %v", kind, v.Name, v.Shape, want.Dims)
						continue
					}
					for i, d := range v.Shape {
						if n, ok := d.Evaluate(sizes); ok && n != want.Dims[i] || !ok && d != onnx.Unknown {
							t.Errorf("%s: %s has shape %v, the runtime's %v (%v)", kind, v.Name, v.Shape, want.Dims, sizes)
						}
					}
				}
			}
			check("known sizes", inferred, nil)
			for _, v := range inferred {
				if _, ok := v.Shape.Sizes(); !ok && !c.open {
					t.Errorf("known sizes: %s has shape %v, want all of it known", v.Name, v.Shape)
				}
			}

			sizes := map[string]int64{}
			symbolic, _ := c.model(func(input int, dims []int64) onnx.Shape {
				s := onnx.Shape{}
				for _, n := range dims {
					// Equal sizes, but for 1, are one symbol, as in real graphs.
					name := fmt.Sprintf("n%d", n)
					if n == 1 {
						s = append(s, onnx.Size(1))
						continue
					}
					sizes[name] = n
					s = append(s, onnx.Sym(name))
				}
				return s
			})
			if err := onnx.InferShapes(symbolic); err != nil {
				t.Fatal(err)
			}
			check("symbolic sizes", symbolic.Graph.Outputs, sizes)

			unranked, _ := c.model(func(int, []int64) onnx.Shape { return nil })
			if err := onnx.InferShapes(unranked); err != nil {
				t.Fatal(err)
			}
			check("unknown ranks", unranked.Graph.Outputs, nil)
		})
	}
}

// TestEveryOperatorIsRun checks that each rule stands in the table of cases,
// but for operators that the runtime cannot run on a CPU.
func TestEveryOperatorIsRun(t *testing.T) {
	notOnCPU := map[string]string{
		"com.microsoft.RelativePositionBias": "has a CUDA kernel only",
	}
	run := map[string]bool{}
	for _, c := range nodeCases {
		run[c.op] = true
	}
	for _, op := range onnx.Operators() {
		if _, excused := notOnCPU[op]; run[op] == excused {
			t.Errorf("operator %s: run against the runtime %v, excused %v", op, run[op], excused)
		}
	}
}
