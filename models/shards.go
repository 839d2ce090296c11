package models

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"softprompt/onnx/hint"
)

// indexLimit bounds the JSON files that are read whole: an index of the
// largest T5 is 60 kB, a tokenizer.json of 256,000 pieces 17 MB.
const indexLimit = 256 << 20

// addShards reads an index, {"weight_map": {tensor: file}}, and takes in the
// files that it names.
func (c *Checkpoint) addShards(index string, read reader) error {
	data, err := readWhole(index, indexLimit)
	if err != nil {
		return err
	}
	var parsed struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &parsed); err != nil {
		return fmt.Errorf("the index is no JSON: %w", err)
	}
	if len(parsed.WeightMap) == 0 {
		return fmt.Errorf("the index has no weight_map")
	}
	shards := map[string]string{} // file name to real path
	for _, file := range slices.Sorted(maps.Values(parsed.WeightMap)) {
		if shards[file] != "" {
			continue
		}
		if !filepath.IsLocal(file) {
			return fmt.Errorf("the index names the file %q, which lies outside its folder", file)
		}
		path := filepath.Join(filepath.Dir(index), file)
		if err := c.addFile(path, read); err != nil {
			return hint.Wrap(fmt.Errorf("shard %s: %w", file, err), "%s", shardHint(err))
		}
		if shards[file], err = realPath(path); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(parsed.WeightMap)) {
		file := parsed.WeightMap[name]
		if t, ok := c.tensors[name]; !ok || t.File != shards[file] {
			return fmt.Errorf("the index puts tensor %q in %s, where it is not", name, file)
		}
	}
	return nil
}

func shardHint(err error) string {
	if advice := hint.Of(err); advice != "" {
		return advice
	}
	return "every file that the index names must lie beside it: copy or download what is missing"
}

// readWhole reads a regular file of at most limit bytes.
func readWhole(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, nil
}
