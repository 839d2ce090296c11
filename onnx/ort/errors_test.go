package ort

import (
	"errors"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// TestExplain covers what this machine cannot bring about: messages of the
// CUDA provider, as they stand in reports of its users and in its source.
func TestExplain(t *testing.T) {
	const cudaCall = "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:129 std::conditional_t<THRW, void, onnxruntime::common::Status> " +
		"onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) " +
		"[with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError; std::conditional_t<THRW, void, common::Status> = void] "
	for _, c := range []struct {
		message, want, hint string
		is                  error
	}{
		{
			"/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:1778 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() " +
				"[ONNXRuntimeError] : 1 : FAIL : Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.12: cannot open shared object file: No such file or directory",
			"library libcublasLt.so.12 is missing", "put the folder of libcublasLt.so.12 on LD_LIBRARY_PATH", nil,
		},
		{
			cudaCall + "CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=box ; file=/x.cc ; line=282 ; expr=cudaSetDevice(0);",
			"there is no CUDA card", "--device cpu", nil,
		},
		{cudaCall + "CUDA failure 101: invalid device ordinal ; GPU=0 ; hostname=box", "there is no card of this number", "nvidia-smi", nil},
		{
			cudaCall + "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=0",
			"the driver of the card is too old for the CUDA libraries", "update the driver", nil,
		},
		{
			"Non-zero status code returned while running FusedMatMul node. Name:'encoder.3/attention/q' Status Message: " +
				"/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 8589934592",
			"FusedMatMul node encoder.3/attention/q: out of memory: no 8589934592 bytes left on the device", "smaller batch", ErrOutOfMemory,
		},
		{cudaCall + "CUDA failure 2: out of memory ; GPU=0", "out of memory on the card", "smaller batch", ErrOutOfMemory},
		{"Error creating C session: Exception during initialization: std::bad_alloc", "out of memory", "smaller batch", ErrOutOfMemory},
		{"CUDA execution provider is not enabled in this build. ", "this ONNX Runtime was built without CUDA", "GPU package", nil},
		{"Something else went wrong.\nAt length.", "something else went wrong. At length", "", nil},
		{"MatMul is odd", "MatMul is odd", "", nil},
		{"", "", "", nil},
	} {
		raw := errors.New(c.message)
		err := explain(raw)
		if err.Error() != c.want {
			t.Errorf("%q\nexplained as %q\nwant         %q", c.message, err, c.want)
		}
		if h := hint.Of(err); !strings.Contains(h, c.hint) || c.hint == "" && h != "" {
			t.Errorf("%q: hint %q, want one with %q", c.want, h, c.hint)
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%q is not %v", err, c.is)
		}
		if c.is == nil && !errors.Is(err, raw) {
			t.Errorf("%q lost its cause", err)
		}
	}
	if explain(nil) != nil {
		t.Error("no error became one")
	}
}

func FuzzExplain(f *testing.F) {
	f.Add("Non-zero status code returned while running A node. Name:'' Status Message: /a.cc:1 f() x was false. y")
	f.Add("[ONNXRuntimeError] : 1 : FAIL : [ONNXRuntimeError] : 2 : INVALID_ARGUMENT : É")
	f.Add("\xff\xfe(((((")
	f.Add("Non-zero status code returned while running A node. Name:'\n' Status Message: /")
	f.Fuzz(func(t *testing.T, message string) {
		if s := explain(errors.New(message)).Error(); strings.Contains(s, "\n") {
			t.Errorf("%q has more than one line", s)
		}
	})
}
