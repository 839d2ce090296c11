package ort

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
)

var all = []string{"SimplifiedLayerNormalization", "FusedMatMul", "FastGelu"}

// TestLacks asks the processor, a provider that takes nothing, and one that
// takes one operator.
func TestLacks(t *testing.T) {
	rt := open(t)
	idle := compile(t, "provider.c", "libidle.so", "-I", header(t), `-DNAME="LacksAll"`)
	gelu := compile(t, "provider.c", "libgelu.so", "-I", header(t), `-DNAME="LacksSome"`, `-DTAKES="FastGelu"`)
	for _, c := range []struct {
		device Device
		want   []string
	}{
		{Device{}, nil},
		{Device{Kind: "cpu"}, nil},
		{Device{Kind: "cuda"}, nil}, // known, though it is not there
		{Device{Kind: "library", Library: idle}, []string{"FastGelu", "FusedMatMul", "SimplifiedLayerNormalization"}},
		{Device{Kind: "library", Library: gelu}, []string{"FusedMatMul", "SimplifiedLayerNormalization"}},
	} {
		for range 2 { // the second answer is remembered
			lacking, err := rt.Lacks(t.Context(), c.device, all...)
			if err != nil || !slices.Equal(lacking, c.want) {
				t.Errorf("%v lacks %v, want %v, %v", c.device, lacking, c.want, err)
			}
		}
	}
}

// TestProbes runs each probe on the processor: it holds the operator it is for.
func TestProbes(t *testing.T) {
	for op := range probes {
		m, err := probe(op)
		if err != nil {
			t.Fatal(err)
		}
		if err := onnx.Validate(m); err != nil {
			t.Error(err)
		}
		if len(m.Graph.Nodes) == 0 || m.Graph.Nodes[0].Op != op {
			t.Errorf("%s: %v", op, m.Graph.Nodes)
		}
		s, err := open(t).Load(t.Context(), m, Config{})
		if err != nil {
			t.Errorf("%s: %v", op, err)
			continue
		}
		s.Close()
	}
}

func TestLacksFails(t *testing.T) {
	rt := open(t)
	idle := Device{Kind: "library", Library: compile(t, "provider.c", "libidle.so", "-I", header(t), `-DNAME="LacksToo"`)}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := rt.Lacks(stopped, idle, "FastGelu"); !errors.Is(err, context.Canceled) {
		t.Errorf("after it was stopped: %v", err)
	}
	if lacking, err := rt.Lacks(t.Context(), idle, "FastGelu"); err != nil || len(lacking) != 1 {
		t.Errorf("an answer that was not got was remembered: %v, %v", lacking, err)
	}
	if _, err := rt.Lacks(t.Context(), idle, "Einstein"); err == nil || !strings.Contains(err.Error(), "Einstein") {
		t.Errorf("an operator without a probe: %v", err)
	}
	if _, err := rt.Lacks(t.Context(), Device{Kind: "library", Library: "/nowhere/libep.so"}, "FastGelu"); err == nil || !strings.Contains(err.Error(), "/nowhere/libep.so") {
		t.Errorf("a library that is not there: %v", err)
	}
}
