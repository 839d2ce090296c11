package grad

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"softprompt/onnx"
	"softprompt/onnx/ort/orttest"
)

// The models of ONNX's own backend tests: one for each form of each operator
// of the standard, written by others. testdata/backend says where they are
// from. Whatever has a rule here must agree with differences on them
// (probe_test.go); the rest must be refused, and the golden file says which
// and why, so that an operator that loses its rule is seen.

// What may become of a model of the backend tests.
const (
	passed   = "pass"
	noRule   = "no rule"
	noForm   = "form without a rule"
	noOpset  = "opset out of range"
	notFloat = "not differentiable"
	noKernel = "no kernel"
	skipped  = "skipped"
	differs  = "FAIL"
)

// outcome is what became of a model, and why.
type outcome struct{ what, why string }

// improved has the cases that ONNX Runtime before 1.31 computes otherwise: it
// averages where all keys are masked, and its kernels fail on empty tensors.
var improved = set(
	"test_attention_23_boolmask_fullymasked_row_nan_robustness",
	"test_attention_23_fullymasked_qk_matmul_output_mode3_zero",
	"test_attention_24_fullymasked_qk_matmul_output_mode3_zero",
	"test_attention_24_qk_matmul_output_mode3_softmax_precision",
	"test_attention_causal_boolmask_nan_robustness",
	"test_reshape_allowzero_reordered",
	"test_slice_start_out_of_bounds",
	"test_split_zero_size_splits_opset13",
	"test_split_zero_size_splits_opset18",
)

// TestBackend differentiates the operator models of ONNX's backend tests in
// all their float inputs, at the point that the test gives or, where the
// operator is not smooth there, at one close to it.
func TestBackend(t *testing.T) {
	tally := map[string]map[outcome]int{} // by operator
	counts := map[string]int{}
	file := filepath.Join("testdata", "backend", "outcomes.txt")
	runtime, usual := runtimes(t, file)
	for _, c := range backendCases(t) {
		if runtime != usual && improved[c.name] {
			continue
		}
		o := outcome{differs, "the test ended early"}
		t.Run(c.name, func(t *testing.T) { o = examine(t, c.model) })
		op := c.model.Metadata["operator"]
		if tally[op] == nil {
			tally[op] = map[outcome]int{}
		}
		tally[op][o]++
		counts[o.what]++
	}
	all := 0
	var parts []string
	for _, what := range []string{passed, differs, noRule, noForm, noOpset, notFloat, noKernel, skipped} {
		parts = append(parts, fmt.Sprintf("%d %s", counts[what], what))
		all += counts[what]
	}
	summary := fmt.Sprintf("%d models of ONNX's backend tests: %s", all, strings.Join(parts, ", "))
	t.Log(summary)

	got := runtime + "\n" + summary + "\n\n" + table(tally)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if runtime != usual && !*update {
		t.Logf("%s is of %s, with other kernels: not compared", file, usual)
		return
	}
	want := string(must(os.ReadFile(file))(t))
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes differ from %s (-want +got):\n%s", file, diff)
	}
}

// runtimes returns the ONNX Runtime that tests run on, and the one that a file
// of outcomes is from. Others lack kernels.
func runtimes(t *testing.T, file string) (runtime, usual string) {
	t.Helper()
	usual, _, _ = strings.Cut(string(must(os.ReadFile(file))(t)), "\n")
	return "ONNX Runtime " + orttest.Runtime(t).Version(), usual
}

// table writes a line for each outcome of each operator.
func table(tally map[string]map[outcome]int) string {
	var s strings.Builder
	for _, op := range slices.Sorted(maps.Keys(tally)) {
		outcomes := slices.SortedFunc(maps.Keys(tally[op]), func(a, b outcome) int {
			return cmp.Or(cmp.Compare(a.what, b.what), cmp.Compare(a.why, b.why))
		})
		for _, o := range outcomes {
			fmt.Fprintf(&s, "%s: %d %s", op, tally[op][o], o.what)
			if o.why != "" {
				fmt.Fprintf(&s, ": %s", o.why)
			}
			s.WriteString("\n")
		}
	}
	return s.String()
}

// backendCase is one model of the backend tests.
type backendCase struct {
	name  string
	model *onnx.Model
}

// backendCases reads the packed models.
func backendCases(t *testing.T) []backendCase {
	file := must(os.Open(filepath.Join("testdata", "backend", "models.tar.gz")))(t)
	defer file.Close()
	var cases []backendCase
	for r := tar.NewReader(must(gzip.NewReader(file))(t)); ; {
		entry, err := r.Next()
		if err == io.EOF {
			return cases
		}
		name := strings.TrimSuffix(must(entry, err)(t).Name, ".onnx")
		m, err := onnx.Unmarshal(must(io.ReadAll(r))(t), "")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cases = append(cases, backendCase{name, m})
	}
}

// examine differentiates one model: in float64 if the runtime has kernels for
// it, else in float32.
func examine(t *testing.T, m *onnx.Model) outcome {
	if !slices.ContainsFunc(m.Graph.Outputs, isFloat) {
		return outcome{notFloat, "no float output"}
	}
	for _, v := range m.Graph.Inputs {
		i := slices.IndexFunc(m.Graph.Initializers, func(x *onnx.Tensor) bool { return x.Name == "example."+v.Name })
		switch {
		case i < 0:
			return outcome{skipped, "an input that is no tensor"}
		case v.Type.Size() == 0:
			return outcome{skipped, "an input in 8 bits or less"}
		}
	}
	wrt, err := trainables(t, cast(t, m, onnx.Float64))
	switch {
	case err == nil, errors.Is(err, errNoPath): // whose differences must be 0
	case errors.Is(err, errRounds):
		return outcome{notFloat, "rounds"}
	case errors.Is(err, errNoRule):
		return outcome{noRule, because(err)}
	case errors.Is(err, errOpset):
		return outcome{noOpset, fmt.Sprint(m.Opset[""])}
	default:
		return outcome{noForm, because(err)}
	}
	p, why := probeOf(t, m, wrt)
	if p == nil {
		return outcome{noKernel, why}
	}
	o := p.compare(t)
	if o.what == passed && err != nil {
		o = outcome{notFloat, "steps"}
	}
	return o
}

// trainables returns the float inputs in which the model has a gradient. If
// there is none, the error says why.
func trainables(t *testing.T, m *onnx.Model) (wrt []string, first error) {
	m = withSum(t, m, nil)
	for _, v := range m.Graph.Inputs {
		if !isFloat(v) {
			continue
		}
		_, err := Reverse(m, total, []string{v.Name})
		if err == nil {
			wrt = append(wrt, v.Name)
		} else if first == nil || errors.Is(first, errNoPath) {
			first = err
		}
	}
	if wrt != nil {
		first = nil
	}
	return wrt, first
}

// because returns what an error says about the node that it is about.
func because(err error) string {
	var at *nodeError
	if !errors.As(err, &at) {
		return err.Error()
	}
	if errors.Is(err, errNoRule) {
		return opName(at.node)
	}
	return opName(at.node) + ", " + at.err.Error()
}

func isFloat(v onnx.Value) bool { return v.Type.IsFloat() }
