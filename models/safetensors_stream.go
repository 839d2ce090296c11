package models

import (
	"fmt"
	"io"

	"softprompt/onnx/atomicfile"
)

// StreamSafetensors writes a file of tensors whose bytes are made while they
// are written, so that none has to fit in memory: data is called for each in
// turn and writes exactly its Length bytes, row by row and little-endian. Of
// the descriptions Name, DType, Shape and Length count. The tensors lie in the
// given order, the first at a multiple of 64 bytes. The file is there whole or
// not at all.
func StreamSafetensors(path string, tensors []TensorInfo, metadata map[string]string, data func(i int, w io.Writer) error) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	header, err := marshalHeader(tensors, metadata, wideAlign)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if _, err := f.Write(header); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	for i, t := range tensors {
		w := &exactly{w: f, left: t.Length}
		if err = data(i, w); err == nil && w.left != 0 {
			err = fmt.Errorf("%d bytes are missing", w.left)
		}
		if err != nil {
			return fmt.Errorf("writing tensor %q to %s: %w", t.Name, path, err)
		}
	}
	return f.Commit()
}

// exactly lets through as many bytes as are left.
type exactly struct {
	w    io.Writer
	left int64
}

func (c *exactly) Write(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		return 0, fmt.Errorf("%d bytes too many", int64(len(p))-c.left)
	}
	n, err := c.w.Write(p)
	c.left -= int64(n)
	return n, err
}
