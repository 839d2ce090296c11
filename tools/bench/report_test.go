package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files again")

// exampleReport is a report with round numbers: softprompt takes 1 s for
// 200 GFLOP, PEFT 2 s and in bfloat16 half a second.
func exampleReport() *report {
	bf16 := work32
	bf16.DType = "bfloat16"
	return &report{
		Date:     time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Command:  "go run ./tools/bench -sizes=small",
		Machine:  machine{CPU: "Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz", Cores: 2, Memory: 8 << 30, OS: "linux/amd64"},
		Versions: map[string]string{"go": "1.26"},
		Settings: settings{Shape: shape{100, 128, 4, 16}, Threads: 2, Optimizer: "adamw", Warmup: 1, Rounds: 3},
		Peaks:    []peak{{250, [3]int64{2048, 768, 3072}, "onnxruntime 1"}, {200, [3]int64{4096, 4096, 4096}, "torch 2"}},
		Sizes: []sizeReport{{
			Size: "small", Parameters: 77e6, FLOPs: work{90e9, 110e9},
			Peers: []measured{
				{"softprompt", work32, []float64{1, 1.5, 0.9}, []float64{9, 8, 7, 6}, 900 << 20, memory{Peak: 1000 << 20, Anonymous: 600 << 20, File: 300 << 20}},
				{"peft", work32, []float64{2, 3, 1.9}, []float64{9, 8, 7, 6}, 2000 << 20, memory{Peak: 1500 << 20, File: 100 << 20}},
				{"peft-bf16", bf16, []float64{0.5, 0.75, 0.45}, []float64{9.1, 8.1, 7.1, 6.1}, 500 << 20, memory{Peak: 750 << 20, File: 90 << 20}},
			},
		}},
	}
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
}

func TestAddPeakKeepsTheHighestOfALibrary(t *testing.T) {
	r := &report{}
	for _, p := range []peak{{100, [3]int64{1}, "a"}, {300, [3]int64{2}, "b"}, {200, [3]int64{3}, "a"}, {150, [3]int64{4}, "a"}} {
		r.addPeak(p)
	}
	want := []peak{{200, [3]int64{3}, "a"}, {300, [3]int64{2}, "b"}}
	if diff := cmp.Diff(want, r.Peaks); diff != "" || r.best() != want[1] {
		t.Errorf("best %v, peaks (-want +got):\n%s", r.best(), diff)
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
	if diff := cmp.Diff(r, &back); diff != "" {
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
		if filepath.Base(r.path()) != filepath.Base(file) || len(r.Sizes) == 0 || len(r.Peaks) == 0 {
			t.Errorf("%s holds a report of %d sizes that belongs into %s", file, len(r.Sizes), r.path())
		}
		for _, s := range r.Sizes {
			if err := agree(s.Peers); err != nil {
				t.Errorf("%s: size %s: %v", file, s.Size, err)
			}
		}
	}
}
