package measure

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"softprompt/onnx/hint"
)

func golden(t *testing.T) []Run {
	t.Helper()
	f, err := os.Open("testdata/trace.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	runs, err := ParseTrace(f)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func float(shape ...int64) Operand { return Operand{"float", shape} }

func TestParseTrace(t *testing.T) {
	in := []Operand{float(2, 3), float(3, 5)}
	out := []Operand{float(2, 5)}
	add := []Operand{float(2, 5), float(5)}
	want := []Run{
		{980, 1200, []Kernel{{"a/MatMul", "MatMul", in, out, 1000, 900}, {"a/Add", "Add", add, nil, 1900, 100}}},
		{2190, 700, []Kernel{
			{"a/MatMul", "MatMul", in, out, 2200, 300},
			{"b/MatMul", "MatMul", []Operand{float(2, 5), float(5, 1)}, []Operand{float(2, 1)}, 2500, 100},
			{"a/Add", "Add", add, nil, 2600, 200},
		}},
	}
	if diff := cmp.Diff(want, golden(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestParseTraceOfTwoThreads: runs that go side by side keep their kernels.
func TestParseTraceOfTwoThreads(t *testing.T) {
	runs, err := ParseTrace(strings.NewReader(`[
		{"cat":"Node","tid":1,"ts":0,"dur":5,"name":"a_kernel_time","args":{"op_name":"Add"}},
		{"cat":"Node","tid":2,"ts":1,"dur":5,"name":"b_kernel_time","args":{"op_name":"Mul"}},
		{"cat":"Node","tid":1,"ts":5,"dur":5,"name":"c_kernel_time","args":{"op_name":"Sub"}},
		{"cat":"Session","tid":2,"ts":1,"dur":8,"name":"model_run","args":{}},
		{"cat":"Session","tid":1,"ts":0,"dur":11,"name":"model_run","args":{}}]`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range runs {
		names := ""
		for _, k := range r.Kernels {
			names += k.Node
		}
		got = append(got, names)
	}
	if diff := cmp.Diff([]string{"b", "ac"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseTraceRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":            {"", "EOF"},
		"an object":          {`{"a":1}`, "begins with {"},
		"no JSON":            {"trace", "invalid character"},
		"numbers":            {"[1,2]", "byte"},
		"cut off":            {`[{"name":"model_run","tid":1}`, "not whole"},
		"cut in an event":    {`[{"name":"model_`, "unexpected EOF"},
		"no run":             {`[{"cat":"Node","name":"a_kernel_time"}]`, "no run"},
		"a shape of strings": {`[{"cat":"Node","name":"a_kernel_time","args":{"input_type_shape":[{"float":["B"]}]}}]`, "byte"},
	} {
		_, err := ParseTrace(strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "trace") {
			t.Errorf("%s: got error %v, want one with %q", name, err, c.want)
		}
		if (hint.Of(err) != "") != (name == "no run") {
			t.Errorf("%s: hint %q", name, hint.Of(err))
		}
	}
}

// FuzzParseTrace: what is no trace is an error and never a panic.
func FuzzParseTrace(f *testing.F) {
	data, err := os.ReadFile("testdata/trace.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Add(`[{"name":"model_run"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		runs, err := ParseTrace(strings.NewReader(text))
		if (err == nil) == (len(runs) == 0) {
			t.Errorf("%d runs and error %v", len(runs), err)
		}
		for _, r := range runs {
			for _, k := range r.Kernels {
				k.kind()
				work(k, nil)
			}
		}
	})
}

func TestShapes(t *testing.T) {
	for want, list := range map[string][]Operand{
		"":               nil,
		"[]":             {float()},
		"[2,3] [] [1,1]": {float(2, 3), float(), {"uint8", []int64{1, 1}}},
	} {
		if got := shapes(list); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
