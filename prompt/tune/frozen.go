package tune

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/prompt"
)

// Frozen is a model that will not change, with a session for each of its
// graphs, made when first asked for. All sessions share the weights, which
// stay in their files.
type Frozen struct {
	Model *export.Model
	// Tokenizer is nil if the model was frozen with NoTokenizer.
	Tokenizer *models.Tokenizer
	// Method is nil for the model as it is.
	Method *prompt.Method

	rt     *ort.Runtime
	config ort.Config
	spec   export.Spec // of the train graph
	scores export.Precision
	passes Passes

	mu       sync.Mutex
	sessions map[sessionKey]*ort.Session
}

// sessionKey is what tells the sessions of a model apart.
type sessionKey struct {
	graph   graph
	threads int
	prepack bool
}

// graph names one of the graphs of package export.
type graph string

const (
	trainGraph  graph = "train"
	scoreGraph  graph = "score"
	encodeGraph graph = "encode"
	decodeGraph graph = "decode"
)

// exporters has the function that writes each graph.
var exporters = map[graph]func(export.Spec) (*onnx.Model, error){
	trainGraph:  export.Train,
	scoreGraph:  export.Score,
	encodeGraph: export.Encode,
	decodeGraph: export.Decode,
}

// FreezeOptions says how a frozen model is run.
type FreezeOptions struct {
	Method  string       // "" for the model as it is
	Sizes   prompt.Sizes // of the method
	Device  ort.Device
	Threads int // 0 for one a core
	Dropout bool
	ZLoss   float64
	Rank    bool // train on the choice of a label, not on its tokens
	// Precision is that of the products of the train graph, ScorePrecision of
	// the others'; "" is float32.
	Precision      export.Precision
	ScorePrecision export.Precision
	// Recompute trades time for memory: the backward pass computes activations
	// anew.
	Recompute bool
	// LongTargets says that targets of more than d_kv tokens are usual, as
	// [export.Spec] has it.
	LongTargets bool
	// Passes says how a batch goes through the model.
	Passes Passes
	// TF32 lets a card round the factors of float32 products, see [ort.Config].
	TF32 bool
	// NoTokenizer leaves the tokenizer out, for who has token ids already and
	// calls nothing that reads or writes text.
	NoTokenizer bool
	// Profile is the start of the name of a file for each session that says
	// where its time went, as in [ort.Config].
	Profile string
}

// Freeze prepares a model to be run under a method. The caller closes it, and
// the model after it.
func Freeze(ctx context.Context, rt *ort.Runtime, m *export.Model, opts FreezeOptions) (*Frozen, error) {
	var tok *models.Tokenizer
	var err error
	if !opts.NoTokenizer {
		if tok, err = m.Tokenizer(); err != nil {
			return nil, err
		}
	}
	if err := checkRecovered(ctx, rt, m); err != nil {
		return nil, err
	}
	spec, err := m.Spec(ctx)
	if err == nil && (opts.Precision == export.INT8 || opts.ScorePrecision == export.INT8) {
		spec.Int8, err = m.Int8File(ctx)
	}
	if err != nil {
		return nil, err
	}
	if spec.Standard, err = NeedsStandard(ctx, rt, opts.Device); err != nil {
		return nil, err
	}
	spec.Dropout, spec.ZLoss, spec.Rank, spec.Precision = opts.Dropout, opts.ZLoss, opts.Rank, opts.Precision
	spec.Recompute, spec.LongTargets = opts.Recompute, opts.LongTargets
	f := &Frozen{
		Model: m, Tokenizer: tok, rt: rt,
		// Without the arena a run's buffers fragment the heap: twice the memory.
		config:   ort.Config{Device: opts.Device, Threads: opts.Threads, Profile: opts.Profile, Arena: true},
		spec:     spec,
		scores:   opts.ScorePrecision,
		passes:   opts.Passes,
		sessions: map[sessionKey]*ort.Session{},
	}
	f.config.TF32 = opts.TF32
	if opts.Method != "" {
		if f.Method, err = prompt.NewMethod(opts.Method, m.Config, opts.Sizes); err != nil {
			return nil, err
		}
		f.spec.Method = f.Method
	}
	return f, nil
}

// Plain returns the same model without a method: what it does untuned.
func (f *Frozen) Plain() *Frozen {
	p := &Frozen{
		Model: f.Model, Tokenizer: f.Tokenizer, rt: f.rt, config: f.config, spec: f.spec,
		scores: f.scores, passes: f.passes, sessions: map[sessionKey]*ort.Session{},
	}
	p.spec.Method = nil
	return p
}

// weight returns a weight of the model, row by row.
func (f *Frozen) weight(name string) ([]float32, error) {
	if f.spec.Weights == nil {
		return nil, hint.Wrap(fmt.Errorf("the graphs of model %s are used as they stand, and their weights have no names", f.Model.Ref),
			"use the checkpoint that it was exported from")
	}
	return f.spec.Weights.Float32(name)
}

// threads is the number of threads that all workers have together.
func (f *Frozen) threads() int {
	if f.config.Threads > 0 {
		return f.config.Threads
	}
	return ort.Threads()
}

// specOf returns what a graph is made from.
func (f *Frozen) specOf(g graph) export.Spec {
	s := f.spec
	if g != trainGraph {
		s.Precision = f.scores
	}
	return s
}

// session returns the session of a graph for a number of workers.
func (f *Frozen) session(ctx context.Context, g graph, workers int) (*ort.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	spec := f.specOf(g)
	key := sessionKey{
		graph: g, threads: max(1, f.threads()/max(1, workers)),
		prepack: g == trainGraph && f.passes.Prepack && spec.Precision != export.INT8, // of integers the runtime packs what it must
	}
	if s := f.sessions[key]; s != nil {
		return s, nil
	}
	m, err := exporters[g](spec)
	if err != nil {
		return nil, err
	}
	nameShapes(m)
	config := f.config
	config.Threads, config.Prepack = key.threads, key.prepack || spec.Precision == export.INT8
	config.Pack = func(weight string) bool { return key.prepack && inEncoder(weight) }
	s, err := f.rt.Load(ctx, m, config)
	if err != nil {
		return nil, fmt.Errorf("loading graph %s of model %s: %w", g, f.Model.Ref, err)
	}
	if spec.Precision == export.INT8 {
		spec.Int8.Evict() // the session has packed copies
	}
	f.sessions[key] = s
	return s, nil
}

// inEncoder tells the weights that meet every token of the input. Those of the
// decoder and the head meet a label word or two, and would be packed for nothing.
func inEncoder(weight string) bool { return strings.HasPrefix(weight, "encoder.") }

// nameShapes writes the shape of every interior value into the graph. The
// runtime's own inference loses the names of sizes that are computed, such as
// P+S; without them it cannot tell which buffers are of one size, and looks
// through all that are free at each node (onnxruntime, allocation_planner.cc):
// with names a session of a base model is made in 0.3 s, without in 2.7 s.
// Graphs from elsewhere may hold what our inference does not know, and stay as
// they are.
func nameShapes(m *onnx.Model) {
	outputs := slices.Clone(m.Graph.Outputs)
	if err := onnx.InferShapes(m); err != nil {
		m.Graph.Outputs = outputs
	}
}

// keep closes the train sessions that the passes do not use.
func (f *Frozen) keep() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var first error
	for key, s := range f.sessions {
		if key.graph == trainGraph && key.threads != max(1, f.threads()/max(1, f.passes.Workers)) {
			if err := s.Close(); first == nil {
				first = err
			}
			delete(f.sessions, key)
		}
	}
	return first
}

// Close ends the sessions.
func (f *Frozen) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var first error
	for _, s := range f.sessions {
		if err := s.Close(); first == nil {
			first = err
		}
	}
	f.sessions = map[sessionKey]*ort.Session{}
	return first
}
