package models

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"softprompt/onnx/hint"
)

// The zip that torch.save writes since PyTorch 1.6 (caffe2/serialize/
// inline_container.cc) has one folder, named after the file or "archive":
//
//	NAME/data.pkl    the state dict, which names storages by key
//	NAME/data/KEY    the bytes of a storage, stored at a multiple of 64
//	NAME/byteorder   little or big, since PyTorch 2.1
//	NAME/version     3, and more that nobody needs
//
// As nothing is compressed, a storage is a piece of the mapped file.

// readPyTorchZip finds the tensors of a file in the zip format.
func readPyTorchZip(file []byte) ([]tensor, error) {
	entries, err := zipEntries(file)
	if err != nil {
		return nil, err
	}
	root := ""
	for name := range entries {
		if path.Base(name) == "data.pkl" && strings.Count(name, "/") == 1 {
			root = path.Dir(name)
		}
	}
	if root == "" {
		return nil, errors.New("a zip without the data.pkl of torch.save")
	}
	for name := range entries {
		if !strings.HasPrefix(name, root+"/") {
			return nil, fmt.Errorf("the zip has %.80q outside its folder %.40q", name, root)
		}
	}
	if order, ok := entries[root+"/byteorder"]; ok {
		if text := file[order.from:order.to]; string(text) != "little" {
			return nil, fmt.Errorf("its byte order is %.16q, wanted little", text)
		}
	}
	pickle := entries[root+"/data.pkl"]
	value, storages, _, err := unpickle(file[pickle.from:pickle.to])
	if err != nil {
		return nil, err
	}
	for key, s := range storages {
		e, ok := entries[root+"/data/"+key]
		if !ok {
			return nil, fmt.Errorf("the zip has no storage data/%.40s", key)
		}
		if s.bytes() > e.to-e.from {
			return nil, fmt.Errorf("storage data/%.40s has %d bytes, wanted %d", key, e.to-e.from, s.bytes())
		}
	}
	names, views, err := namedViews(value)
	if err != nil {
		return nil, err
	}
	tensors := make([]tensor, len(names))
	for i, v := range views {
		tensors[i] = v.tensor(names[i], file, entries[root+"/data/"+v.storage.key].from)
	}
	return tensors, nil
}

// directoryLimit bounds what is read of the zip's directory and headers, which
// takes several times the memory: 1,000 tensors have 0.2 MB.
const directoryLimit = 16 << 20

// directoryReader reads no more than is left.
type directoryReader struct {
	io.ReaderAt
	left int
}

func (r *directoryReader) ReadAt(p []byte, at int64) (int, error) {
	if r.left -= len(p); r.left < 0 {
		return 0, fmt.Errorf("more than %d bytes, wanted the few entries of torch.save", directoryLimit)
	}
	return r.ReaderAt.ReadAt(p, at)
}

// extent is where an entry's bytes lie in the file.
type extent struct {
	name     string
	from, to int64
}

// zipEntries returns the entries by name, each inside the file, apart from the
// others and stored as it is: what is compressed could grow to any size.
func zipEntries(file []byte) (map[string]extent, error) {
	r, err := zip.NewReader(&directoryReader{bytes.NewReader(file), directoryLimit}, int64(len(file)))
	if err != nil {
		return nil, fmt.Errorf("reading the zip's directory: %w", err)
	}
	if slices.ContainsFunc(r.File, func(f *zip.File) bool { return path.Base(f.Name) == "constants.pkl" }) {
		return nil, hint.Wrap(errors.New("a TorchScript program, wanted a state dict"), stateDictHint)
	}
	size := int64(len(file))
	entries := map[string]extent{}
	var all []extent
	for _, f := range r.File {
		if !filepath.IsLocal(f.Name) || path.Clean(f.Name) != f.Name || strings.Contains(f.Name, `\`) {
			return nil, fmt.Errorf("the zip has an entry %.80q, wanted plain names", f.Name)
		}
		if _, ok := entries[f.Name]; ok {
			return nil, fmt.Errorf("the zip has %.80q twice", f.Name)
		}
		if f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64 || f.Flags&1 != 0 {
			return nil, fmt.Errorf("the zip's entry %.80q is compressed or encrypted, wanted stored as torch.save does it", f.Name)
		}
		from, err := f.DataOffset()
		if err != nil {
			return nil, fmt.Errorf("the zip's entry %.80q: %w", f.Name, err)
		}
		if from > size || f.CompressedSize64 > uint64(size-from) {
			return nil, fmt.Errorf("the zip's entry %.80q has %d bytes at byte %d of a file of %d", f.Name, f.CompressedSize64, from, size)
		}
		e := extent{f.Name, from, from + int64(f.CompressedSize64)}
		entries[f.Name], all = e, append(all, e)
	}
	slices.SortFunc(all, func(a, b extent) int { return cmp.Compare(a.from, b.from) })
	const header = 30 // and the name: the least that is before an entry's bytes
	for i := 1; i < len(all); i++ {
		if e := all[i]; e.from-header-int64(len(e.name)) < all[i-1].to {
			return nil, fmt.Errorf("the zip's entries %.80q and %.80q overlap", all[i-1].name, e.name)
		}
	}
	return entries, nil
}
