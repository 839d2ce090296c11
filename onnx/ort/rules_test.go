package ort

import (
	"errors"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// TestRules has a message for each rule, as the runtime nests them, and finds
// that rule and no earlier one.
func TestRules(t *testing.T) {
	const (
		load = "Exception during initialization: /onnxruntime_src/onnxruntime/core/framework/session_state_utils.cc:91 " +
			"common::Status onnxruntime::session_state_utils::Load(const Env&) "
		weight = "Deserialize tensor w failed for initializer: w. Error: "
	)
	used := map[int]bool{}
	for _, c := range []struct{ message, want string }{
		{"[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from memory failed:Protobuf parsing failed.", "the bytes are not an ONNX model"},
		{
			`[ONNXRuntimeError] : 10 : INVALID_GRAPH : This is an invalid model. In Node, ("enc/x", Frob, "", -1) : ("a",) -> ("b",) , Error No Op registered for Frob with domain_version of 18`,
			"node enc/x: there is no operator Frob in opset 18",
		},
		{"Fatal error: com.microsoft:SoftmaxGrad(-1) is not a registered function/op", "ONNX Runtime has no operator com.microsoft:SoftmaxGrad"},
		{"[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for MatMul(13) node with name 'enc/q'", "node enc/q: no kernel for MatMul of opset 13 with these types on this device"},
		{"Unsupported model IR version: 14, max supported IR version: 11", "the model has IR version 14, and this ONNX Runtime reads up to 11"},
		{
			"ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions. Opset 27 is under development and support for this is limited. Current official support for domain ai.onnx is till opset 23.",
			"the model uses opset 27 of ai.onnx, and this ONNX Runtime reads up to 23",
		},
		{"Type Error: Type parameter (T) of Optype (Add) bound to different types (tensor(float) and tensor(int64) in node (dec/add).", "node dec/add: Add wants operands of one type, not float and int64"},
		{load + weight + `External data path does not exist: "/m/w.bin"`, "weight w: file /m/w.bin does not exist"},
		{load + `cannot get file size: No such file or directory [/m/w.bin]`, "file /m/w.bin of the model's weights does not exist"},
		{load + weight + `External data path for model: "../w.bin" (resolved) escapes the folder`, "weight w: path ../w.bin leaves the model's folder"},
		{load + weight + `External data path escapes model folder: "../w.bin"`, "weight w: path ../w.bin leaves the model's folder"},
		{load + weight + `Absolute paths not allowed for external data location`, "weight w: its path is absolute"},
		{load + "External initializer: w offset: 64 size to read: 4096 given file_length: 100 are out of bounds", "weight w: 4096 bytes at offset 64 are beyond the end of its file, which has 100"},
		{"TensorProto: w external data size mismatch. Computed size: 16, external_data.length: 8", "weight w: its shape takes 16 bytes and the model says 8"},
		{load + "model_path must not be empty. Ensure that a path is provided", "the model's weights lie in other files, and their folder was not given"},
		{"output 'y' of node 'n' has shape {2,3} but the computed output shape for this run is {2,4}", "output y has shape [2,3], and this run gives [2,4]"},
		{
			"Non-zero status code returned while running Relu node. Name:'enc/relu' Status Message: OrtValue shape verification failed. Current shape:{2} Requested shape:{3}",
			"Relu node enc/relu: its output has shape [2], and this run gives [3]",
		},
		{"std::bad_alloc", "out of memory"},
		{"Failed to allocate memory for requested buffer of size 77", "out of memory: no 77 bytes left on the device"},
		{"CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", "out of memory on the card"},
		{"libcudnn.so.9: cannot open shared object file: No such file or directory", "library libcudnn.so.9 is missing"},
		{"CUDA failure 100: no CUDA-capable device is detected", "there is no CUDA card"},
		{"CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version", "the driver of the card is too old for the CUDA libraries"},
		{"CUDA failure 101: invalid device ordinal", "there is no card of this number"},
		{"CUDA execution provider is either not enabled or not available.", "this ONNX Runtime was built without CUDA"},
		{`Unknown provider option: "gpu_mem_limt".`, "the provider knows no option gpu_mem_limt"},
		{"Failed to find symbol CreateEpFactories in library, error code: undefined symbol", "it is not the library of an execution provider"},
	} {
		err := explain(errors.New(c.message))
		if err.Error() != c.want {
			t.Errorf("%q\nexplained as %q\nwant         %q", c.message, err, c.want)
		}
		text := clean(c.message)
		if m := inNode.FindStringSubmatch(c.message); m != nil {
			text = clean(m[3])
		}
		for i, r := range rules {
			if !r.pattern.MatchString(text) {
				continue
			}
			if used[i] {
				t.Errorf("%q is caught by the rule of an earlier message, %q", c.message, r.text)
			}
			used[i] = true
			if r.is != nil && !errors.Is(err, r.is) {
				t.Errorf("%q is not %v", c.want, r.is)
			}
			if (hint.Of(err) != "") != (r.advice != "") || strings.Contains(hint.Of(err), "$") {
				t.Errorf("%q has the hint %q, its rule %q", c.want, hint.Of(err), r.advice)
			}
			break
		}
	}
	for i, r := range rules {
		if !used[i] {
			t.Errorf("no message for the rule %q: %v", r.text, r.pattern)
		}
	}
}

// TestRulesSayWhatTheyFound: no rule's text is one that another has, or names
// a part that its pattern does not find.
func TestRulesSayWhatTheyFound(t *testing.T) {
	for _, r := range rules {
		for n := r.pattern.NumSubexp() + 1; n < 10; n++ {
			part := "$" + string(rune('0'+n))
			if strings.Contains(r.text, part) || strings.Contains(r.advice, part) {
				t.Errorf("rule %q names %s, its pattern has %d parts", r.text, part, r.pattern.NumSubexp())
			}
		}
		if r.text == "" || strings.HasSuffix(r.text, ".") || strings.HasSuffix(r.advice, ".") || strings.Contains(r.text, "\n") {
			t.Errorf("rule %q with advice %q is not in the form of an error", r.text, r.advice)
		}
	}
}

// TestReport says what was loaded, and hands out copies alone.
func TestReport(t *testing.T) {
	rt := open(t)
	r := rt.Report()
	if r.Library != rt.Library() || r.Version != rt.Version() || r.Threads != Threads() || r.Threads < 1 {
		t.Errorf("report %+v", r)
	}
	if v := parseVersion(r.Version); v == nil || less(v, parseVersion(MinVersion)) {
		t.Errorf("version %s, need %s", r.Version, MinVersion)
	}
	if len(r.Providers) == 0 || r.Providers[len(r.Providers)-1] != "CPUExecutionProvider" {
		t.Errorf("providers %v", r.Providers)
	}
	r.Providers[0] = "mine"
	if rt.Providers()[0] == "mine" {
		t.Error("the report shares the runtime's list")
	}
	s, err := rt.NewSession(t.Context(), identity, Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Inputs()[0].Name, s.Outputs()[0].Name = "mine", "mine"
	if s.Inputs()[0].Name != "x" || s.Outputs()[0].Name != "y" {
		t.Error("the session's signature can be changed from outside")
	}
}

// TestHandle finds fields of the wrapper by name, and nothing where there is
// none.
func TestHandle(t *testing.T) {
	n := 5
	v := &struct {
		p     *int
		inner struct{ q *int }
		n     int
	}{p: &n, n: 1}
	v.inner.q = &n
	for _, c := range []struct {
		path  []string
		found bool
	}{
		{[]string{"p"}, true},
		{[]string{"inner", "q"}, true},
		{[]string{"r"}, false},          // renamed
		{[]string{"n"}, false},          // no pointer
		{[]string{"n", "p"}, false},     // no struct on the way
		{[]string{"inner", "p"}, false}, // not there
	} {
		if got := handle(v, c.path...); (got != nil) != c.found {
			t.Errorf("%v: %v", c.path, got)
		}
	}
}

// TestMoreBadTensors: shapes that nothing can have.
func TestMoreBadTensors(t *testing.T) {
	for _, c := range []struct {
		name string
		make func() (*Tensor, error)
		want string
	}{
		{"too few values", func() (*Tensor, error) { return FromFloats([]float32{1}, 2) }, "1 values for the 2 elements"},
		{"too many", func() (*Tensor, error) { return FromInts([]int64{1, 2, 3}, 2) }, "3 values for the 2 elements"},
		{"a negative size", func() (*Tensor, error) { return FromFloats(nil, -1) }, "has a negative size"},
		{"beyond counting", func() (*Tensor, error) { return FromFloats(nil, 1<<40, 1<<40) }, "takes more bytes than can be counted"},
		{"beyond counting, but for a 0", func() (*Tensor, error) { return FromInts(nil, 0, -2) }, "has a negative size"},
	} {
		if x, err := c.make(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, error %v, want %q", c.name, x, err, c.want)
		}
	}
	x, err := FromFloats(nil, 3, 0)
	if err != nil || x.Len() != 0 || x.Float32s() == nil || x.Int64s() != nil {
		t.Errorf("no elements: %v, %v", x, err)
	}
}
