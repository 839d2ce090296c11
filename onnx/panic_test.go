package onnx

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// attrNames are the attributes that some rule reads.
var attrNames = []string{
	"K", "N", "allowzero", "axes", "axis", "batch_dims", "blocksize", "dtype", "end", "ends", "equation", "keepdims", "kv_num_heads",
	"noop_with_empty_axes", "num_heads", "output_dtype", "pads", "perm", "q_num_heads", "qkv_hidden_sizes", "reduction",
	"shape", "split", "start", "starts", "stash_type", "steps", "to", "transA", "transB", "transBatchA",
	"value", "value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings",
}

// TestNoNodePanics puts operators to operands and attributes that no one would
// give them: a node is refused or described, and described within bounds.
func TestNoNodePanics(t *testing.T) {
	names := append(slices.Sorted(maps.Keys(operators)), "NoSuchOperator")
	number := rapid.OneOf(rapid.Int64Range(-3, 5), rapid.SampledFrom([]int64{100, 1 << 31, 1 << 62, End, -End - 1}))
	sizes := rapid.SliceOfN(number, 0, 4)
	tensor := rapid.Custom(func(t *rapid.T) *Tensor {
		list := sizes.Draw(t, "elements")
		switch rapid.IntRange(0, 4).Draw(t, "tensor") {
		case 0:
			return Longs("", nil, []int64{number.Draw(t, "element")})
		case 1:
			return &Tensor{Type: Int32, Dims: []int64{2}, Data: []byte{1, 0, 0, 0, 255, 255, 255, 255}}
		case 2:
			return &Tensor{Type: Bool, Dims: []int64{3}, Data: []byte{0, 1, 1}}
		case 3:
			return Floats("", []int64{2, 1}, []float32{1, 2})
		}
		return Longs("", []int64{int64(len(list))}, list)
	})
	attr := rapid.Custom(func(t *rapid.T) Attr {
		name := rapid.SampledFrom(attrNames).Draw(t, "name")
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return StringAttr(name, rapid.SampledFrom([]string{"", "none", "ij,jk->ik", "i", "...i->i", "ää->ä", "->"}).Draw(t, "text"))
		case 1:
			return TensorAttr(name, tensor.Draw(t, "tensor"))
		case 2:
			return FloatAttr(name, 1)
		case 3:
			return IntAttr(name, number.Draw(t, "int"))
		}
		return IntsAttr(name, sizes.Draw(t, "ints")...)
	})
	dim := rapid.Custom(func(t *rapid.T) Dim {
		if n := number.Draw(t, "size"); n >= 0 {
			return Size(n)
		}
		return drawDim(t, "symbolic")
	})
	rapid.Check(t, func(t *rapid.T) {
		m := NewModel("hostile")
		m.Opset[""] = rapid.Int64Range(0, 24).Draw(t, "opset")
		f := NewInference(m)
		pool := []string{"", "nowhere"}
		for i := range 6 {
			name := fmt.Sprintf("v%d", i)
			pool = append(pool, name)
			switch rapid.IntRange(0, 3).Draw(t, "value") {
			case 0:
				c := tensor.Draw(t, "constant")
				c.Name = name
				f.SetConst(c)
			case 1:
				f.Set(Value{Name: name, Type: DType(rapid.IntRange(0, 16).Draw(t, "type"))})
			default:
				types := []DType{Float32, Float32, Int64, Bool}
				f.Set(Value{Name: name, Type: rapid.SampledFrom(types).Draw(t, "type"), Shape: rapid.SliceOfN(dim, 0, 4).Draw(t, "shape")})
			}
		}
		for i := range rapid.IntRange(1, 4).Draw(t, "nodes") {
			op := rapid.SampledFrom(names).Draw(t, "op")
			n := &Node{
				Op:     op,
				Inputs: rapid.SliceOfN(rapid.SampledFrom(pool), 0, 6).Draw(t, "inputs"),
				Attrs:  rapid.SliceOfN(attr, 0, 4).Draw(t, "attrs"),
			}
			if rest, ok := strings.CutPrefix(op, Microsoft+"."); ok {
				n.Domain, n.Op = Microsoft, rest
			}
			for j := range rapid.IntRange(0, 3).Draw(t, "outputs") {
				n.Outputs = append(n.Outputs, fmt.Sprintf("out%d.%d", i, j))
			}
			if f.Node(n) != nil {
				continue
			}
			for _, o := range n.Outputs {
				v, _ := f.Value(o)
				if len(v.Shape) > maxRank || len(f.Elems(o)) > maxElems {
					t.Fatalf("%v made %v with %d known elements", n, v, len(f.Elems(o)))
				}
				for _, d := range v.Shape {
					if d.Size < -1 || d.Known() && d.Sym != "" {
						t.Fatalf("%v made %v with size %+v", n, v, d)
					}
				}
				pool = append(pool, o)
			}
		}
	})
}
