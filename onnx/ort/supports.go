package ort

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"softprompt/onnx"
)

// probes has a model of one node for each of ONNX Runtime's own operators that
// softprompt's graphs are written in, in the form in which they use it. What
// the node reads is an input, so that nothing can be folded away.
var probes = map[string]func(b *onnx.Builder, x string) []string{
	"FusedMatMul": func(b *onnx.Builder, x string) []string {
		w := b.Input("w", onnx.Float32, onnx.Size(3), onnx.Size(4))
		return []string{b.FusedMatMul(x, w, false, true, 0.5)}
	},
	"SimplifiedLayerNormalization": func(b *onnx.Builder, x string) []string {
		y, inv := b.RMSNorm(x, b.Input("w", onnx.Float32, onnx.Size(4)), 1e-6)
		return []string{y, inv}
	},
	"FastGelu": func(b *onnx.Builder, x string) []string { return []string{b.FastGelu(x)} },
}

// asked remembers what providers were found to have, in this process.
var asked struct {
	sync.Mutex
	has map[string]bool // by device and operator
}

// Lacks returns those of the operators that a device cannot run itself. The
// runtime has no list to ask for, so each is tried, once in a process: a graph
// of that operator is loaded, with the processor forbidden. The processor and
// CUDA are known to have them all.
func (rt *Runtime) Lacks(ctx context.Context, d Device, operators ...string) ([]string, error) {
	if d.Kind != "library" {
		return nil, nil
	}
	asked.Lock()
	defer asked.Unlock()
	if asked.has == nil {
		asked.has = map[string]bool{}
	}
	var lacking []string
	for _, op := range operators {
		key := d.String() + " " + op
		has, known := asked.has[key]
		if !known {
			var err error
			if has, err = rt.has(ctx, d, op); err != nil {
				return nil, fmt.Errorf("asking device %v for operator %s: %w", d, op, err)
			}
			asked.has[key] = has
		}
		if !has {
			lacking = append(lacking, op)
		}
	}
	slices.Sort(lacking)
	return lacking, nil
}

// has tries one operator. That a session cannot be made at all is an error,
// not an answer.
func (rt *Runtime) has(ctx context.Context, d Device, op string) (bool, error) {
	model, err := probe(op)
	if err != nil {
		return false, err
	}
	only := Config{Device: d, Threads: 1, Entries: map[string]string{"session.disable_cpu_ep_fallback": "1"}}
	s, refused := rt.Load(ctx, model, only)
	if refused == nil {
		return true, s.Close()
	}
	if s, err = rt.Load(ctx, model, Config{Device: d, Threads: 1}); err != nil {
		return false, err
	}
	return false, s.Close()
}

// probe returns the model that tries an operator.
func probe(op string) (*onnx.Model, error) {
	write := probes[op]
	if write == nil {
		return nil, errors.New("there is no model to try it with")
	}
	b := onnx.NewBuilder(onnx.NewModel("probe " + op))
	for i, y := range write(b, b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(4))) {
		b.Output(fmt.Sprintf("y%d", i), y)
	}
	return b.Model, b.Err()
}
