package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each mistake on the command line is told by the flag and what it should be,
// before anything is measured.
func TestOptionMistakes(t *testing.T) {
	const sections, peers = "want some of steps, start, text, eval, many", "want some of softprompt, softprompt-int8, peft, peft-bf16"
	for args, want := range map[string]string{
		"-only steps,speed":       `no section "speed": ` + sections,
		"-only=":                  `no section "": ` + sections,
		"-only steps,":            `no section "": ` + sections,
		"-only Steps":             `no section "Steps": ` + sections,
		"-peers softprompt,jax":   `no peer "jax": ` + peers,
		"-peers=":                 `no peer "": ` + peers,
		"-rounds 0":               "-rounds 0 has to be 1 at least",
		"-warmup -1":              "-warmup -1 has to be 1 at least",
		"-starts 0":               "-starts 0 has to be 1 at least",
		"-text-batches 0":         "-text-batches 0 has to be 1 at least",
		"-eval-rows 0":            "-eval-rows 0 has to be 1 at least",
		"-eval-rounds -3":         "-eval-rounds -3 has to be 1 at least",
		"-threads 0":              "-threads 0 has to be 1 at least",
		"-prompt 0":               "-prompt 0 has to be 1 at least",
		"-input -128":             "-input -128 has to be 1 at least",
		"-targets 0":              "-targets 0 has to be 1 at least",
		"-batch 0":                "-batch 0 has to be 1 at least",
		"-dropout -0.1":           "-dropout -0.1 has to be 0 at least and below 1",
		"-dropout 1":              "-dropout 1 has to be 0 at least and below 1",
		"-dropout NaN":            "-dropout NaN has to be 0 at least and below 1",
		"-text-batches 9":         "-text-batches 9 has to be a multiple of 8, the batches whose rows a training run sorts together",
		"-eval-rows 33":           "-eval-rows 33 has to be a multiple of the 32 rows of a batch",
		"-optimizer AdamW":        `no optimizer "AdamW": want adamw or adafactor`,
		"-rounds 2 more":          `unknown argument "more"`,
		"-rounds 2 -- -rounds 3":  `unknown argument "-rounds"`,
		"-rounds many":            `invalid value "many" for flag -rounds`,
		"-speed":                  "flag provided but not defined: -speed",
		"-batch 1e3":              `invalid value "1e3" for flag -batch`,
		"-rounds 99999999999e999": "invalid value",
	} {
		_, err := parseOptions(t.Context(), strings.Fields(args), io.Discard)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", args, err, want)
		}
	}
	var help strings.Builder
	if _, err := parseOptions(t.Context(), []string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-eval-rows rows") {
		t.Errorf("help: %v\n%s", err, help.String())
	}
}

// The bounds themselves are taken, and rows fewer than a batch are one batch.
func TestOptionBounds(t *testing.T) {
	o, err := parseOptions(t.Context(), strings.Fields("-rounds 1 -warmup 1 -starts 1 -text-batches 8 -eval-rows 31 -eval-rounds 1 -threads 1 -prompt 1 -input 1 -targets 1 -batch 1 -dropout 0.999 -only many -peers peft-bf16"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.shape != (shape{1, 1, 1, 1}) || !slices.Equal(o.sections, []string{"many"}) || !o.has("peft-bf16") || o.has("peft") {
		t.Errorf("options %+v", o)
	}
}

// The interpreter that is given is taken as it is; without one the reference's
// environment is made, once, when it is first asked for.
func TestInterpreter(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	o, err := parseOptions(t.Context(), []string{"-python", "some python"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if py, err := o.interpreter(); py != "some python" || err != nil {
		t.Errorf("%q, %v", py, err)
	}
	if o, err = parseOptions(t.Context(), nil, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(scripts, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"bench_peft.py": "", "Makefile": "python:\n\t@echo made >>log\n\t@echo the python\n"} {
		if err := os.WriteFile(filepath.Join(scripts, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(scripts, "log")
	if _, err := os.Stat(log); err == nil {
		t.Error("it was made before it was asked for")
	}
	for range 3 {
		if py, err := o.interpreter(); py != "the python" || err != nil {
			t.Errorf("%q, %v", py, err)
		}
	}
	if made, err := os.ReadFile(log); err != nil || string(made) != "made\n" {
		t.Errorf("made %q, %v", made, err)
	}
}
