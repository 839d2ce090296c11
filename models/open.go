package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"softprompt/models/hub"
	"softprompt/onnx/hint"
)

// Options say where Open may write and log. The zero value is ready to use.
type Options struct {
	// CacheDir holds what softprompt derives from models: the unpacked tiny
	// model, widened weights. Default: the environment's SOFTPROMPT_CACHE,
	// else softprompt in the user's cache folder.
	CacheDir string
	// Hub downloads models that are named as the Hugging Face hub names them.
	// Default: hub.FromEnv, asked when it is needed.
	Hub *hub.Client
	// Log receives what takes time or is unusual. Default: nowhere.
	Log *slog.Logger
}

// Model is an opened model: checked configuration and mapped weights. Its
// methods may be called by many goroutines, but none during or after Close.
type Model struct {
	Ref      string // as given to Open
	Name     string // tiny, the folder's name, or org/name on the hub
	Revision string // of tiny: its content's; of the hub: its commit; empty for a folder
	Dir      string // the folder that holds the files
	Files    Files  // which files those are
	Config   Config
	// Checkpoint has the weights as they lie on disk, in their own precision.
	// It is nil if the model is exported ONNX, until its weights are recovered:
	// export.Open does that, and so serves every kind of model.
	Checkpoint *Checkpoint

	cache string
	hub   *hub.Client
	log   *slog.Logger

	mu        sync.Mutex
	tokenizer *Tokenizer
	wide      *Checkpoint // float32
	int8      *Checkpoint
}

// Open resolves a model reference and checks what it finds: `tiny`, a folder,
// or a name on the Hugging Face hub, org/name or org/name@revision, whose
// files are downloaded unless they are cached. A folder comes before a name on
// the hub; one that is itself called tiny is opened as ./tiny. The caller
// closes the model.
func Open(ctx context.Context, ref string, opts Options) (*Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := &Model{Ref: ref, cache: opts.CacheDir, hub: opts.Hub, log: opts.Log}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.cache == "" {
		dir, err := CacheDir()
		if err != nil {
			return nil, err
		}
		m.cache = dir
	}
	if err := m.resolve(ctx); err != nil {
		return nil, err
	}
	if err := m.load(); err != nil {
		m.Close()
		return nil, fmt.Errorf("opening model %s: %w", ref, err)
	}
	c := m.Config
	m.log.Debug("opened model", "model", m.Name, "dir", m.Dir, "d_model", c.DModel, "layers", c.NumLayers, "head", c.HeadName(), "scaled", c.ScaleDecoderOutputs)
	return m, nil
}

// CacheDir returns the folder that holds derived files unless [Options] names
// another: the environment's SOFTPROMPT_CACHE, else softprompt in the user's
// cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("SOFTPROMPT_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", hint.Wrap(fmt.Errorf("finding a cache folder: %w", err), "set SOFTPROMPT_CACHE to a folder that can be written")
	}
	return filepath.Join(dir, "softprompt"), nil
}

// resolve finds the model's folder.
func (m *Model) resolve(ctx context.Context) error {
	if m.Ref == tinyName {
		dir, err := unpackTiny(ctx, m.cache, m.log)
		m.Name, m.Revision, m.Dir = tinyName, tinyRevision, dir
		return err
	}
	const choices = "a model is `tiny` (embedded), a folder with config.json, weights and a tokenizer, or org/name on the Hugging Face hub"
	info, err := os.Stat(m.Ref)
	switch {
	case err == nil && info.IsDir():
		m.Dir, err = filepath.Abs(m.Ref)
		m.Name = filepath.Base(m.Dir)
		return err
	case err == nil:
		return hint.Wrap(fmt.Errorf("opening model %s: a file, wanted a folder", m.Ref), choices)
	case !errors.Is(err, fs.ErrNotExist):
		return hint.Wrap(fmt.Errorf("opening model %s: %w", m.Ref, err), choices)
	case !isHubName(m.Ref):
		return hint.Wrap(fmt.Errorf("opening model %q: there is no such folder", m.Ref), choices)
	}
	p, err := pull(ctx, m.Ref, m.hub, m.log)
	m.Name, m.Revision, m.Dir, m.Files = p.Name, p.Revision, p.Dir, p.Files
	return err
}

// load reads the configuration and maps the weights.
func (m *Model) load() error {
	if m.Files.Weights == nil { // of the hub's files some are chosen already
		names, err := list(m.Dir)
		if err != nil {
			return err
		}
		if m.Files, err = ChooseFiles(names); err != nil {
			return fmt.Errorf("in %s: %w", m.Dir, err)
		}
	}
	path := filepath.Join(m.Dir, "config.json")
	data, err := readWhole(path, indexLimit)
	if err != nil {
		return hint.Wrap(fmt.Errorf("reading the configuration: %w", err), "a model's folder holds config.json, its weights and its tokenizer")
	}
	if m.Config, err = ParseConfig(data); err != nil {
		err = fmt.Errorf("reading %s: %w", path, err)
		if hint.Of(err) == "" {
			err = hint.Wrap(err, "get config.json again from where the model is from")
		}
		return err
	}
	if m.Files.Format == ONNX {
		return nil // until Adopt
	}
	ck, err := opens[m.Files.Format](m.path(m.Files.Weights[0]))
	if err != nil {
		return err
	}
	return m.Adopt(ck)
}

// path returns where a file of the model lies.
func (m *Model) path(name string) string { return filepath.Join(m.Dir, filepath.FromSlash(name)) }

// Adopt gives the model its weights, checks them and settles what the
// configuration leaves open. Open does it for a model that has a checkpoint;
// who recovers the weights of an exported ONNX model calls it himself. The
// model closes the checkpoint, also when it does not fit.
func (m *Model) Adopt(ck *Checkpoint) error {
	m.Checkpoint = ck
	settle(&m.Config, ck)
	return CheckWeights(m.Config, ck)
}

// list returns the names of a folder's files and of those in its folder onnx,
// slash-separated.
func list(dir string) ([]string, error) {
	var names []string
	for _, sub := range onnxFolders {
		entries, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(sub)))
		if err != nil && (sub == "" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() {
				names = append(names, sub+e.Name())
			}
		}
	}
	return names, nil
}

// opens has the reader of each format of checkpoint.
var opens = map[Format]func(path string) (*Checkpoint, error){
	Safetensors: OpenSafetensors,
	PyTorch:     OpenPyTorch,
}

// Tokenizer returns the model's tokenizer, loaded on the first call. The
// model closes it.
func (m *Model) Tokenizer() (*Tokenizer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tokenizer == nil {
		t, err := openTokenizer(m.Dir, m.Config)
		if err != nil {
			return nil, fmt.Errorf("opening the tokenizer of %s: %w", m.Ref, err)
		}
		m.tokenizer = t
	}
	return m.tokenizer, nil
}

// Close releases weights and tokenizer. A second Close does nothing.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.Join(m.Checkpoint.Close(), m.wide.Close(), m.int8.Close(), m.tokenizer.Close())
}
