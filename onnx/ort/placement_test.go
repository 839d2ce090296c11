package ort

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx"
)

// recorded runs a model twice under the profiler and returns the trace: a
// product, arithmetic on its sizes, and a comparison of ids.
func recorded(t *testing.T) []byte {
	t.Helper()
	b := onnx.NewBuilder(onnx.NewModel("traced"))
	x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(3))
	ids := b.Input("ids", onnx.Int64, onnx.Sym("B"), onnx.Size(40))
	w := b.Weight(onnx.Floats("w", []int64{3, 2}, []float32{1, 2, 3, 4, 5, 6}))
	y := b.MatMul(x, w)
	b.Output("y", b.Reshape(y, b.Concat(0, b.Ints(1), b.ShapeOf(y))))
	b.Output("least", b.Max(ids, b.Int(0)))
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s, err := open(t).Load(t.Context(), b.Model, Config{Profile: filepath.Join(dir, "trace"), Optimize: LevelNone})
	if err != nil {
		t.Fatal(err)
	}
	values, err := FromFloats(make([]float32, 6), 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	longs, err := FromONNX(onnx.Longs("", []int64{2, 40}, make([]int64, 80)))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Run(t.Context(), map[string]*Tensor{"x": values, "ids": longs}, map[string]*Tensor{"y": nil, "least": nil}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "trace*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d traces, %v", len(files), err)
	}
	trace, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

func TestPlacement(t *testing.T) {
	list, err := Placement(recorded(t))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Placed{}
	for _, p := range list {
		if _, ok := got[p.Op]; ok && p.Op != "Identity" { // before the outputs, one each
			t.Errorf("%s is there twice", p.Op)
		}
		got[p.Op] = p
	}
	const cpu = "CPUExecutionProvider"
	for op, want := range map[string]Placed{
		"MatMul":  {Provider: cpu, Elements: 4, Floats: true},
		"Shape":   {Provider: cpu, Elements: 2, Floats: true}, // of what it reads
		"Concat":  {Provider: cpu, Elements: 3},
		"Reshape": {Provider: cpu, Elements: 4, Floats: true},
		"Max":     {Provider: cpu, Elements: 80},
	} {
		p := got[op]
		want.Node, want.Op = p.Node, op
		if p != want || p.Node == "" {
			t.Errorf("%s: %+v, want %+v", op, p, want)
		}
	}
	if off := OffDevice(list, cpu); len(off) > 0 {
		t.Errorf("on the processor, not on the processor: %v", off)
	}
}

// TestOffDevice has the trace say what one from a card might: the product there
// with copies around it, sizes on the processor, and ids there by mistake.
func TestOffDevice(t *testing.T) {
	var events []map[string]any
	if err := json.Unmarshal(recorded(t), &events); err != nil {
		t.Fatal(err)
	}
	const cuda = "CUDAExecutionProvider"
	for _, e := range events {
		args, _ := e["args"].(map[string]any)
		switch args["op_name"] {
		case "MatMul", "Reshape", "Shape", "Identity":
			args["provider"] = cuda
		}
	}
	events = append(events, map[string]any{
		"cat": "Node", "name": "Memcpy_token_1_kernel_time",
		"args": map[string]any{"op_name": "MemcpyFromHost", "provider": cuda, "output_type_shape": []any{map[string]any{"float": []int{2, 2}}}},
	})
	trace, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	list, err := Placement(trace)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, p := range OffDevice(list, cuda) {
		said = append(said, p.String())
	}
	want := []string{"Max Max on CPU, 80 elements", "MemcpyFromHost Memcpy_token_1 on CUDA, 4 elements"}
	if !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
}

func TestPlacementRefuses(t *testing.T) {
	whole := recorded(t)
	for name, trace := range map[string][]byte{
		"empty": nil, "cut short": whole[:len(whole)/2], "no node": []byte("[]"), "another": []byte(`[{"cat":"Node","name":"a_kernel_time","args":{}}]`),
		"no provider": bytes.ReplaceAll(whole, []byte(`"provider"`), []byte(`"vendor"`)),
	} {
		if list, err := Placement(trace); err == nil || !strings.Contains(err.Error(), "the runtime's trace") {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

func TestProviderName(t *testing.T) {
	rt := open(t)
	lib := compile(t, "provider.c", "libnamed.so", "-I", header(t), `-DNAME="Named"`)
	device := Device{Kind: "library", Library: lib}
	if name := rt.ProviderName(device); name != "" {
		t.Errorf("before the library was loaded: %q", name)
	}
	s, err := rt.NewSession(t.Context(), identity, Config{Device: device})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	for d, want := range map[Device]string{
		device: "Named", {}: "CPUExecutionProvider", {Kind: "cpu"}: "CPUExecutionProvider", {Kind: "cuda", Index: 1}: "CUDAExecutionProvider",
	} {
		if got := rt.ProviderName(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
