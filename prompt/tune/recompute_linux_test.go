package tune

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// recomputeEnv tells a child of TestRecomputeMemory whether to recompute.
const recomputeEnv = "SOFTPROMPT_TEST_RECOMPUTE"

// TestRecomputeMemory takes a long step in two processes and compares what the
// step adds to their memory.
func TestRecomputeMemory(t *testing.T) {
	if recompute, err := strconv.ParseBool(os.Getenv(recomputeEnv)); err == nil {
		fmt.Printf("added %d\n", stepMemory(t, recompute))
		return
	}
	added := map[bool]int64{}
	for _, recompute := range []bool{false, true} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRecomputeMemory$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%t", recomputeEnv, recompute))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		_, line, _ := strings.Cut(string(out), "added ")
		line, _, _ = strings.Cut(line, "\n")
		if added[recompute], err = strconv.ParseInt(line, 10, 64); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	t.Logf("a step adds %d MB, %d MB with recomputation", added[false]>>20, added[true]>>20)
	if added[true]*100 > added[false]*75 {
		t.Errorf("a step adds %d MB to the process, and with recomputation %d MB", added[false]>>20, added[true]>>20)
	}
}

// stepMemory returns by how much a step of 12 rows of 256 tokens raises the
// peak of the process's memory.
func stepMemory(t *testing.T, recompute bool) int64 {
	f := freezeTiny(t, FreezeOptions{Method: "prompt-tuning", Recompute: recompute, Threads: 1})
	bank := bankOf(t, f, randomPrompt(t, f, 20, 1))
	rows := someRows(t, f)[:1]
	rows[0].IDs = slices.Repeat(rows[0].IDs, 256)[:256]
	rows = slices.Repeat(rows, 12)
	if _, err := f.Step(t.Context(), bank, rows[:1], StepOptions{Weights: []float32{1}}); err != nil {
		t.Fatal(err)
	}
	before := PeakMemory()
	if _, err := f.Step(t.Context(), bank, rows, StepOptions{Weights: []float32{1}}); err != nil {
		t.Fatal(err)
	}
	return PeakMemory() - before
}
