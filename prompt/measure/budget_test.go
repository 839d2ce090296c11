package measure

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"softprompt/onnx"
)

// goldenGraph has the nodes of the golden trace.
func goldenGraph() *onnx.Model {
	m := onnx.NewModel("golden")
	m.Graph.Nodes = []*onnx.Node{
		{Name: "a/MatMul", Op: "MatMul", Block: "encoder.0"},
		{Name: "b/MatMul", Op: "MatMul", Block: "encoder.0", From: "a/MatMul"},
		{Name: "x/Mul", Op: "Mul", Block: "never run"},
		{Name: "a/Add", Op: "Add", Block: "decoder.0"},
	}
	return m
}

var compared = cmp.Options{cmpopts.IgnoreUnexported(Line{}), cmpopts.EquateApprox(0, 1e-9)}

func TestBudget(t *testing.T) {
	// Two runs are one step: 1200 + 700 µs of runs, 1000 + 600 of kernels.
	got := NewBudget(golden(t), goldenGraph(), 2*time.Millisecond, 1)
	want := &Budget{
		Steps: 1, Passes: 2, Millis: 2,
		Kinds: []Line{
			{"float32 products", 3, 1.3, 0.65, (60 + 60 + 20) / 1.3e6, 0},
			{"elementwise", 2, 0.3, 0.15, 0, 0},
			{"between kernels", 0, 0.3, 0.15, 0, 0},
			{"Go", 0, 0.1, 0.05, 0, 0},
		},
		Ops: []Line{{"MatMul", 3, 1.3, 0.65, 140 / 1.3e6, 0}, {"Add", 2, 0.3, 0.15, 0, 0}},
		Shapes: []Line{
			{"MatMul [2,3] [3,5]", 2, 1.2, 0.6, 120 / 1.2e6, 0},
			{"Add [2,5] [5]", 2, 0.3, 0.15, 0, 0},
			{"MatMul [2,5] [5,1]", 1, 0.1, 0.05, 20 / 0.1e6, 0},
		},
		Blocks: []Block{{"encoder.0", 1.2, 0.1, 0.65}, {"decoder.0", 0.3, 0, 0.15}},
	}
	if diff := cmp.Diff(want, got, compared); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	addsUp(t, got)

	// As two steps of one pass it is the mean of both.
	got = NewBudget(golden(t), goldenGraph(), 2*time.Millisecond, 2)
	if got.Passes != 1 || !near(got.Millis, 1) || !near(got.Ops[0].Calls, 1.5) || !near(got.Ops[0].Millis, 0.65) || !near(got.Ops[0].GFLOPS, 140/1.3e6) {
		t.Errorf("two steps: %+v", got)
	}
	addsUp(t, got)
}

// addsUp checks that a budget accounts for all of the step, each way of counting
// for the same kernels.
func addsUp(t *testing.T, b *Budget) {
	t.Helper()
	all, kernels := 0.0, 0.0
	for _, l := range b.Kinds {
		all += l.Millis
		if l.Name != string(RuntimeOwn) && l.Name != string(GoOwn) {
			kernels += l.Millis
		}
		if !near(l.Share, l.Millis/b.Millis) {
			t.Errorf("%s: share %v of %v ms", l.Name, l.Share, l.Millis)
		}
	}
	if !near(all, b.Millis) {
		t.Errorf("the kinds add up to %v ms of %v", all, b.Millis)
	}
	ops, shapes, blocks := 0.0, 0.0, 0.0
	for _, l := range b.Ops {
		ops += l.Millis
	}
	for _, l := range b.Shapes {
		shapes += l.Millis
	}
	for _, l := range b.Blocks {
		blocks += l.Forward + l.Backward
	}
	if !near(ops, kernels) || !near(shapes, kernels) || !near(blocks, kernels) {
		t.Errorf("kernels take %v ms by kind, %v by operator, %v by shape, %v by block", kernels, ops, shapes, blocks)
	}
}

// TestBudgetSideBySide: two passes at once share the time that they took.
func TestBudgetSideBySide(t *testing.T) {
	add := func(start, micros float64) Kernel { return Kernel{Node: "a", Op: "Add", Start: start, Micros: micros} }
	mul := func(start, micros float64) Kernel { return Kernel{Node: "b", Op: "Mul", Start: start, Micros: micros} }
	b := NewBudget([]Run{
		{0, 1000, []Kernel{add(0, 400), mul(500, 500)}},
		{200, 1000, []Kernel{mul(200, 200), add(500, 700)}},
	}, onnx.NewModel("none"), 1500*time.Microsecond, 1)
	// Kernels: 1100 µs of work and 700 of them in 0…400 and 500…1200, so 1100
	// of the clock for 1800.
	scale := 1100.0 / 1800
	want := []Line{
		{"elementwise", 4, 1.1, 1.1 / 1.5, 0, 0},
		{"between kernels", 0, 0.1, 0.1 / 1.5, 0, 0},
		{"Go", 0, 0.3, 0.2, 0, 0},
	}
	if diff := cmp.Diff(want, b.Kinds, compared); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !near(b.Ops[0].Millis, 1.1*scale) || b.Ops[0].Name != "Add" || !near(b.Ops[1].Millis, 0.7*scale) {
		t.Errorf("operators %+v", b.Ops)
	}
	if len(b.Blocks) != 1 || b.Blocks[0].Name != unnamed {
		t.Errorf("blocks %+v", b.Blocks)
	}
	addsUp(t, b)
}

// TestBudgetOfNothing divides by nothing.
func TestBudgetOfNothing(t *testing.T) {
	b := NewBudget([]Run{{}}, onnx.NewModel("none"), 0, 1)
	if b.Millis != 0 || len(b.Ops) != 0 || len(b.Kinds) != 2 || b.Kinds[0].Share != 0 {
		t.Errorf("%+v", b)
	}
}

// TestHeaviest: lines of equal times go by their names.
func TestHeaviest(t *testing.T) {
	b := NewBudget([]Run{{0, 5, []Kernel{
		{Op: "Sub", Micros: 1}, {Op: "Add", Start: 1, Micros: 1}, {Op: "Mul", Start: 2, Micros: 2},
	}}}, onnx.NewModel("none"), time.Millisecond, 1)
	var got []string
	for _, l := range b.Ops {
		got = append(got, l.Name)
	}
	if diff := cmp.Diff([]string{"Mul", "Add", "Sub"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCovered(t *testing.T) {
	for _, c := range []struct {
		spans []span
		want  float64
	}{
		{nil, 0},
		{[]span{{3, 5}}, 2},
		{[]span{{-4, -1}, {2, 3}}, 4},
		{[]span{{5, 6}, {0, 10}, {2, 3}}, 10},
		{[]span{{0, 2}, {1, 4}, {4, 5}, {7, 8}}, 6},
	} {
		if got := covered(c.spans); got != c.want {
			t.Errorf("%v cover %v, want %v", c.spans, got, c.want)
		}
	}
}

func TestWork(t *testing.T) {
	trans := func(names ...string) *onnx.Node {
		n := &onnx.Node{}
		for _, name := range names {
			n.Attrs = append(n.Attrs, onnx.IntAttr(name, 1))
		}
		return n
	}
	kernel := func(op string, left, right, out []int64) Kernel {
		return Kernel{Op: op, Inputs: []Operand{float(left...), float(right...)}, Outputs: []Operand{float(out...)}}
	}
	for _, c := range []struct {
		name string
		k    Kernel
		n    *onnx.Node
		want float64
	}{
		{"a matrix by a weight", kernel("MatMul", []int64{7, 3}, []int64{3, 5}, []int64{7, 5}), nil, 2 * 7 * 3 * 5},
		{"by one stored [out,in]", kernel("FusedMatMul", []int64{7, 11, 3}, []int64{5, 3}, []int64{7, 11, 5}), trans("transB"), 2 * 77 * 3 * 5},
		{"the left transposed", kernel("FusedMatMul", []int64{4, 11, 3}, []int64{4, 11, 5}, []int64{4, 3, 5}), trans("transA"), 2 * 4 * 3 * 11 * 5},
		{"the left's batch inside", kernel("FusedMatMul", []int64{11, 4, 3}, []int64{4, 3, 5}, []int64{4, 11, 5}), trans("transBatchA"), 2 * 4 * 3 * 11 * 5},
		{"both", kernel("FusedMatMul", []int64{3, 4, 11}, []int64{4, 3, 5}, []int64{4, 11, 5}), trans("transBatchA", "transA"), 2 * 4 * 3 * 11 * 5},
		{"integers", kernel("MatMulIntegerToFloat", []int64{7, 3}, []int64{3, 5}, []int64{7, 5}), nil, 2 * 7 * 3 * 5},
		{"a vector", kernel("MatMul", []int64{3}, []int64{3, 5}, []int64{5}), trans("transA"), 2 * 3 * 5},
		{"a weight that the trace leaves out", Kernel{Op: "MatMul", Inputs: []Operand{float(7, 3)}, Outputs: []Operand{float(7, 5)}}, nil, 210},
		{"no result in the trace", Kernel{Op: "MatMul", Inputs: []Operand{float(7, 3)}}, nil, 0},
		{"no inputs in the trace", Kernel{Op: "MatMul", Outputs: []Operand{float(7, 3)}}, nil, 0},
		{"a scalar, which no product takes", kernel("MatMul", nil, nil, nil), nil, 0},
		{"no product", kernel("Add", []int64{7, 3}, []int64{7, 3}, []int64{7, 3}), nil, 0},
	} {
		if got := work(c.k, c.n); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
