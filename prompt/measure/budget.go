package measure

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"softprompt/onnx"
)

// Budget is where the time of a training step goes. The lines of Kinds add up
// to the step. Where passes go side by side, a kernel counts for the part of
// its time that the step took for it: twice the kernels in the same time cost
// half each.
type Budget struct {
	Steps  int     `json:"steps"`            // that were measured
	Passes int     `json:"passes_a_step"`    // through the model
	Millis float64 `json:"milliseconds"`     // of a step, by the clock on the wall
	Kinds  []Line  `json:"kinds"`            // in the order of the constants
	Ops    []Line  `json:"operators"`        // the heaviest first
	Shapes []Line  `json:"operators_shapes"` // operators with the shapes of their inputs
	Blocks []Block `json:"blocks"`           // in the order of the model
}

// Line is the time of several kernels, a step.
type Line struct {
	Name   string  `json:"name"`
	Calls  float64 `json:"calls"`
	Millis float64 `json:"milliseconds"`
	Share  float64 `json:"share"` // of the step
	// GFLOPS is the speed of what is a product, in 10⁹ operations a second; a
	// multiplication and an addition are two.
	GFLOPS float64 `json:"gigaflops,omitempty"`

	ops float64
}

// Block is the time of a part of the model, a step.
type Block struct {
	Name     string  `json:"name"`
	Forward  float64 `json:"forward_milliseconds"`
	Backward float64 `json:"backward_milliseconds"`
	Share    float64 `json:"share"`
}

// unnamed is the block of kernels of no part of the model, such as those that
// the runtime put in.
const unnamed = "elsewhere"

// NewBudget sums up the runs of some steps that took wall together. The graph
// says what block a node is of and how a product lies.
func NewBudget(runs []Run, graph *onnx.Model, wall time.Duration, steps int) *Budget {
	nodes := map[string]*onnx.Node{}
	for _, n := range graph.Graph.Nodes {
		nodes[n.Name] = n
	}
	var running, working []span
	var sum float64
	for _, r := range runs {
		running = append(running, span{r.Start, r.Start + r.Micros})
		for _, k := range r.Kernels {
			working = append(working, span{k.Start, k.Start + k.Micros})
			sum += k.Micros
		}
	}
	inRuns, inKernels := covered(running), covered(working)
	s := &sums{steps: float64(steps), step: wall.Seconds() * 1000 / float64(steps), scale: 1, lines: map[string]map[string]*Line{}}
	if sum > 0 {
		s.scale = inKernels / sum
	}
	for _, r := range runs {
		for _, k := range r.Kernels {
			ops := work(k, nodes[k.Node])
			for by, name := range map[string]string{"kind": string(k.kind()), "op": k.Op, "shapes": k.Op + " " + shapes(k.Inputs)} {
				s.add(by, name, 1, k.Micros*s.scale, ops)
			}
		}
	}
	s.add("kind", string(RuntimeOwn), 0, inRuns-inKernels, 0)
	s.add("kind", string(GoOwn), 0, float64(wall.Nanoseconds())/1000-inRuns, 0)
	b := &Budget{Steps: steps, Passes: len(runs) / steps, Millis: s.step, Ops: s.heaviest("op"), Shapes: s.heaviest("shapes")}
	for _, k := range kinds {
		if l := s.lines["kind"][string(k)]; l != nil {
			b.Kinds = append(b.Kinds, *l)
		}
	}
	b.Blocks = s.blocks(runs, graph, nodes)
	return b
}

// sums collects lines by what they are named after.
type sums struct {
	steps, step, scale float64
	lines              map[string]map[string]*Line
}

// add counts a time of all steps, and the calls and operations in it.
func (s *sums) add(by, name string, calls, micros, ops float64) {
	if s.lines[by] == nil {
		s.lines[by] = map[string]*Line{}
	}
	l := s.lines[by][name]
	if l == nil {
		l = &Line{Name: name}
		s.lines[by][name] = l
	}
	l.Calls += calls / s.steps
	l.Millis += micros / 1000 / s.steps
	l.ops += ops / s.steps
	l.Share = share(l.Millis, s.step)
	if l.ops > 0 && l.Millis > 0 {
		l.GFLOPS = l.ops / l.Millis / 1e6
	}
}

// heaviest returns lines by their time.
func (s *sums) heaviest(by string) []Line {
	out := []Line{}
	for _, name := range slices.Sorted(maps.Keys(s.lines[by])) {
		out = append(out, *s.lines[by][name])
	}
	slices.SortStableFunc(out, func(a, b Line) int { return cmp.Compare(b.Millis, a.Millis) })
	return out
}

// blocks sums up by block, in the order in which the graph has them.
func (s *sums) blocks(runs []Run, graph *onnx.Model, nodes map[string]*onnx.Node) []Block {
	at := map[string]*Block{}
	for _, r := range runs {
		for _, k := range r.Kernels {
			n := nodes[k.Node]
			name := unnamed
			if n != nil && n.Block != "" {
				name = n.Block
			}
			b := at[name]
			if b == nil {
				b = &Block{Name: name}
				at[name] = b
			}
			millis := k.Micros * s.scale / 1000 / s.steps
			if n != nil && n.From != "" {
				b.Backward += millis
			} else {
				b.Forward += millis
			}
			b.Share = share(b.Forward+b.Backward, s.step)
		}
	}
	out := []Block{}
	take := func(name string) {
		if b := at[name]; b != nil {
			out = append(out, *b)
			delete(at, name)
		}
	}
	for _, n := range graph.Graph.Nodes {
		take(n.Block)
	}
	take(unnamed)
	return out
}

func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

// span is a stretch of time.
type span struct{ from, to float64 }

// covered returns the time that lies in one span or more.
func covered(spans []span) float64 {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	total, end := 0.0, 0.0
	for i, s := range spans {
		if i == 0 || s.from > end {
			total += s.to - s.from
			end = s.to
		} else if s.to > end {
			total += s.to - end
			end = s.to
		}
	}
	return total
}

// work is the number of operations of a product: 2·K for each element of its
// result, K being the length of the sums. It is 0 for what is no product, and
// where the trace does not say enough.
func work(k Kernel, n *onnx.Node) float64 {
	if !products[k.Op] || len(k.Inputs) == 0 || len(k.Outputs) == 0 {
		return 0
	}
	left := k.Inputs[0].Shape
	at := len(left) - 1
	if n != nil && n.Int("transA", 0) != 0 && at > 0 {
		at--
		if n.Int("transBatchA", 0) != 0 {
			at = 0
		}
	}
	if at < 0 {
		return 0
	}
	ops := 2 * float64(left[at])
	for _, size := range k.Outputs[0].Shape {
		ops *= float64(size)
	}
	return ops
}
