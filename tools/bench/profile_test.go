package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTrace(t *testing.T) {
	data, err := os.ReadFile("testdata/trace.json")
	if err != nil {
		t.Fatal(err)
	}
	runs, err := parseTrace(data)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]kernel{
		{{"a/MatMul", "MatMul", "[2,3] [3,5]", 900}, {"a/Add", "Add", "[2,5] [5]", 100}},
		{{"a/MatMul", "MatMul", "[2,3] [3,5]", 300}, {"b/MatMul", "MatMul", "[2,5] [5,1]", 100}, {"a/Add", "Add", "[2,5] [5]", 200}},
	}
	if diff := cmp.Diff(want, runs, cmp.AllowUnexported(kernel{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	var out strings.Builder
	printProfile(&out, runs[1:], map[string]int64{"a/MatMul": 60e6, "b/MatMul": 20e6}, 2)
	for _, line := range []string{
		"MatMul        2        0.4  66.7 %      200\n", // 80 MFLOP in 0.4 ms
		"Add           1        0.2  33.3 %\n",
		"MatMul [2,3] [3,5]",
		"0.6 ms a step in kernels, mean of 1 steps",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("the profile lacks %q:\n%s", line, out.String())
		}
	}
	if strings.Contains(out.String(), "[5,1]") {
		t.Errorf("the profile shows more than 2 kinds of node:\n%s", out.String())
	}
}

func TestParseTraceRefuses(t *testing.T) {
	for _, data := range []string{"", "{", "[]", `[{"cat":"Node","name":"x_kernel_time"}]`} {
		if _, err := parseTrace([]byte(data)); err == nil {
			t.Errorf("%q is taken for a trace", data)
		}
	}
}
