package exported

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"softprompt/grad"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// role says what a file is to be: what it has as exporters write it, and what
// goes in and comes out after surgery.
type role struct {
	name   string
	inputs []string // of the file; it may have more
	takes  []onnx.Value
	gives  onnx.Value
}

// Shapes of roles; d_model and the vocabulary are put in their places. Ids and
// masks have the type that they were exported with, one of these.
var (
	symB, symE, symT, symD, symV = onnx.Sym("B"), onnx.Sym("E"), onnx.Sym("T"), onnx.Sym("d_model"), onnx.Sym("vocab_size")

	idTypes = []onnx.DType{onnx.Int64, onnx.Int32, onnx.Bool, onnx.Float32}

	encoder = role{
		name: "encoder", inputs: []string{"input_ids", "attention_mask"},
		takes: []onnx.Value{
			{Name: "inputs_embeds", Type: onnx.Float32, Shape: onnx.Shape{symB, symE, symD}},
			{Name: "attention_mask", Shape: onnx.Shape{symB, symE}},
		},
		gives: onnx.Value{Name: "last_hidden_state", Type: onnx.Float32, Shape: onnx.Shape{symB, symE, symD}},
	}
	decoder = role{
		name: "decoder", inputs: []string{"input_ids", "encoder_hidden_states", "encoder_attention_mask"},
		takes: []onnx.Value{
			{Name: "input_ids", Shape: onnx.Shape{symB, symT}},
			{Name: "encoder_hidden_states", Type: onnx.Float32, Shape: onnx.Shape{symB, symE, symD}},
			{Name: "encoder_attention_mask", Shape: onnx.Shape{symB, symE}},
		},
		gives: onnx.Value{Name: "logits", Type: onnx.Float32, Shape: onnx.Shape{symB, symT, symV}},
	}
)

// strangers are inputs that tell a model of another kind.
var strangers = map[string]string{
	"token_type_ids":    "an encoder like BERT's",
	"position_ids":      "a model with absolute positions",
	"pixel_values":      "a model of images",
	"input_features":    "a model of speech",
	"input_values":      "a model of speech",
	"decoder_input_ids": "encoder and decoder in one",
}

// part is one file under surgery.
type part struct {
	role
	file  string
	model *onnx.Model
	notes []string
}

// open reads a file and tells by its inputs and outputs whether it is what it
// is to be.
func (t *T5) open(ctx context.Context, m *models.Model, file string, as role) (*part, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	read, err := onnx.LoadWithin(ctx, filepath.Join(m.Dir, filepath.FromSlash(file)), linksWithin(m.Dir))
	if err != nil {
		return nil, err
	}
	t.read = append(t.read, read)
	p := &part{role: as, file: file, model: &onnx.Model{
		IRVersion: max(read.IRVersion, onnx.WriteIR), Opset: maps.Clone(read.Opset), Producer: read.Producer, Graph: read.Graph,
	}}
	return p, p.recognise()
}

// linksWithin returns the folder that a model's links may lead to: its own, or
// the hub's cache (models--ORG--NAME/snapshots/COMMIT) that it is in, where
// links go to the files' content.
func linksWithin(dir string) string {
	if snapshots := filepath.Dir(dir); filepath.Base(snapshots) == "snapshots" && strings.HasPrefix(filepath.Base(filepath.Dir(snapshots)), "models--") {
		return filepath.Dir(filepath.Dir(snapshots))
	}
	return dir
}

// recognise holds the file's inputs and outputs against the role.
func (p *part) recognise() error {
	g := p.model.Graph
	constant := map[string]bool{} // up to IR version 3 constants are inputs, too
	for _, t := range g.Initializers {
		constant[t.Name] = true
	}
	g.Inputs = slices.DeleteFunc(slices.Clone(g.Inputs), func(v onnx.Value) bool { return constant[v.Name] })
	has := namesOf(g.Inputs)
	for _, v := range g.Inputs {
		if what, ok := strangers[v.Name]; ok {
			return p.refuse("it is %s, as its input %s tells", what, v.Name)
		}
	}
	for _, name := range p.inputs {
		if slices.Contains(has, name) {
			continue
		}
		what := ""
		if name == "encoder_hidden_states" {
			what = ": a decoder alone, or one that only goes on from a cache,"
		}
		return p.refuse("it has no input %s%s but %s", name, what, list(has))
	}
	if out := namesOf(g.Outputs); !slices.Contains(out, p.gives.Name) {
		return p.refuse("it has no output %s but %s", p.gives.Name, list(out))
	}
	for _, v := range g.Inputs {
		if !slices.Contains(p.inputs, v.Name) {
			continue
		}
		want := 2
		if v.Name == "encoder_hidden_states" {
			want = 3
		}
		if v.Shape != nil && len(v.Shape) != want {
			return p.refuse("its input %s has shape %v, want %d axes", v.Name, v.Shape, want)
		}
		if v.Shape != nil && (v.Shape[0].Known() || v.Shape[1].Known()) {
			return hint.Wrap(fmt.Errorf("%s: its input %s has the fixed size %v, want rows and lengths that are free", p.file, v.Name, v.Shape),
				"export it again with dynamic axes, as Optimum does")
		}
	}
	return nil
}

// refuse is the error of a file that is no such part of a T5.
func (p *part) refuse(format string, args ...any) error {
	return hint.Wrap(fmt.Errorf("%s is no %s of a T5: %s", p.file, p.name, fmt.Sprintf(format, args...)),
		"an exported T5 is encoder_model.onnx (input_ids, attention_mask → last_hidden_state) with decoder_model.onnx or decoder_model_merged.onnx (input_ids, encoder_hidden_states, encoder_attention_mask → logits)")
}

// fail is the error at a node.
func (p *part) fail(n *onnx.Node, format string, args ...any) error {
	return fmt.Errorf("%s: %v: %w", p.file, n, fmt.Errorf(format, args...))
}

// note adds a line to what was done.
func (p *part) note(format string, args ...any) {
	p.notes = append(p.notes, p.file+": "+fmt.Sprintf(format, args...))
}

// operate does the surgery. cut, if there is one, takes out what the role does
// not take as it was exported.
func (p *part) operate(c models.Config, cut func() error) error {
	g := p.model.Graph
	p.note("opset %d, inputs %s", p.model.Opset[""], list(namesOf(g.Inputs)))
	if err := p.settle(); err != nil {
		return err
	}
	if n := len(g.Outputs) - 1; n > 0 {
		p.note("left out the outputs besides %s: %d", p.gives.Name, n)
	}
	g.Outputs = []onnx.Value{p.gives}
	g.Values = nil // sizes may go by names that change their meaning here
	p.prune()
	if err := p.lift(); err != nil {
		return err
	}
	p.widen()
	if err := p.unfuse(); err != nil {
		return err
	}
	if cut != nil {
		if err := cut(); err != nil {
			return err
		}
	}
	if err := p.declare(c); err != nil {
		return err
	}
	if err := p.fold(); err != nil {
		return err
	}
	p.prune()
	return p.check()
}

// lift brings old operators to their forms of opset 18.
func (p *part) lift() error {
	from := p.model.Opset[""]
	if from < 13 {
		p.lastAxes()
	}
	m, err := grad.Lift(p.model)
	if err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	if p.model = m; m.Opset[""] != from {
		p.note("brought from opset %d to %d", from, m.Opset[""])
	}
	return nil
}

// lastAxes lets Softmax nodes say that they go over the last axis, where they
// do: up to opset 12 they go over all axes from one on, and without its rank
// that cannot be told from a Softmax over several.
func (p *part) lastAxes() {
	f := onnx.NewInference(p.model)
	for _, n := range p.model.Graph.Nodes {
		if x, _ := f.Value(n.Input(0)); n.Op == "Softmax" && n.Domain == "" && len(x.Shape) > 0 && n.Int("axis", 1) == int64(len(x.Shape)-1) {
			n.Attrs = append(slices.DeleteFunc(slices.Clone(n.Attrs), func(a onnx.Attr) bool { return a.Name == "axis" }), onnx.IntAttr("axis", -1))
		}
		if f.Node(n) != nil {
			return // what is wrong is said when the graph is folded
		}
	}
}

// declare gives the inputs and the output the shapes of the role.
func (p *part) declare(c models.Config) error {
	g := p.model.Graph
	sizes := map[onnx.Dim]onnx.Dim{symD: onnx.Size(int64(c.DModel)), symV: onnx.Size(int64(c.VocabSize))}
	shaped := func(v onnx.Value) onnx.Value {
		v.Shape = slices.Clone(v.Shape)
		for i, d := range v.Shape {
			if size, ok := sizes[d]; ok {
				v.Shape[i] = size
			}
		}
		return v
	}
	var inputs []onnx.Value
	for _, v := range p.takes {
		v = shaped(v)
		if v.Type == onnx.Undefined {
			i := slices.IndexFunc(g.Inputs, func(w onnx.Value) bool { return w.Name == v.Name })
			if i < 0 {
				return p.refuse("nothing in it reads %s", v.Name)
			}
			if v.Type = g.Inputs[i].Type; !slices.Contains(idTypes, v.Type) {
				return p.refuse("its input %s is %v, want int64", v.Name, v.Type)
			}
		}
		inputs = append(inputs, v)
	}
	p.gives = shaped(p.gives)
	g.Inputs, g.Outputs = inputs, []onnx.Value{p.gives}
	return nil
}

func namesOf(values []onnx.Value) []string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = v.Name
	}
	return names
}

// list writes names, of many the first.
func list(names []string) string {
	if len(names) > 6 {
		names = append(slices.Clone(names[:6]), fmt.Sprintf("%d more", len(names)-6))
	}
	return strings.Join(names, ", ")
}
