package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/prompt/tune"
)

// Peers that evaluate two rows, well and not.
func init() {
	fakePeers["on a runtime"] = func() error { h := work32; h.Runtime = "9.9"; return fake(h, 1, nil) }
	fakePeers["evaluates"] = func() error { return fakeEvaluation(evaluated{Seconds: 0.5, Scores: [][]float64{{-1, -2}, {-2, -1}}}) }
	fakePeers["leaves a row out"] = func() error { return fakeEvaluation(evaluated{Seconds: 0.5, Scores: [][]float64{{-1, -2}}}) }
	fakePeers["takes no time"] = func() error { return fakeEvaluation(evaluated{Scores: [][]float64{{-1, -2}, {-2, -1}}}) }
}

func fakeEvaluation(e evaluated) error {
	answer := func() (any, error) { return e, nil }
	return serve(os.Stdin, os.Stdout, work32, commands{"rank": answer, "rank-shared": answer, "greedy": answer}, func() (memory, error) { return memory{Peak: 1}, nil })
}

// pythonOf is a run of PEFT and transformers alone, whose interpreter is this
// binary in a role.
func pythonOf(t *testing.T, role string) (b *bench, log *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "python")
	script := fmt.Sprintf("#!/bin/sh\n%s='%s' exec '%s'\n", roleVariable, role, exe)
	if role == "" {
		script = "#!/bin/sh\necho \"No module named 'torch'\" >&2\nexit 1\n"
	}
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	peft, err := chosen("peft")
	if err != nil {
		t.Fatal(err)
	}
	log = &bytes.Buffer{}
	o := options{peers: peft, threads: 1, optimizer: "adamw", warmup: 1, textBatches: 8, evalRounds: 2, interpreter: func() (string, error) { return program, nil }}
	return &bench{o, &report{Versions: map[string]string{}}, log}, log
}

// On real text each run trains on every batch, but for the one whose steps all
// take the same time: it steps in every fourth round.
func TestTextTurns(t *testing.T) {
	b, log := pythonOf(t, "good")
	two := [][]tune.Row{rowOf(1, 2), rowOf(1)}
	r := &textReport{Text: "SST-2", Runs: []*textRun{
		{Name: "peft", Padding: "longest", every: 1, batches: two},
		{Name: "peft", Padding: "max", every: sparse, batches: two},
	}}
	if err := b.trainText(t.Context(), t.TempDir(), r); err != nil {
		t.Fatal(err)
	}
	each, few := r.Runs[0], r.Runs[1]
	// The fake's step i takes i quarters of a second and finds 10−i.
	if !slices.Equal(each.Losses, []float64{9, 8, 7, 6, 5, 4, 3, 2, 1}) || len(each.Seconds) != 8 || each.Seconds[0] != 0.5 {
		t.Errorf("of every batch: losses %v, seconds %v", each.Losses, each.Seconds)
	}
	if !slices.Equal(few.Losses, []float64{9, 8, 7}) || !slices.Equal(few.Seconds, []float64{0.5, 0.75}) {
		t.Errorf("of every fourth: losses %v, seconds %v", few.Losses, few.Seconds)
	}
	if want := (3*9. + 1*8) / 4; each.Loss != want || few.Loss != want {
		t.Errorf("mean losses %v and %v, want %v", each.Loss, few.Loss, want)
	}
	var turns []string
	for line := range strings.Lines(log.String()) {
		_, rest, _ := strings.Cut(line, ": batch ")
		number, rest, _ := strings.Cut(rest, " of 8: peft, ")
		padding, _, _ := strings.Cut(rest, " ")
		turns = append(turns, number+padding)
	}
	if got, want := strings.Join(turns, " "), "0longest 0max 1longest 1max 2longest 3longest 4longest 5longest 5max 6longest 7longest 8longest"; got != want {
		t.Errorf("turns %s, want %s", got, want)
	}
}

// A peer that cannot be started, or dies among the batches, ends the text with
// what it said, and one that was given other work too.
func TestTextTurnsFail(t *testing.T) {
	for role, want := range map[string]string{
		"":      "peft: it ended before it answered; it said:\n  No module named 'torch'",
		"fails": "peft: it ended before it answered; it said:\n  no memory left",
		"far":   "", // two runs of one peer find the same
	} {
		b, _ := pythonOf(t, role)
		batches := [][]tune.Row{rowOf(1)}
		r := &textReport{Text: "SST-2", Runs: []*textRun{{Name: "peft", Padding: "longest", every: 1, batches: batches}, {Name: "peft", Padding: "max", every: 1, batches: batches}}}
		err := b.trainText(t.Context(), t.TempDir(), r)
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: error %v, want %q", role, err, want)
		}
	}
	b, _ := pythonOf(t, "good")
	b.interpreter = func() (string, error) { return "", errors.New("no Python here") }
	if err := b.trainText(t.Context(), "", &textReport{Runs: []*textRun{{Name: "peft", every: 1}}}); err == nil || err.Error() != "no Python here" {
		t.Errorf("error %v", err)
	}
	if err := b.trainText(t.Context(), "", &textReport{}); !errors.Is(err, errNoPeers) {
		t.Errorf("nobody: %v", err)
	}
}

// Each way to evaluate is asked for in every round, the first of which does
// not count; answers for other rows than were given are refused.
func TestEvaluationTurns(t *testing.T) {
	b, log := pythonOf(t, "evaluates")
	r := &evalReport{Rows: 2}
	if err := b.evaluate(t.Context(), r, nil, 100); err != nil {
		t.Fatal(err)
	}
	var turns []string
	for line := range strings.Lines(log.String()) {
		turns = append(turns, strings.Join(strings.Fields(line)[1:6], " "))
	}
	want := []string{}
	for round := range 3 {
		for _, command := range []string{"rank", "rank-shared", "greedy"} {
			want = append(want, fmt.Sprintf("%d of 2: transformers, %s", round, command))
		}
	}
	if !slices.Equal(turns, want) {
		t.Errorf("turns %q, want %q", turns, want)
	}
	for _, run := range r.Runs {
		if !slices.Equal(run.Seconds, []float64{0.5, 0.5}) {
			t.Errorf("%s: seconds %v", run.Command, run.Seconds)
		}
	}
	for role, want := range map[string]string{
		"leaves a row out": "transformers, rank: 1 rows in 0.5 seconds, want 2 rows",
		"takes no time":    "transformers, rank: 2 rows in 0 seconds, want 2 rows",
		"good":             `transformers: it ended before it answered; it said:` + "\n  " + `unknown command "rank": want step`,
		"":                 "transformers: it ended before it answered; it said:\n  No module named 'torch'",
	} {
		b, _ := pythonOf(t, role)
		if err := b.evaluate(t.Context(), &evalReport{Rows: 2}, nil, 100); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %q", role, err, want)
		}
	}
	b.peers = nil
	if err := b.evaluate(t.Context(), &evalReport{Rows: 2}, nil, 100); !errors.Is(err, errNoPeers) {
		t.Errorf("nobody: %v", err)
	}
}

// A start is the time by the clock to the end of the first step; the second
// step is as long as the peer says.
func TestStart(t *testing.T) {
	b, _ := pythonOf(t, "good")
	first, step, err := b.start(t.Context(), b.peers[0], t.TempDir())
	if err != nil || !(first > 0) || first > 60 || step != 0.5 {
		t.Errorf("first step after %v s, the second of %v s, %v", first, step, err)
	}
	b, _ = pythonOf(t, "fails") // at its third step, which a start does not take
	if _, _, err := b.start(t.Context(), b.peers[0], t.TempDir()); err != nil {
		t.Error(err)
	}
	b, _ = pythonOf(t, "not a number")
	if _, _, err := b.start(t.Context(), b.peers[0], t.TempDir()); err == nil || !strings.Contains(err.Error(), "peft: a step took 0 seconds") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := b.start(ctx, b.peers[0], t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// A runtime that a peer names is kept with the versions; one that names none
// changes nothing.
func TestLaunchKeepsTheRuntime(t *testing.T) {
	for role, want := range map[string]string{"good": "as before", "on a runtime": "9.9"} {
		b, _ := pythonOf(t, role)
		b.Versions["onnxruntime"] = "as before"
		cmd, err := b.peers[0].command(t.Context(), "DIR", b.options)
		p, err := b.launch(t.Context(), "peft", cmd, err)
		if err != nil {
			t.Fatal(err)
		}
		p.kill()
		if b.Versions["onnxruntime"] != want {
			t.Errorf("%s: versions %v, want %s", role, b.Versions, want)
		}
	}
}

// Reading a file through gives nothing but its error.
func TestReadThrough(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights")
	if err := os.WriteFile(path, make([]byte, 1<<16), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := readThrough(path); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{path + ".gone", t.TempDir()} {
		if err := readThrough(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Losses agree up to a thousandth of the later peer's, in float32 and without
// dropout; where they do not, the step and both peers are named.
func TestAgreeAtTheBound(t *testing.T) {
	peer := func(name, dtype string, dropout float64, losses ...float64) measured {
		return measured{Name: name, Hello: ready{DType: dtype, Dropout: dropout}, Losses: losses}
	}
	own := peer("softprompt", "float32", 0, 10, 8, 6)
	for name, c := range map[string]struct {
		all  []measured
		want string
	}{
		"the same":          {[]measured{own, own}, ""},
		"within":            {[]measured{own, peer("peft", "float32", 0, 10.009, 8, 5.995)}, ""},
		"beyond, above":     {[]measured{own, peer("peft", "float32", 0, 10, 8.0081, 6)}, "step 2: the loss is 8.000000 in softprompt and 8.008100 in peft, more than 0.001 apart"},
		"beyond, below":     {[]measured{own, peer("peft", "float32", 0, 10, 8, 5.99)}, "step 3: the loss is 6.000000 in softprompt and 5.990000 in peft"},
		"another type":      {[]measured{own, peer("peft-bf16", "bfloat16", 0, 1, 1, 1)}, ""},
		"dropout":           {[]measured{own, peer("peft", "float32", 0.1, 1, 1, 1)}, ""},
		"the first differs": {[]measured{peer("softprompt-int8", "int8", 0, 1, 1, 1), own, peer("peft", "float32", 0, 10, 8, 7)}, "step 3: the loss is 6.000000 in softprompt and 7.000000 in peft"},
		"nobody":            {nil, ""},
	} {
		err := agree(c.all)
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	other := peer("peft", "float32", 0, 10, -10, 6.06)
	if got := own.apart(&other); math.Abs(got-1.8) > 1e-12 {
		t.Errorf("8 and −10 are %v apart", got)
	}
}
