package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/atomicfile"
)

// weightsFile is the file of the weights in an exported folder, where the
// model has one.
const weightsFile = "weights.safetensors"

// WriteFolder writes graphs of one model to a folder that needs nothing
// outside it: <graph>.onnx for each, one copy of the weights that they share,
// and the model's config.json and tokenizer. Each file is there whole or not at
// all, the weights before the graphs that refer to them.
func WriteFolder(ctx context.Context, dir string, m *models.Model, graphs ...*onnx.Model) error {
	if err := writeFolder(ctx, dir, m, graphs); err != nil {
		return fmt.Errorf("exporting to %s: %w", dir, err)
	}
	return nil
}

func writeFolder(ctx context.Context, dir string, m *models.Model, graphs []*onnx.Model) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	names, err := weightFiles(graphs)
	if err != nil {
		return err
	}
	for from, to := range names {
		if err := copyFile(ctx, filepath.Join(graphs[0].Dir, from), filepath.Join(dir, to)); err != nil {
			return err
		}
	}
	if err := copyFile(ctx, filepath.Join(m.Dir, "config.json"), filepath.Join(dir, "config.json")); err != nil {
		return err
	}
	tok, err := m.Tokenizer()
	if err != nil {
		return err
	}
	files, err := tok.Files()
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := atomicfile.Write(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	for _, g := range graphs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := moved(g, dir, names).Save(filepath.Join(dir, g.Graph.Name+".onnx")); err != nil {
			return err
		}
	}
	return nil
}

// weightFiles returns the files that the graphs' weights lie in, with the
// names that their copies get: weights.safetensors if it is one checkpoint,
// else their own.
func weightFiles(graphs []*onnx.Model) (map[string]string, error) {
	names := map[string]string{}
	for _, g := range graphs {
		if g.Dir != graphs[0].Dir {
			return nil, errors.New("the graphs' weights lie in different folders")
		}
		for _, t := range g.Graph.Initializers {
			if t.External != nil {
				names[t.External.Location] = t.External.Location
			}
		}
	}
	if len(names) == 1 {
		for from := range names {
			if filepath.Ext(from) == filepath.Ext(weightsFile) {
				names[from] = weightsFile
			}
		}
	}
	return names, nil
}

// moved returns the graph with its weights in the copies in dir.
func moved(m *onnx.Model, dir string, names map[string]string) *onnx.Model {
	out, g := *m, *m.Graph
	out.Graph, out.Dir = &g, dir
	g.Initializers = slices.Clone(g.Initializers)
	for i, t := range g.Initializers {
		if t.External == nil {
			continue
		}
		c, at := *t, *t.External
		at.Location = names[at.Location]
		c.External = &at
		g.Initializers[i] = &c
	}
	return &out
}

// copyFile copies a file, byte for byte.
func copyFile(ctx context.Context, from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := atomicfile.Create(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	if _, err := io.Copy(dst, cancellable{ctx, src}); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return dst.Commit()
}

// cancellable is a reader that ends with its context.
type cancellable struct {
	ctx context.Context
	io.Reader
}

func (c cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}
