package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bench is a run under way.
type bench struct {
	options
	*report
	log io.Writer // progress
}

// sections are the parts of a run, in their order. Each adds to the report.
var sections = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"steps", (*bench).measureSteps},
	{"start", (*bench).measureStarts},
	{"text", (*bench).measureTexts},
	{"eval", (*bench).measureEvals},
	{"many", (*bench).measureMany},
}

func sectionNames() []string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

// benchMain measures what is asked for and prints the tables.
func benchMain(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(ctx, args, stderr)
	if err != nil {
		return err
	}
	b := &bench{o, &report{
		Date: time.Now().UTC().Truncate(time.Second), Command: o.command, Machine: thisMachine(),
		Versions: map[string]string{"go": strings.TrimPrefix(runtime.Version(), "go")},
		Settings: settings{o.shape, o.threads, o.optimizer, o.dropout, o.warmup, o.rounds},
	}, stderr}
	for _, s := range sections {
		if !slices.Contains(o.sections, s.name) {
			continue
		}
		if err := s.run(b, ctx); err != nil {
			return err
		}
	}
	b.Goals = b.verdicts()
	b.print(stdout, o.markdown)
	if o.out == "none" {
		return nil
	}
	if o.out == "" {
		o.out = b.path()
	}
	if err := b.write(o.out); err != nil {
		return err
	}
	fmt.Fprintln(stderr, "\nwrote", o.out)
	return nil
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

// measurePeaks takes the peaks of ONNX Runtime and, if PEFT takes part, that
// of PyTorch.
func (b *bench) measurePeaks(ctx context.Context) error {
	b.say("measuring the peak of matrix products")
	cmd, err := self(ctx, "peak", "-threads", strconv.Itoa(b.threads))
	if err != nil {
		return err
	}
	var own []peak
	if err := run(cmd, &own); err != nil {
		return err
	}
	for _, p := range own {
		b.addPeak(p)
	}
	if !withPython(b.peers) {
		return nil
	}
	py, err := b.interpreter()
	if err != nil {
		return err
	}
	shapes, err := json.Marshal(peakShapes)
	if err != nil {
		return err
	}
	cmd = exec.CommandContext(ctx, py, "-W", "ignore", filepath.Join("tools", "bench", "peak.py"), strconv.Itoa(b.threads), string(shapes), strconv.Itoa(peakRepeats))
	var other struct {
		Peak     peak              `json:"peak"`
		Versions map[string]string `json:"versions"`
	}
	if err := run(limited(cmd, b.threads), &other); err != nil {
		return err
	}
	b.addPeak(other.Peak)
	maps.Copy(b.Versions, other.Versions)
	return nil
}

func withPython(peers []side) bool {
	for _, p := range peers {
		if p.dtype != "" {
			return true
		}
	}
	return false
}

// launch starts a peer of this run.
func (b *bench) launch(ctx context.Context, name string, cmd *exec.Cmd, err error) (*peer, error) {
	if err != nil {
		return nil, err
	}
	p, err := startPeer(ctx, name, cmd)
	if err != nil {
		return nil, err
	}
	if p.hello.Runtime != "" {
		b.Versions["onnxruntime"] = p.hello.Runtime
	}
	return p, nil
}
