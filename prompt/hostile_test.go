package prompt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostile says what each file of testdata/hostile must be refused with.
var hostile = map[string]string{
	"big-endian.npy":                   `type ">f4"`,
	"beyond-int64.npy":                 "unreadable .npy shape",
	"code.npy":                         "unreadable .npy header",
	"commas.npy":                       "unreadable .npy shape",
	"cube.npy":                         "array of shape [1 2 3]",
	"empty-header.npy":                 "unreadable .npy header",
	"empty.npy":                        "not a .npy file",
	"fortran.npy":                      "Fortran order",
	"header-longer-than-file.npy":      "header is cut off",
	"int.npy":                          `type "<i4"`,
	"magic-only.npy":                   "unknown .npy version",
	"more-than-the-file.npy":           "impossible shape",
	"nan.npy":                          "row 1, column 1 is NaN",
	"negative.npy":                     "unreadable .npy header",
	"no-dict.npy":                      "unreadable .npy header",
	"object.npy":                       `type "|O"`,
	"overflow.npy":                     "impossible shape",
	"scalar.npy":                       "no axes",
	"too-big-for-float32.npy":          "row 1, column 2 is +Inf",
	"trailing.npy":                     "does not fit the 28 bytes",
	"truncated.npy":                    "does not fit the 23 bytes",
	"vector.npy":                       "array of shape [6]",
	"version-9.npy":                    "unknown .npy version 09 00",
	"wide-header-longer-than-file.npy": "header is cut off",
	"zero.npy":                         "impossible shape [0 3]",

	"calibration-count.safetensors": "1 calibration values for 2 labels",
	"calibration-nan.safetensors":   `calibration of label "b" is NaN`,
	"calibration-word.safetensors":  `softprompt.calibration is "0 x"`,
	"cube.safetensors":              `no matrix "prompt"`,
	"format-0.safetensors":          `softprompt.format is "0"`,
	"format-2.safetensors":          "of format 2, this softprompt reads up to 1",
	"format-word.safetensors":       `softprompt.format is "one"`,
	"infinite.safetensors":          "row 0, column 2 is -Inf",
	"ints.safetensors":              "is I32, wanted F32",
	"labels-not-json.safetensors":   `softprompt.labels is "positive, negative"`,
	"labels-numbers.safetensors":    `softprompt.labels is "[1, 2]"`,
	"length-huge.safetensors":       "softprompt.length is",
	"length-word.safetensors":       `softprompt.length is "two"`,
	"length-wrong.safetensors":      "3 vectors of width 3",
	"negative-input.safetensors":    "max_input is -1",
	"negative-step.safetensors":     "step is -1",
	"no-format.safetensors":         "not a softprompt prompt",
	"no-method.safetensors":         "names no method",
	"no-tensor.safetensors":         "has no tensors",
	"nothing.safetensors":           "nothing.safetensors",
	"other-tensor.safetensors":      `no matrix "prompt"`,
	"score-word.safetensors":        `softprompt.score is "good"`,
	"short.safetensors":             `"prompt"`,
	"size-word.safetensors":         `softprompt.size.rank is "x"`,
	"unknown-key.safetensors":       `unknown metadata "softprompt.surprise"`,
	"width-wrong.safetensors":       "2 vectors of width 4",
}

func TestHostileFiles(t *testing.T) {
	dir := filepath.Join("testdata", "hostile")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".py" {
			continue
		}
		seen++
		t.Run(e.Name(), func(t *testing.T) {
			want, ok := hostile[e.Name()]
			if !ok {
				t.Fatal("the table does not say what this file must be refused with")
			}
			p, err := LoadFile(filepath.Join(dir, e.Name()))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("loaded %v with error %v, want one with %q", p, err, want)
			} else if !strings.Contains(err.Error(), e.Name()) {
				t.Errorf("error %v does not name the file", err)
			}
		})
	}
	if seen != len(hostile) {
		t.Errorf("%d hostile files, but the table has %d", seen, len(hostile))
	}
}

// addHostile seeds a fuzz target with the hostile files of an extension.
func addHostile(f *testing.F, ext string) {
	files, err := filepath.Glob(filepath.Join("testdata", "hostile", "*"+ext))
	if err != nil || len(files) == 0 {
		f.Fatal("no hostile files", err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}
