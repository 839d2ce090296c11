package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"softprompt/onnx/hint"
	"softprompt/prompt/tune"
)

// configFile is a file of settings, each with its line.
type configFile struct {
	path   string
	values map[string]*yaml.Node
}

// readConfig reads a YAML mapping of settings. A key that is no setting is an
// error: it was meant to do something.
func readConfig(path string) (configFile, error) {
	c := configFile{path: path, values: map[string]*yaml.Node{}}
	if path == "" {
		return c, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("reading the settings: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return c, hint.Wrap(fmt.Errorf("reading the settings in %s: %w", path, err), "the file is YAML, one \"key: value\" a line")
	}
	if len(doc.Content) == 0 { // nothing but comments
		return c, nil
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return c, hint.Wrap(fmt.Errorf("reading the settings in %s: want one \"key: value\" a line", path),
			"softprompt train --task sst2 --print-config writes such a file")
	}
	var known []string
	for _, s := range settingKeys() {
		known = append(known, s.key)
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if !slices.Contains(known, key.Value) {
			return c, hint.Wrap(fmt.Errorf("reading the settings in %s: line %d: unknown key %q", path, key.Line, key.Value),
				"%s", nearest(key.Value, known))
		}
		if c.values[key.Value] != nil {
			return c, hint.Wrap(fmt.Errorf("reading the settings in %s: line %d: key %q is there twice", path, key.Line, key.Value),
				"remove one of the two")
		}
		c.values[key.Value] = value
	}
	return c, nil
}

// apply writes the file's values into s.
func (c configFile) apply(s *tune.Settings, from map[string]origin) error {
	for _, k := range settingKeys() {
		node := c.values[k.key]
		if node == nil {
			continue
		}
		if err := s.Set(k.key, node); err != nil {
			return hint.Wrap(fmt.Errorf("reading the settings in %s: line %d: %w", c.path, node.Line, err),
				"--print-config shows every setting with its default")
		}
		from[k.key] = c.path
	}
	return nil
}

// nearest advises on a word that is not among the known ones: the one that it
// is a slip away from, or all of them.
func nearest(word string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return "known are " + strings.Join(known, ", ")
}

// distance counts the letters to insert, remove or change between two words
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
