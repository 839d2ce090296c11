package exported

import (
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
)

// FuzzRecover edits the graphs of real exports, node by node, and recovers what
// is left of them: it may be refused, but never panics, never hangs, and what
// is accepted can be written.
func FuzzRecover(f *testing.F) {
	type pair struct {
		config           models.Config
		encoder, decoder *onnx.Model
	}
	var pairs []pair
	for _, name := range []string{"t5-opset14", "t5-v1_1-hub-int8", "t5-v1_1-optimized-t5", "umt5", "t5-v1_1-fp16-traced"} {
		m, err := models.Open(f.Context(), "./"+filepath.ToSlash(filepath.Join(fixtureDir, name)), models.Options{CacheDir: f.TempDir()})
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { m.Close() })
		p := pair{config: m.Config}
		for i, into := range []**onnx.Model{&p.encoder, &p.decoder} {
			if *into, err = onnx.Load(f.Context(), filepath.Join(m.Dir, filepath.FromSlash(m.Files.Weights[i]))); err != nil {
				f.Fatal(err)
			}
			f.Cleanup(func() { (*into).Close() })
		}
		pairs = append(pairs, p)
	}
	for _, linear := range []func(a *author, x, name string) string{nBits(4, true), integerToFloat, dequantised(true), gemm} {
		p := pair{config: smallConfig()}
		p.encoder, p.decoder = withLinear(linear).write(f, p.config)
		pairs = append(pairs, p)
	}
	for i := range pairs {
		f.Add(byte(i), []byte{})
		for kind := range byte(edits) {
			f.Add(byte(i), []byte{kind, 10, 3, kind, 50, 7, kind, 120, 200, kind, 220, 90})
		}
	}
	f.Fuzz(func(t *testing.T, which byte, script []byte) {
		p := pairs[int(which)%len(pairs)]
		e, d := edited(p.encoder, script), p.decoder
		if len(script)%2 == 1 {
			e, d = p.encoder, edited(p.decoder, script)
		}
		r, err := Recover(p.config, e, d)
		if err != nil {
			return
		}
		ck, err := r.Checkpoint(t.Context(), t.TempDir(), "m", nil, slog.New(slog.DiscardHandler))
		if err != nil {
			return
		}
		defer ck.Close()
		m := models.Model{Config: r.Config}
		if err := m.Adopt(ck); err != nil {
			t.Errorf("what was recovered is no checkpoint: %v", err)
		}
	})
}

const edits = 9

// edited copies a model and changes its nodes and constants as the script
// says: what, where, and with what.
func edited(m *onnx.Model, script []byte) *onnx.Model {
	out, g := *m, *m.Graph
	out.Graph = &g
	g.Nodes = slices.Clone(g.Nodes)
	g.Initializers = slices.Clone(g.Initializers)
	for ; len(script) >= 3; script = script[3:] {
		at, by := int(script[1])*len(g.Nodes)/256, int(script[2])
		n := *g.Nodes[at]
		n.Inputs, n.Outputs, n.Attrs = slices.Clone(n.Inputs), slices.Clone(n.Outputs), slices.Clone(n.Attrs)
		other := g.Nodes[by*len(g.Nodes)/256]
		switch script[0] % edits {
		case 0:
			n.Op = other.Op
		case 1:
			if len(n.Inputs) > 0 && len(other.Outputs) > 0 {
				n.Inputs[by%len(n.Inputs)] = other.Outputs[0]
			}
		case 2:
			slices.Reverse(n.Inputs)
		case 3:
			n.Attrs = nil
		case 4:
			for i := range n.Attrs {
				n.Attrs[i].I, n.Attrs[i].F = int64(by)-128, float32(by)
			}
		case 5:
			if len(n.Inputs) > 0 {
				n.Inputs = n.Inputs[:len(n.Inputs)-1]
			}
		case 6:
			if len(g.Initializers) > 0 {
				i := by % len(g.Initializers)
				t := *g.Initializers[i]
				t.Dims = slices.Clone(t.Dims)
				slices.Reverse(t.Dims)
				g.Initializers[i] = &t
			}
		case 7:
			if len(g.Initializers) > 0 {
				i := by % len(g.Initializers)
				g.Initializers[i] = &onnx.Tensor{Name: g.Initializers[i].Name, Type: onnx.Float32, Dims: []int64{0, 4}, Data: []byte{}}
			}
		case 8:
			if len(n.Inputs) > 0 && len(g.Initializers) > 0 {
				n.Inputs[len(n.Inputs)-1] = g.Initializers[by%len(g.Initializers)].Name
			}
		}
		g.Nodes[at] = &n
	}
	return &out
}
