package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/onnx"
)

// The quotient of two peers does not change when both are slower by the same,
// and is the other way round when they change places.
func TestRatioProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "rounds")
		times := rapid.SliceOfN(rapid.Float64Range(0.01, 10), n, n)
		a, b := times.Draw(t, "a"), times.Draw(t, "b")
		slow := times.Draw(t, "slow") // what each round is slowed down by
		slower := func(v []float64) []float64 {
			out := slices.Clone(v)
			for i := range out {
				out[i] *= slow[i]
			}
			return out
		}
		near := func(x, y float64) bool { return math.Abs(x-y) <= 1e-9*math.Abs(y) }
		q := ratio(a, b)
		if got := ratio(slower(a), slower(b)); !near(got, q) {
			t.Fatalf("%v, and %v when both are slower", q, got)
		}
		if got := ratio(b, a); n%2 == 1 && !near(got, 1/q) {
			t.Fatalf("%v, and %v the other way round", q, got)
		}
		s := spreadOf(a)
		if !near(s.Median, middle(a)) || s.Min > s.Median || s.Max < s.Median || !slices.Contains(a, s.Min) || !slices.Contains(a, s.Max) {
			t.Fatalf("spread %+v of %v", s, a)
		}
	})
}

// The operations of a product of any shapes are those of the loops that would
// compute it: two for each term of each element's sum.
func TestCountIsThatOfLoops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 4)
		rows, inner, columns := size.Draw(t, "rows"), size.Draw(t, "inner"), size.Draw(t, "columns")
		transA, transB := rapid.Bool().Draw(t, "transA"), rapid.Bool().Draw(t, "transB")
		dims := func(batch []int64, a, b int64, trans bool) []int64 {
			if trans {
				a, b = b, a
			}
			return append(slices.Clone(batch), a, b)
		}
		// One batch of sizes, of which the right side has 1 in places.
		batch := rapid.SliceOfN(size, 0, 2).Draw(t, "batch")
		other := slices.Clone(batch)
		for i := range other {
			if rapid.Bool().Draw(t, "broadcast") {
				other[i] = 1
			}
		}
		b := onnx.NewBuilder(onnx.NewModel("test"))
		input := func(name string, sizes []int64) string {
			var shape []onnx.Dim
			for _, n := range sizes {
				shape = append(shape, onnx.Size(n))
			}
			return b.Input(name, onnx.Float32, shape...)
		}
		x, y := input("x", dims(batch, rows, inner, transA)), input("y", dims(other, inner, columns, transB))
		b.Output("out", b.FusedMatMul(x, y, transA, transB, 1))
		if err := b.Err(); err != nil {
			t.Fatal(err)
		}
		products := int64(1)
		for _, n := range batch {
			products *= n
		}
		var want int64
		for range products * rows * columns {
			for range inner {
				want += 2
			}
		}
		if w, err := count(b.Model, nil); err != nil || w != (work{Forward: want}) {
			t.Fatalf("%v × %v, transposed %v and %v: %+v, %v; want %d", dims(batch, rows, inner, transA), dims(other, inner, columns, transB), transA, transB, w, err, want)
		}
	})
}

// A report's file is named by the processor in letters, digits and single
// dashes, whatever the system calls it.
func TestSlugIsAName(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	rapid.Check(t, func(t *rapid.T) {
		cpu := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9 ()@./\\-]{0,20}`)).Draw(t, "cpu")
		m := machine{CPU: cpu, OS: "linux/amd64"}
		if got := m.slug(); !name.MatchString(got) {
			t.Fatalf("%q is called %q", cpu, got)
		}
	})
}

// The first processor's name and instruction sets are read, as Intel's, Arm's
// and other kernels write them.
func TestParseCPUOfOthers(t *testing.T) {
	for name, c := range map[string]struct{ info, cpu, features string }{
		"Arm, no name":           {"processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd evtstrm sve bf16 i8mm\nCPU implementer\t: 0x41\n", "", "[asimd sve bf16 i8mm]"},
		"the sets come first":    {"flags : avx2\nmodel name : B\n", "", "[avx2]"},
		"no sets of interest":    {"model name : C\nflags : fpu vme\n", "C", "[]"},
		"longer names":           {"model name : D\nflags : avx2x xavx2 avx512fp16 avx512_vnni avx512_bf16 amx_int8\n", "D", "[avx512_vnni avx512_bf16 amx_int8]"},
		"a virtual one, no sets": {"vendor_id : x\nmodel name : E: 1\n", "E: 1", "[]"},
		"line ends of Windows":   {"model name : F\r\nflags : fma\r\n", "F", "[fma]"},
	} {
		cpu, features := parseCPU(c.info)
		if cpu != c.cpu || fmt.Sprint(features) != c.features {
			t.Errorf("%s: %q, %v", name, cpu, features)
		}
	}
}

// Sizes of the kernel's form are read in bytes, whatever stands between them.
func TestParseKBReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, text := map[string]int64{}, ""
		for i := range rapid.IntRange(0, 6).Draw(t, "lines") {
			name := fmt.Sprintf("Size%d", i)
			kb := rapid.Int64Range(0, 1<<40).Draw(t, "kB")
			switch rapid.SampledFrom([]string{"size", "count", "text", "header"}).Draw(t, "kind") {
			case "size":
				want[name] = kb << 10
				text += fmt.Sprintf("%s:%*d kB\n", name, rapid.IntRange(1, 20).Draw(t, "width"), kb)
			case "count":
				text += fmt.Sprintf("%s:\t%d\n", name, kb)
			case "text":
				text += name + ":\t(zombie) kB\n"
			case "header":
				text += "55d0-7ffc ---p 00000000 00:00 0    [rollup]\n"
			}
		}
		got := parseKB(text)
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for name, n := range want {
			if got[name] != n {
				t.Fatalf("%s is %d, want %d", name, got[name], n)
			}
		}
	})
}

// Another process is measured as this one is, while it is there.
func TestMemoryOfAnother(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	cmd := exec.CommandContext(t.Context(), "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := fmt.Sprint(cmd.Process.Pid)
	m, err := memoryOf(pid)
	mine, errMine := memoryOf("self")
	if err != nil || errMine != nil || m.Resident <= 0 || m.Anonymous+m.File != m.Resident || m.Peak >= mine.Peak {
		t.Errorf("%+v, %v; this process %+v, %v", m, err, mine, errMine)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if m, err := memoryOf(pid); err == nil || m != (memory{}) || !strings.Contains(err.Error(), "/proc/"+pid+"/status") {
		t.Errorf("a process that is gone: %+v, %v", m, err)
	}
	if got := restartPeak(cmd.Process.Pid); got != 0 {
		t.Errorf("its peak is %d", got)
	}
	if _, err := readKB(os.DevNull + "/x"); err == nil || !strings.Contains(err.Error(), "works on Linux alone") {
		t.Errorf("error %v", err)
	}
}
