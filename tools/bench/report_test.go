package main

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the golden files again")

// exampleReport is a report with round numbers: softprompt takes 1 s for
// 200 GFLOP, PEFT 2 s and in bfloat16 half a second.
func exampleReport() *report {
	bf16 := work32
	bf16.DType = "bfloat16"
	int8 := work32
	int8.DType = "int8"
	r := &report{
		Date:     time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Command:  "go run ./tools/bench -sizes=small",
		Machine:  machine{CPU: "Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz", Cores: 2, Memory: 8 << 30, OS: "linux/amd64"},
		Versions: map[string]string{"go": "1.26"},
		Settings: settings{Shape: shape{100, 128, 4, 16}, Threads: 2, Optimizer: "adamw", Warmup: 1, Rounds: 3},
		Peaks:    []peak{{250, [3]int64{2048, 768, 3072}, "onnxruntime 1", false}, {1000, [3]int64{2048, 2048, 2048}, "onnxruntime 1", true}, {200, [3]int64{4096, 4096, 4096}, "torch 2", false}},
		Sizes: []sizeReport{{
			Size: "small", Parameters: 77e6, FLOPs: work{Forward: 90e9, Backward: 110e9}, Int8: &work{Forward: 90e9, Backward: 110e9, Int8: 150e9},
			Peers: []measured{
				{"softprompt", work32, []float64{1, 1.5, 0.9}, []float64{9, 8, 7, 6}, 900 << 20, memory{Peak: 1000 << 20, Anonymous: 600 << 20, File: 300 << 20}},
				{"softprompt-int8", int8, []float64{0.4, 0.6, 0.36}, []float64{9.01, 8.1, 7.07, 6.12}, 300 << 20, memory{Peak: 280 << 20, Anonymous: 100 << 20, File: 180 << 20}},
				{"peft", work32, []float64{2, 3, 1.9}, []float64{9, 8, 7, 6}, 2000 << 20, memory{Peak: 1500 << 20, File: 100 << 20}},
				{"peft-bf16", bf16, []float64{0.5, 0.75, 0.45}, []float64{9.1, 8.1, 7.1, 6.1}, 500 << 20, memory{Peak: 750 << 20, File: 90 << 20}},
			},
		}},
		Starts: []startReport{
			{"small", "softprompt", []float64{3.5, 2.5, 2.75}, []float64{1, 1.5, 0.9}},
			{"small", "softprompt-int8", []float64{6, 5.5, 5}, []float64{0.4, 0.5, 0.3}},
			{"small", "peft", []float64{9, 9, 9}, []float64{2, 2, 2}},
		},
		Texts: []*textReport{{Text: "SST-2", Size: "small", Rows: 128, Batch: 16, Mean: 25.5, Longest: 61, Runs: []*textRun{
			{Name: "softprompt", Padding: "batches by length", Seconds: []float64{0.5, 0.7, 0.6}, Losses: []float64{8, 9, 8.5}, Loss: 8.5},
			{Name: "peft", Padding: "longest of the batch", Seconds: []float64{1.5, 1.3, 1.4}, Losses: []float64{8, 9, 8.5}, Loss: 8.5},
			{Name: "peft", Padding: "max_length 128", Seconds: []float64{2}, Losses: []float64{8, 9}, Loss: 8.5},
		}}},
		Eval: &evalReport{Size: "small", Rows: 64, Batch: 32, Difference: 2e-6, SameChoice: 1, SameText: 1, Length: 8, Runs: []*evalRun{
			{Name: "softprompt", Command: "rank", Seconds: []float64{1, 1.1, 0.9}},
			{Name: "softprompt", Command: "greedy", Seconds: []float64{2, 2, 2}},
			{Name: "transformers", Command: "rank", Seconds: []float64{3, 3.3, 2.7}},
			{Name: "transformers", Command: "rank-shared", Seconds: []float64{1.8, 2, 1.7}},
			{Name: "transformers", Command: "greedy", Seconds: []float64{4.5, 4, 5}},
		}},
	}
	r.Goals = r.verdicts()
	return r
}

func TestReportGolden(t *testing.T) {
	for _, format := range []string{"txt", "md"} {
		var out strings.Builder
		exampleReport().print(&out, format == "md")
		path := filepath.Join("testdata", "report."+format)
		if *update {
			if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestShareOfPeak(t *testing.T) {
	r := exampleReport()
	if got := r.share(r.Sizes[0].FLOPs, 1); got != 0.8 {
		t.Errorf("200 GFLOP in a second at 250 GFLOP/s is a share of %v, want 0.8", got)
	}
	// 50 of float32 at 250 and 150 of integers at 1000: 0.2 s and 0.15 s.
	if got := r.share(*r.Sizes[0].Int8, 0.7); math.Abs(got-0.5) > 1e-12 {
		t.Errorf("0.35 s of products in a step of 0.7 s are a share of %v, want 0.5", got)
	}
}

func TestAddPeakKeepsTheHighestOfALibrary(t *testing.T) {
	r := &report{}
	for _, p := range []peak{
		{100, [3]int64{1}, "a", false},
		{300, [3]int64{2}, "b", false},
		{200, [3]int64{3}, "a", false},
		{900, [3]int64{5}, "a", true},
		{150, [3]int64{4}, "a", false},
		{800, [3]int64{6}, "a", true},
	} {
		r.addPeak(p)
	}
	want := []peak{{200, [3]int64{3}, "a", false}, {300, [3]int64{2}, "b", false}, {900, [3]int64{5}, "a", true}}
	if diff := cmp.Diff(want, r.Peaks); diff != "" || r.best(false) != want[1] || r.best(true) != want[2] {
		t.Errorf("best %v and %v, peaks (-want +got):\n%s", r.best(false), r.best(true), diff)
	}
}

func TestReportFile(t *testing.T) {
	r := exampleReport()
	if got, want := r.path(), filepath.Join("tools", "bench", "results", "20260504-0302-intel-xeon-gold-6230.json"); got != want {
		t.Errorf("path is %s, want %s", got, want)
	}
	path := filepath.Join(t.TempDir(), "r.json")
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &back, cmpopts.IgnoreUnexported(textRun{}, evalRun{})); diff != "" {
		t.Errorf("what was written is read as (-want +got):\n%s", diff)
	}
}

// TestResults reads the committed results: each must be one that this program
// would write, on a machine without a name.
func TestResults(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("results", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.DisallowUnknownFields()
		var r report
		if err := d.Decode(&r); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if filepath.Base(r.path()) != filepath.Base(file) || (r.Many == nil && (len(r.Sizes) == 0 || len(r.Peaks) == 0)) {
			t.Errorf("%s holds a report of %d sizes that belongs into %s", file, len(r.Sizes), r.path())
		}
		for _, s := range r.Sizes {
			if err := agree(s.Peers); err != nil {
				t.Errorf("%s: size %s: %v", file, s.Size, err)
			}
		}
	}
}
