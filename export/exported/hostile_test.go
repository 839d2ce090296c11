package exported_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/export/exported"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// find returns a graph's first node of an operator.
func find(m *onnx.Model, op string) *onnx.Node {
	for _, n := range m.Graph.Nodes {
		if n.Op == op {
			return n
		}
	}
	panic("there is no " + op)
}

// before puts nodes at the start of a graph.
func before(m *onnx.Model, nodes ...*onnx.Node) { m.Graph.Nodes = append(nodes, m.Graph.Nodes...) }

// ifNode is an If between two branches that hand x on.
func ifNode(cond, x, y string) *onnx.Node {
	branch := func(name string) *onnx.Graph {
		return &onnx.Graph{
			Name: name, Nodes: []*onnx.Node{{Op: "Neg", Inputs: []string{x}, Outputs: []string{name + ".y"}}},
			Outputs: []onnx.Value{{Name: name + ".y"}},
		}
	}
	return &onnx.Node{Name: "choice", Op: "If", Inputs: []string{cond}, Outputs: []string{y}, Attrs: []onnx.Attr{
		{Name: "then_branch", Kind: onnx.AttrGraph, G: branch("then")}, {Name: "else_branch", Kind: onnx.AttrGraph, G: branch("else")},
	}}
}

// swap makes the readers of x read y.
func swap(m *onnx.Model, x, y string) {
	for _, n := range m.Graph.Nodes {
		for i, in := range n.Inputs {
			if in == x && !slices.Contains(n.Outputs, y) {
				n.Inputs[i] = y
			}
		}
	}
}

func rename(values []onnx.Value, from, to string) {
	for i := range values {
		if values[i].Name == from {
			values[i].Name = to
		}
	}
}

// odd has changes to a model that make it none that can be used, and words of
// what is said about it.
var odd = map[string]struct {
	change func(enc, dec *onnx.Model)
	want   []string
}{
	"unknown operator": {
		func(enc, _ *onnx.Model) { find(enc, "Relu").Op = "Relish" },
		[]string{"encoder_model.onnx", "Relish node Relu", "not known (opset 18", "want"},
	},
	"operator of a strange domain": {
		func(_, dec *onnx.Model) {
			n := find(dec, "Softmax")
			n.Domain, n.Op, dec.Opset["acme"] = "acme", "Softermax", 3
		},
		[]string{"decoder_model_merged.onnx", "acme.Softermax node Softmax", "opset 3 of domain \"acme\""},
	},
	"a branch taken at run time": {
		func(enc, _ *onnx.Model) {
			out := find(enc, "Relu").Output(0)
			enc.Graph.Nodes = slices.Insert(enc.Graph.Nodes, slices.Index(enc.Graph.Nodes, find(enc, "Relu"))+1,
				&onnx.Node{Op: "ReduceSum", Inputs: []string{out}, Outputs: []string{"sum"}, Attrs: []onnx.Attr{onnx.IntAttr("keepdims", 0)}},
				&onnx.Node{Op: "Cast", Inputs: []string{"sum"}, Outputs: []string{"cond"}, Attrs: []onnx.Attr{onnx.IntAttr("to", int64(onnx.Bool))}},
				ifNode("cond", out, "chosen"))
			swap(enc, out, "chosen")
			find(enc, "ReduceSum").Inputs[0] = out
		},
		[]string{"encoder_model.onnx", "If node choice", "known only at run time"},
	},
	"a loop": {
		func(_, dec *onnx.Model) {
			n := find(dec, "Softmax")
			x := n.Inputs[0]
			n.Op, n.Inputs = "Scan", []string{x}
			n.Attrs = []onnx.Attr{{Name: "body", Kind: onnx.AttrGraph, G: &onnx.Graph{
				Name: "body", Inputs: []onnx.Value{{Name: "row"}}, Outputs: []onnx.Value{{Name: "row.y"}},
				Nodes: []*onnx.Node{{Op: "Neg", Inputs: []string{"row"}, Outputs: []string{"row.y"}}},
			}}, onnx.IntAttr("num_scan_inputs", 1)}
		},
		[]string{"decoder_model_merged.onnx", "Scan node Softmax", "holds a graph"},
	},
	"a cycle": {
		func(enc, _ *onnx.Model) { find(enc, "Relu").Inputs[0] = find(enc, "Softmax").Output(0) },
		[]string{"encoder_model.onnx", "topological order"},
	},
	"an encoder like BERT's": {
		func(enc, _ *onnx.Model) {
			enc.Graph.Inputs = append(enc.Graph.Inputs, onnx.Value{Name: "token_type_ids", Type: onnx.Int64})
		},
		[]string{"encoder_model.onnx", "no encoder of a T5", "BERT", "token_type_ids"},
	},
	"a decoder alone": {
		func(_, dec *onnx.Model) {
			dec.Graph.Inputs = slices.DeleteFunc(dec.Graph.Inputs, func(v onnx.Value) bool { return v.Name == "encoder_hidden_states" })
			swap(dec, "encoder_hidden_states", "embedded")
			before(dec, &onnx.Node{Op: "Gather", Inputs: []string{"shared.weight", "input_ids"}, Outputs: []string{"embedded"}})
		},
		[]string{"decoder_model_merged.onnx", "no decoder of a T5", "encoder_hidden_states", "decoder alone"},
	},
	"a classifier": {
		func(enc, _ *onnx.Model) {
			rename(enc.Graph.Outputs, "last_hidden_state", "scores")
			enc.Graph.Nodes = append(enc.Graph.Nodes, &onnx.Node{Op: "Identity", Inputs: []string{"last_hidden_state"}, Outputs: []string{"scores"}})
		},
		[]string{"encoder_model.onnx", "no output last_hidden_state", "scores"},
	},
	"fixed lengths": {
		func(enc, _ *onnx.Model) { enc.Graph.Inputs[0].Shape = onnx.Fixed(1, 128) },
		[]string{"encoder_model.onnx", "input_ids", "fixed size [1,128]", "free"},
	},
	"ids of three axes": {
		func(enc, _ *onnx.Model) { enc.Graph.Inputs[0].Shape = append(enc.Graph.Inputs[0].Shape, onnx.Size(1)) },
		[]string{"encoder_model.onnx", "want 2 axes"},
	},
	"a mask made from the ids": {
		func(enc, _ *onnx.Model) {
			swap(enc, "attention_mask", "made")
			enc.Graph.Initializers = append(enc.Graph.Initializers, onnx.Longs("pad", nil, []int64{0}))
			before(enc,
				&onnx.Node{Name: "padding", Op: "Equal", Inputs: []string{"input_ids", "pad"}, Outputs: []string{"made"}})
		},
		[]string{"encoder_model.onnx", "Equal node padding", "input_ids themselves"},
	},
	"a mask that is not read": {
		func(enc, _ *onnx.Model) {
			enc.Graph.Initializers = append(enc.Graph.Initializers, onnx.Longs("ones", []int64{1, 1}, []int64{1}))
			swap(enc, "attention_mask", "ones")
		},
		[]string{"encoder_model.onnx", "attention_mask"},
	},
	"two tables": {
		func(enc, _ *onnx.Model) {
			x := find(enc, "Gather").Output(0)
			swap(enc, x, "both")
			i := slices.Index(enc.Graph.Nodes, find(enc, "Gather"))
			enc.Graph.Initializers = append(enc.Graph.Initializers, numbers("second", 6, 4))
			enc.Graph.Nodes = slices.Insert(enc.Graph.Nodes, i+1,
				&onnx.Node{Op: "Gather", Inputs: []string{"second", find(enc, "Gather").Input(1)}, Outputs: []string{"other"}},
				&onnx.Node{Op: "Add", Inputs: []string{x, "other"}, Outputs: []string{"both"}})
		},
		[]string{"encoder_model.onnx", "2 tables, want one"},
	},
	"a table that is computed": {
		func(enc, _ *onnx.Model) {
			find(enc, "Gather").Inputs[0] = "double"
			before(enc, &onnx.Node{Name: "twice", Op: "Neg", Inputs: []string{"embed_tokens.weight"}, Outputs: []string{"double"}})
		},
		[]string{"encoder_model.onnx", "Neg node twice", "want a constant"},
	},
	"another model's configuration": {
		func(enc, _ *onnx.Model) {
			for i, w := range enc.Graph.Initializers {
				if w.Name == "embed_tokens.weight" {
					enc.Graph.Initializers[i] = numbers(w.Name, 7, 4)
				}
			}
		},
		[]string{"encoder_model.onnx", "embed_tokens.weight", "[7 4]", "6 tokens of d_model 4"},
	},
	"another width": {
		func(_, dec *onnx.Model) {
			for i, w := range dec.Graph.Initializers {
				if w.Name == "shared.weight" {
					dec.Graph.Initializers[i] = numbers(w.Name, 9, 4)
				}
			}
		},
		[]string{"decoder_model_merged.onnx", "logits comes out as float32[B,T,9], want float32[B,T,6]"},
	},
	"attention to a fixed number of positions": {
		func(enc, _ *onnx.Model) {
			n := find(enc, "Softmax")
			enc.Graph.Initializers = append(enc.Graph.Initializers, numbers("traced", 1, 2, 9, 9))
			enc.Graph.Nodes = slices.Insert(enc.Graph.Nodes, slices.Index(enc.Graph.Nodes, n),
				&onnx.Node{Op: "Add", Inputs: []string{n.Inputs[0], "traced"}, Outputs: []string{"biased"}})
			n.Inputs[0] = "biased"
		},
		[]string{"encoder_model.onnx", "Softmax node Softmax", "9 positions whatever"},
	},
	"a mask of words": {
		func(enc, _ *onnx.Model) { enc.Graph.Inputs[1].Type = onnx.String },
		[]string{"encoder_model.onnx", "attention_mask is string, want int64"},
	},
	"an opset of the past": {
		func(enc, _ *onnx.Model) { enc.Opset[""] = 9 },
		[]string{"encoder_model.onnx", "opset 9, older than"},
	},
	"an opset of the future": {
		func(_, dec *onnx.Model) { dec.Opset[""] = 99 },
		[]string{"decoder_model_merged.onnx", "opset 99, newer than"},
	},
	"nothing in it": {
		func(enc, _ *onnx.Model) { enc.Graph = &onnx.Graph{Name: "empty"} },
		[]string{"encoder_model.onnx", "no input input_ids"},
	},
}

// TestOdd: what cannot be used is refused in a line that names the file.
func TestOdd(t *testing.T) {
	for name, c := range odd {
		t.Run(name, func(t *testing.T) {
			enc, dec := miniEncoder(), miniDecoder(false)
			c.change(enc, dec)
			_, err := operate(t, enc, dec)
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, words := range c.want {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("the error does not say %q: %v", words, err)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %v", err)
			}
		})
	}
}

// TestBranchesWithCache: where both branches go on from a cache, or neither is
// there in full, nothing is guessed.
func TestBranchesWithCache(t *testing.T) {
	for name, c := range map[string]struct {
		change func(n *onnx.Node)
		want   string
	}{
		"both read it": {func(n *onnx.Node) { n.Attrs[1].G = n.Attrs[0].G }, "both branches go on from a cache"},
		"an output less": {
			func(n *onnx.Node) { n.Attrs[1].G.Outputs = n.Attrs[1].G.Outputs[:1] }, "has 1 outputs, want 2",
		},
		"one branch": {func(n *onnx.Node) { n.Attrs = n.Attrs[:1] }, "want a graph without"},
	} {
		t.Run(name, func(t *testing.T) {
			dec := miniDecoder(true)
			c.change(find(dec, "If"))
			_, err := operate(t, miniEncoder(), dec)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "decoder_model_merged.onnx") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestHostileFiles: files that are not there, not whole or not inside.
func TestHostileFiles(t *testing.T) {
	external := func(location string) func(dir string) error {
		return func(dir string) error {
			enc := miniEncoder()
			for _, w := range enc.Graph.Initializers {
				if w.Name == "embed_tokens.weight" {
					w.Data, w.External = nil, &onnx.External{Location: location, Length: 96}
				}
			}
			data, err := enc.Marshal()
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, miniFiles[0]), data, 0o644)
		}
	}
	for name, c := range map[string]struct {
		change func(dir string) error
		want   string
		advice string
	}{
		"weights outside": {external("../secret.bin"), "not a path inside the model's folder", ""},
		"weights missing": {external("encoder_model.onnx_data"), "no such file", "belongs beside it"},
		"graph missing":   {func(dir string) error { return os.Remove(filepath.Join(dir, miniFiles[1])) }, "decoder_model_merged.onnx", ""},
		"graph cut short": {func(dir string) error { return os.Truncate(filepath.Join(dir, miniFiles[0]), 1000) }, "encoder_model.onnx", "cut short"},
		"a pointer": {
			func(dir string) error {
				return os.WriteFile(filepath.Join(dir, miniFiles[0]), []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), 0o644)
			}, "Git LFS pointer", "git lfs pull",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := write(t, miniEncoder(), miniDecoder(true))
			fatal(t, c.change(m.Dir))
			_, err := exported.Load(t.Context(), m)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), m.Dir) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
			if !strings.Contains(hint.Of(err), c.advice) {
				t.Errorf("the hint is %q, want %q", hint.Of(err), c.advice)
			}
		})
	}
}

// TestNotExported: a checkpoint is no exported model, and a context that has
// ended ends the reading.
func TestNotExported(t *testing.T) {
	m := write(t, miniEncoder(), miniDecoder(true))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	m.Files.Format = models.Safetensors
	if _, err := exported.Load(t.Context(), m); err == nil || !strings.Contains(err.Error(), "safetensors") {
		t.Errorf("a checkpoint gives %v", err)
	}
	m.Files = models.Files{Format: models.ONNX, Weights: miniFiles[:1]}
	if _, err := exported.Load(t.Context(), m); err == nil {
		t.Error("a single file was taken")
	}
	m.Files.Weights = miniFiles
	if _, err := exported.Load(ended, m); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context gives %v", err)
	}
}
