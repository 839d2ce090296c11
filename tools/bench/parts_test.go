package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	budget "softprompt/prompt/measure"
)

// What was not measured has no table: each part of a report is printed if it
// is there, whatever else is.
func TestPrintedParts(t *testing.T) {
	parts := []struct {
		head string // how the table's head begins, in both forms
		drop func(r *report)
	}{
		{"T5 v1.1", func(r *report) { r.Sizes = nil }},
		{"start", func(r *report) { r.Starts = nil }},
		{"real text, float32", func(r *report) { r.Texts = nil }},
		{"evaluation, float32", func(r *report) { r.Eval = nil }},
		{"prompts in a pass", func(r *report) { r.Many = nil }},
		{"goal", func(r *report) { r.Goals = nil }},
	}
	for set := range 1 << len(parts) {
		r := exampleReport()
		r.Many = &manyReport{Size: "small", Prompts: 5, Rows: 15, Together: []float64{1}, Alone: []float64{1}}
		for i, part := range parts {
			if set&(1<<i) == 0 {
				part.drop(r)
			}
		}
		for _, prefix := range []string{"", "| "} {
			var out strings.Builder
			r.print(&out, prefix != "")
			lines := strings.Split(out.String(), "\n")
			for i, part := range parts {
				there := slices.ContainsFunc(lines, func(line string) bool {
					return strings.HasPrefix(line, prefix+part.head+"  ") || prefix != "" && strings.HasPrefix(line, prefix+part.head+" |")
				})
				if there != (set&(1<<i) != 0) {
					t.Fatalf("parts %b: %q is printed: %v\n%s", set, part.head, there, out.String())
				}
			}
		}
	}
}

// middle is the median by its definition: as many lie below as above.
func middle(values []float64) float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// Each row of steps has the numbers that its peer's rounds give, and
// quotients to the first peer of its model.
func TestStepTableNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rounds := rapid.IntRange(1, 6).Draw(t, "rounds")
		seconds := rapid.SliceOfN(rapid.Float64Range(0.1, 9), rounds, rounds)
		bytes := rapid.Int64Range(1<<20, 1<<34)
		s := sizeReport{Size: "base", FLOPs: work{Forward: 60e9, Backward: 40e9}}
		for _, name := range []string{"softprompt", "peft", "peft-bf16"} {
			s.Peers = append(s.Peers, measured{Name: name, Seconds: seconds.Draw(t, name), Loading: bytes.Draw(t, "loading"), Memory: memory{Peak: bytes.Draw(t, "peak"), File: bytes.Draw(t, "file")}})
		}
		r := &report{Peaks: []peak{{GFLOPS: 200}}, Sizes: []sizeReport{s}}
		for i, row := range r.stepTable().rows {
			p, first := s.Peers[i], s.Peers[0]
			quotients := make([]float64, rounds)
			for k := range quotients {
				quotients[k] = p.Seconds[k] / first.Seconds[k]
			}
			share := math.NaN()
			if i == 0 {
				share = 100 * 100e9 / 200e9 / middle(p.Seconds)
			}
			most := func(m measured) float64 { return float64(max(m.Loading, m.Memory.Peak)) }
			for column, want := range map[int]float64{
				2: middle(p.Seconds), 3: slices.Min(p.Seconds), 4: slices.Max(p.Seconds), 5: middle(quotients), 6: share,
				7: math.Floor(most(p) / (1 << 20)), 8: most(p) / most(first), 9: math.Floor(float64(p.Memory.File) / (1 << 20)), 10: math.Floor(float64(p.Memory.Peak) / (1 << 20)),
			} {
				number, _, _ := strings.Cut(row[column], " ")
				got, err := strconv.ParseFloat(number, 64)
				if math.IsNaN(want) {
					if row[column] != "" {
						t.Fatalf("the operations of %s are not known, its share is %q", row[0], row[column])
					}
					continue
				}
				_, decimals, _ := strings.Cut(number, ".")
				if err != nil || math.Abs(got-want) > 0.50001*math.Pow10(-len(decimals)) {
					t.Fatalf("row %d, column %d is %q, want %v", i, column, row[column], want)
				}
			}
		}
	})
}

// Goals that hold peers against each other are judged where both took part,
// and no others.
func TestGoalsOfThePeersThatTookPart(t *testing.T) {
	needs := map[string][2]string{ // by goal and precision
		"step time against PEFT float32, float32":                   {"softprompt", "peft"},
		"step time against PEFT float32, int8":                      {"softprompt-int8", "peft"},
		"step time against PEFT bfloat16, int8":                     {"softprompt-int8", "peft-bf16"},
		"peak memory against PEFT float32, float32":                 {"softprompt", "peft"},
		"peak memory against PEFT bfloat16, int8":                   {"softprompt-int8", "peft-bf16"},
		"furthest loss from float32, int8":                          {"softprompt-int8", "softprompt"},
		"share of the products' peak, float32":                      {"softprompt", "softprompt"},
		"share of the products' peak, int8":                         {"softprompt-int8", "softprompt-int8"},
		"start beyond a step, float32":                              {"softprompt start", "softprompt start"},
		"start beyond a step, int8":                                 {"softprompt-int8 start", "softprompt-int8 start"},
		"ranking, transformers with a pass a word, float32":         {"softprompt rank", "transformers rank"},
		"ranking, transformers with a shared encoder pass, float32": {"softprompt rank", "transformers rank-shared"},
		"greedy decoding against transformers, float32":             {"softprompt greedy", "transformers greedy"},
	}
	rapid.Check(t, func(t *rapid.T) {
		r, present := exampleReport(), map[string]bool{}
		r.Texts = nil
		stays := func(name string) bool {
			present[name] = rapid.Bool().Draw(t, name)
			return present[name]
		}
		s := &r.Sizes[0]
		s.Peers = slices.DeleteFunc(s.Peers, func(m measured) bool { return !stays(m.Name) })
		r.Starts = slices.DeleteFunc(r.Starts, func(s startReport) bool { return !stays(s.Name + " start") })
		r.Eval.Runs = slices.DeleteFunc(r.Eval.Runs, func(e *evalRun) bool { return !stays(e.Name + " " + e.Command) })
		judged := map[string]int{}
		for _, v := range r.verdicts() {
			judged[v.Goal+", "+v.Precision]++
		}
		for goal, pair := range needs {
			want := 0
			if present[pair[0]] && present[pair[1]] {
				want = 1
			}
			if judged[goal] != want {
				t.Fatalf("with %v %q is judged %d times", present, goal, judged[goal])
			}
			delete(judged, goal)
		}
		if len(judged) > 0 {
			t.Fatalf("also judged: %v", judged)
		}
	})
}

// A goal's line says on which side of the bound the measured value is to lie,
// and in which unit.
func TestGoalTable(t *testing.T) {
	got := goalTable([]verdict{
		{Goal: "a", Where: "small", Precision: "int8", Wanted: 0.25, Measured: 0.24961, Met: true},
		{Goal: "b", Where: "base, SST-2", Precision: "float32", Wanted: 3, AtLeast: true, Measured: 2.999},
		{Goal: "c", Where: "base", Precision: "float32", Wanted: 2, Measured: 1234.5, Unit: "s"},
		{Goal: "d", Where: "base", Precision: "float32", Wanted: 2, Measured: math.Inf(1)},
	}).rows
	want := [][]string{
		{"a", "small", "int8", "≤ 0.25", "0.25", "met"},
		{"b", "base, SST-2", "float32", "≥ 3", "3", "missed"},
		{"c", "base", "float32", "≤ 2 s", "1.23e+03 s", "missed"},
		{"d", "base", "float32", "≤ 2", "+Inf", "missed"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Peaks in any order leave the highest of each library and type, libraries in
// the order in which they came.
func TestPeaksInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type key struct {
			library string
			int8    bool
		}
		highest, order, r := map[key]float64{}, []key{}, &report{}
		for range rapid.IntRange(0, 12).Draw(t, "peaks") {
			k := key{rapid.SampledFrom([]string{"onnxruntime 1", "torch 2", "onnxruntime 2"}).Draw(t, "library"), rapid.Bool().Draw(t, "int8")}
			g := rapid.Float64Range(1, 900).Draw(t, "gflops")
			if _, there := highest[k]; !there {
				order = append(order, k)
			}
			highest[k] = max(highest[k], g)
			r.addPeak(peak{GFLOPS: g, Library: k.library, Int8: k.int8})
		}
		best := map[bool]float64{}
		for i, k := range order {
			best[k.int8] = max(best[k.int8], highest[k])
			if p := r.Peaks[i]; p.Library != k.library || p.Int8 != k.int8 || p.GFLOPS != highest[k] {
				t.Fatalf("peak %d is %+v, want %v of %+v", i, p, highest[k], k)
			}
		}
		if len(r.Peaks) != len(order) || r.best(false).GFLOPS != best[false] || r.best(true).GFLOPS != best[true] {
			t.Fatalf("peaks %+v, best %+v", r.Peaks, best)
		}
	})
}

// A report that cannot be written leaves what stood there, and one that can
// replaces it whole; its folder is made.
func TestReportIsWrittenWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "folder", "r.json")
	r := exampleReport()
	for range 2 {
		if err := r.write(path); err != nil {
			t.Fatal(err)
		}
		r.Command = "another"
	}
	data, err := os.ReadFile(path)
	var back struct {
		Command string    `json:"command"`
		Date    time.Time `json:"date"`
	}
	if err != nil || json.Unmarshal(data, &back) != nil || back.Command != "another" || !back.Date.Equal(r.Date) || !strings.HasSuffix(string(data), "}\n") {
		t.Errorf("it holds %+v, %v", back, err)
	}
	r.Eval.Difference = math.NaN() // JSON has no such number
	if err := r.write(path); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("error %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(data) {
		t.Errorf("after a failure it holds %d bytes, before %d, %v", len(after), len(data), err)
	}
	if err := exampleReport().write(filepath.Join(path, "below", "a file")); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if there, err := os.ReadDir(filepath.Dir(path)); err != nil || len(there) != 1 {
		t.Errorf("the folder holds %v, %v", there, err)
	}
}

// A profile has a line for each kind and operator, as many shapes as are asked
// for, and a speed for products alone.
func TestPrintProfile(t *testing.T) {
	b := &budget.Budget{
		Steps: 4, Millis: 120.25,
		Kinds:  []budget.Line{{Name: "frozen products", Calls: 96, Millis: 90, Share: 0.75, GFLOPS: 151.6}},
		Ops:    []budget.Line{{Name: "FusedMatMul", Calls: 96, Millis: 90, Share: 0.75, GFLOPS: 151.6}, {Name: "Softmax", Calls: 12.5, Millis: 9.96, Share: 0.083}},
		Shapes: []budget.Line{{Name: "Softmax [16,6,228,228]", Calls: 8, Millis: 9, Share: 0.0754}, {Name: "Softmax [16,6,4,4]", Calls: 4, Millis: 1, Share: 0.01}},
	}
	var out strings.Builder
	printProfile(&out, b, 1)
	want := `kind of work     nodes  ms a step   share  GFLOP/s
frozen products     96       90.0  75.0 %      152

operator     nodes  ms a step   share  GFLOP/s
FusedMatMul     96       90.0  75.0 %      152
Softmax         12       10.0   8.3 %

operator and shapes of its inputs  nodes  ms a step  share  GFLOP/s
Softmax [16,6,228,228]                 8        9.0  7.5 %

120.2 ms a step, 100.0 ms of it in kernels, mean of 4 steps
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	out.Reset()
	printProfile(&out, b, 99) // more than there are
	if strings.Count(out.String(), "[16,6,") != 2 {
		t.Errorf("printed\n%s", out.String())
	}
}
