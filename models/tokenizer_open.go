package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"softprompt/onnx/hint"
)

// sources are the files that a tokenizer is made from, the preferred first.
var sources = []struct {
	name  string
	whole bool // it leaves nothing open
	parse func(data []byte, settings *tokenizerSettings, c Config) (*tokenizerFile, error)
}{
	{"tokenizer.json", true, func(data []byte, _ *tokenizerSettings, _ Config) (*tokenizerFile, error) { return parseTokenizer(data) }},
	{"spiece.model", false, convertSpiece},
}

// openTokenizer makes the tokenizer of a model's folder and checks that it
// belongs to a model of this configuration.
func openTokenizer(dir string, c Config) (*Tokenizer, error) {
	class, err := tokenizerClass(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil {
		return nil, err
	}
	if class == byt5Class {
		return openByT5(dir, c)
	}
	for _, source := range sources {
		path := filepath.Join(dir, source.name)
		data, err := readWhole(path, indexLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var settings *tokenizerSettings
		if !source.whole {
			if settings, err = readTokenizerSettings(dir); err != nil {
				return nil, err
			}
		}
		f, err := source.parse(data, settings, c)
		if err != nil {
			return nil, unreadable(path, err)
		}
		t, err := newTokenizer(f, c)
		if err != nil {
			return nil, unreadable(path, err)
		}
		t.path, t.files = path, func() (map[string][]byte, error) {
			if source.whole {
				return map[string][]byte{source.name: data}, nil
			}
			made, err := json.Marshal(f)
			return map[string][]byte{"tokenizer.json": made}, err
		}
		return t, nil
	}
	if class, err = tokenizerClass(filepath.Join(dir, "config.json")); err != nil {
		return nil, err
	}
	if class == byt5Class || c.ModelType == "t5" && c.VocabSize == byt5Rows {
		return openByT5(dir, c)
	}
	return nil, hint.Wrap(fmt.Errorf("neither tokenizer.json nor spiece.model in %s: %w", dir, fs.ErrNotExist),
		"copy or download the model's tokenizer.json or spiece.model into its folder")
}

// unreadable is the error of a tokenizer's file that is no good.
func unreadable(path string, err error) error {
	err = fmt.Errorf("reading %s: %w", path, err)
	if hint.Of(err) == "" {
		err = hint.Wrap(err, "take %s from where the model is from: copy or download it again", filepath.Base(path))
	}
	return err
}

// tokenizerClass returns the tokenizer_class of a JSON file, "" if it has none
// or is not there.
func tokenizerClass(path string) (string, error) {
	data, err := readWhole(path, indexLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var named struct {
		Class string `json:"tokenizer_class"`
	}
	if err == nil {
		err = json.Unmarshal(data, &named)
	}
	if err != nil {
		return "", unreadable(path, err)
	}
	return named.Class, nil
}

// convertSpiece makes a tokenizer.json of spiece.model.
func convertSpiece(data []byte, settings *tokenizerSettings, c Config) (*tokenizerFile, error) {
	s, err := parseSpiece(data, c.VocabSize)
	if err != nil {
		return nil, err
	}
	f, err := s.tokenizerFile(settings, c.VocabSize)
	if err != nil {
		return nil, err
	}
	return f, f.check()
}

// newTokenizer loads a checked tokenizer.json and tries it.
func newTokenizer(f *tokenizerFile, c Config) (*Tokenizer, error) {
	if err := f.checkAdded(); err != nil {
		return nil, err
	}
	data, err := f.library()
	if err != nil {
		return nil, err
	}
	n, err := newNative(data)
	if err != nil {
		return nil, err
	}
	hash, err := f.hash()
	if err != nil {
		return nil, err
	}
	return tried(&Tokenizer{hash: hash, encoder: n}, c)
}

// openByT5 makes the tokenizer of a ByT5 from the settings in its folder.
func openByT5(dir string, c Config) (*Tokenizer, error) {
	settings, err := readTokenizerSettings(dir)
	if err != nil {
		return nil, err
	}
	b, err := newByT5(settings, c.VocabSize)
	if err != nil {
		return nil, fmt.Errorf("making the byte tokenizer of %s: %w", dir, err)
	}
	hash, err := b.hash()
	if err != nil {
		return nil, err
	}
	t, err := tried(&Tokenizer{path: dir, hash: hash, encoder: b}, c)
	if err != nil {
		return nil, fmt.Errorf("making the byte tokenizer of %s: %w", dir, err)
	}
	t.files = func() (map[string][]byte, error) {
		config, err := b.config()
		return map[string][]byte{"tokenizer_config.json": config}, err
	}
	return t, nil
}

// tried returns the tokenizer for a model of this configuration if it passes
// the trial, and closes it otherwise.
func tried(t *Tokenizer, c Config) (*Tokenizer, error) {
	t.rows, t.eos = c.VocabSize, int64(c.EOSID)
	if err := t.check(c); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}
