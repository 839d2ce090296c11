package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"softprompt/export/exported"
	"softprompt/models"
	"softprompt/onnx/hint"
)

// Model is a model from which graphs can be made: it has its weights, or
// graphs of its own.
type Model struct {
	*models.Model
	// Graphs are those of an exported ONNX model that is used as it stands,
	// since its weights cannot be recovered or are not to be. Else it is nil,
	// and the model has a Checkpoint.
	Graphs *exported.T5

	notes []string
}

// Open opens a model of any kind: a checkpoint as [models.Open] does, and an
// exported ONNX model by recovering its weights or, where that cannot be done,
// with its graphs as they stand. [Model.Explain] says which. The caller closes
// the model.
func Open(ctx context.Context, ref string, opts models.Options) (*Model, error) {
	return open(ctx, ref, opts, true)
}

// OpenGraphs opens an exported ONNX model with its graphs as they stand, also
// where its weights could be recovered.
func OpenGraphs(ctx context.Context, ref string, opts models.Options) (*Model, error) {
	return open(ctx, ref, opts, false)
}

func open(ctx context.Context, ref string, opts models.Options, recover bool) (*Model, error) {
	base, err := models.Open(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	m := &Model{Model: base}
	switch exported := m.Files.Format == models.ONNX; {
	case exported:
		err = m.openExported(ctx, opts, recover)
	case recover:
		m.explainCheckpoint()
	default:
		err = hint.Wrap(fmt.Errorf("%s is %s, which has no graphs of its own", m.Dir, m.Files.Format), "leave --route to softprompt")
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("opening model %s: %w", ref, err)
	}
	return m, nil
}

// openExported takes the one way or the other.
func (m *Model) openExported(ctx context.Context, opts models.Options, recover bool) error {
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m.explain("exported ONNX: %s", list(m.Files.Weights))
	reason := errors.New("its graphs were asked for")
	if recover {
		var found *exported.Recovery
		if found, reason = exported.RecoverFiles(ctx, m.Model); reason == nil {
			defer found.Close()
			return m.adopt(ctx, found, opts.CacheDir, log)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	graphs, err := exported.Load(ctx, m.Model)
	if err != nil {
		m.explain("weights not recovered: %v", reason)
		return err
	}
	m.Graphs = graphs
	m.explain("route: the graphs as they stand: %v", reason)
	m.notes = append(m.notes, graphs.Notes...)
	if recover {
		log.Warn("the weights cannot be recovered, so the exported graphs are used as they stand", "model", m.Name, "reason", reason)
	}
	return nil
}

// adopt makes a checkpoint of the weights that were found.
func (m *Model) adopt(ctx context.Context, found *exported.Recovery, cache string, log *slog.Logger) error {
	if cache == "" {
		var err error
		if cache, err = models.CacheDir(); err != nil {
			return err
		}
	}
	var files []string
	for _, name := range m.Files.Weights {
		files = append(files, filepath.Join(m.Dir, filepath.FromSlash(name)))
	}
	ck, err := found.Checkpoint(ctx, filepath.Join(cache, "recovered"), filepath.Base(m.Name), files, log)
	if err != nil {
		return err
	}
	stated := m.Config.ScaleDecoderOutputs
	m.Config = found.Config
	if err := m.Adopt(ck); err != nil {
		return err
	}
	m.explain("route: weights recovered, so that softprompt's own graphs are used with them")
	m.notes = append(m.notes, found.Notes...)
	if stated != m.Config.ScaleDecoderOutputs {
		m.explain("config.json has the head's input scaled: %t; the graph, which counts: %t", stated, m.Config.ScaleDecoderOutputs)
	}
	m.explainHead()
	m.explain("kept as float32 in %s", ck.Path)
	return nil
}

// Spec returns the description of the model's graphs, without a method.
func (m *Model) Spec(ctx context.Context) (Spec, error) {
	if m.Graphs != nil {
		return Spec{Config: m.Config, Graphs: m.Graphs}, nil
	}
	weights, err := m.Float32File(ctx)
	return Spec{Config: m.Config, Weights: weights}, err
}

// Embedding is [models.Model.Embedding] for a model of any kind.
func (m *Model) Embedding() (row func(id int) []float32, rows int, err error) {
	if m.Graphs != nil {
		return m.Graphs.Embedding.Rows()
	}
	return m.Model.Embedding()
}

// Fingerprint is [models.Model.Fingerprint] for a model of any kind. That of
// graphs as they stand matches the same graphs alone.
func (m *Model) Fingerprint() (models.Fingerprint, error) {
	if m.Graphs != nil {
		return m.Graphs.Fingerprint(m.Config)
	}
	return m.Model.Fingerprint()
}

// Close releases the model's files.
func (m *Model) Close() error {
	if m.Graphs == nil {
		return m.Model.Close()
	}
	return errors.Join(m.Graphs.Close(), m.Model.Close())
}
