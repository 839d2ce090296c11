package orttest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"softprompt/onnx"
	"softprompt/onnx/ort"
)

// Ran is a node that the runtime ran, and the bytes of its outputs.
type Ran struct {
	Node  string
	Bytes int64
}

// Trace runs a model once and returns the nodes in the order in which the
// runtime ran them, which is not that of the file: it chooses one itself, and
// at levels above ort.LevelNone nodes are gone.
func Trace(t testing.TB, model *onnx.Model, inputs map[string]*onnx.Tensor, level ort.Level) []Ran {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "trace")
	s := Session(t, model, ort.Config{Optimize: level, Threads: 1, Profile: prefix})
	in, out := map[string]*ort.Tensor{}, map[string]*ort.Tensor{}
	for name, c := range inputs {
		x, err := ort.FromONNX(c)
		fatal(t, err)
		in[name] = x
	}
	for _, v := range s.Outputs() {
		out[v.Name] = nil
	}
	fatal(t, s.Run(t.Context(), in, out))
	fatal(t, s.Close())
	files, err := filepath.Glob(prefix + "*.json")
	fatal(t, err)
	if len(files) != 1 {
		t.Fatalf("the runtime wrote %d traces, want one", len(files))
	}
	data, err := os.ReadFile(files[0])
	fatal(t, err)
	var events []struct {
		Category string `json:"cat"`
		Name     string `json:"name"`
		Args     struct {
			Bytes string `json:"output_size"`
		} `json:"args"`
	}
	fatal(t, json.Unmarshal(data, &events))
	var ran []Ran
	for _, e := range events {
		node, ok := strings.CutSuffix(e.Name, "_kernel_time")
		if e.Category != "Node" || !ok {
			continue
		}
		bytes, err := strconv.ParseInt(e.Args.Bytes, 10, 64)
		fatal(t, err)
		ran = append(ran, Ran{node, bytes})
	}
	return ran
}

// shares has the operators whose output lies in the memory of their input.
var shares = map[string]bool{"Flatten": true, "Identity": true, "Reshape": true, "Squeeze": true, "Unsqueeze": true}

// Peak returns the most bytes that interior values hold at a time when the
// model's nodes run in the given order and each value is freed after its last
// reader. It knows nothing of kernels that write over their input.
func Peak(model *onnx.Model, ran []Ran) (peak int64) {
	place := map[string]int{} // of a node in the order
	for i, r := range ran {
		place[r.Node] = i
	}
	home := map[string]int{} // the node in whose memory a value lies
	bytes, last := make([]int64, len(ran)), make([]int, len(ran))
	for _, n := range model.Graph.Nodes {
		i, runs := place[n.Name]
		for _, x := range n.Uses() {
			if h, ok := home[x]; ok && runs {
				last[h] = max(last[h], i)
			}
		}
		if shares[n.Op] || !runs {
			if h, ok := home[n.Input(0)]; ok {
				home[n.Output(0)] = h
			}
			continue
		}
		bytes[i], last[i] = ran[i].Bytes, i
		for _, y := range n.Outputs {
			home[y] = i
		}
	}
	for _, v := range model.Graph.Outputs {
		if h, ok := home[v.Name]; ok {
			last[h] = len(ran)
		}
	}
	freed := make([]int64, len(ran)+1)
	var held int64
	for i := range ran {
		held += bytes[i]
		freed[last[i]] += bytes[i]
		peak = max(peak, held)
		held -= freed[i]
	}
	return peak
}
