package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hello is the first line of a peer of a shell script.
const hello = `echo '{"ready": 1, "dtype": "float32"}'; `

// scripted starts a shell script as a peer.
func scripted(t *testing.T, script string) (*peer, error) {
	t.Helper()
	p, err := startPeer(t.Context(), "dying", exec.CommandContext(t.Context(), "sh", "-c", script))
	if p != nil {
		t.Cleanup(p.kill)
	}
	return p, err
}

// A peer that dies or answers rubbish, at whatever point, is told by its name
// with the last that it said.
func TestPeersThatDie(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"before it is ready":       {`echo "killed: out of memory" >&2; exit 137`, "dying: it ended before it answered; it said:\n  killed: out of memory"},
		"within its first line":    {`printf '{"ready": '`, `dying: it ended within its answer "{\"ready\": "`},
		"with nothing to say":      {`exit 0`, "dying: it ended before it answered"},
		"ready with nothing":       {`echo null; cat >/dev/null`, `dying: it answered "null\n": there is nothing in it`},
		"at the first step":        {hello + `read line; echo "segmentation fault" >&2`, "dying: it ended before it answered; it said:\n  segmentation fault"},
		"at the second step":       {hello + `read line; echo '{"seconds": 1, "loss": 2}'; read line; echo "in $line" >&2; exit 1`, "dying: it ended before it answered; it said:\n  in step"},
		"a step that took no time": {hello + `read line; echo '{"seconds": 0, "loss": 2}'; cat`, "dying: a step took 0 seconds and found loss 2"},
		"a step back in time":      {hello + `read line; echo '{"seconds": -1, "loss": 2}'; cat`, "dying: a step took -1 seconds"},
		"a loss that is none":      {hello + `read line; echo '{"seconds": 1, "loss": NaN}'; cat`, "invalid character 'N'"},
		"an answer more":           {hello + `for i in 1 2 3; do echo '{"seconds": 1, "loss": 2}'; done; cat`, `dying: it answered "{\"seconds\": 1, \"loss\": 2}\n": json: unknown field "seconds"`},
		"without its memory":       {hello + `for i in 1 2; do read line; echo '{"seconds": 1, "loss": 2}'; done; cat; exit 1`, "dying: it ended before it answered"},
		"after its memory":         {hello + `for i in 1 2; do read line; echo '{"seconds": 1, "loss": 2}'; done; cat; echo '{"peak_rss_bytes": 7}'; echo "free(): invalid pointer" >&2; exit 6`, "dying: exit status 6; it said:\n  free(): invalid pointer"},
	} {
		p, err := scripted(t, c.script)
		if err == nil {
			_, err = measure(t.Context(), []*peer{p}, 1, 1, func(int, string, stepped) {})
		}
		if err == nil || !strings.HasPrefix(err.Error(), "dying: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// Who dies between two steps is told with its message too, whether the next
// command can still be sent or not.
func TestPeerDiesUnasked(t *testing.T) {
	p, err := scripted(t, hello+`read line; echo '{"seconds": 1, "loss": 2}'; echo "killed by the system" >&2; exit 9`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(p.out); err != nil || len(rest) > 0 { // until it is gone
		t.Fatalf("%q, %v", rest, err)
	}
	p.in.Close()
	_, err = p.step(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "dying: asking for step: ") || !strings.HasSuffix(err.Error(), "; it said:\n  killed by the system") {
		t.Errorf("error %v", err)
	}
	p.kill() // again, which does nothing
}

// A benchmark that is stopped while a peer works ends with that, not with what
// the peer's death looks like.
func TestStoppedWhileAPeerWorks(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := startPeer(ctx, "slow", exec.CommandContext(ctx, "sh", "-c", hello+"read line; exec sleep 60"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	if _, err := measure(ctx, []*peer{p}, 1, 1, func(int, string, stepped) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
}

// Three peers take their turns in every round in the order in which they are
// given, and each is measured by itself.
func TestThreePeersTakeTurns(t *testing.T) {
	roles := []string{"bfloat16", "good", "near"}
	var order []string
	all, err := measure(t.Context(), startAll(t, roles...), 2, 2, func(round int, name string, s stepped) {
		order = append(order, fmt.Sprint(round, " ", name))
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range order {
		if want := fmt.Sprint(i/3-2, " ", roles[i%3]); got != want {
			t.Errorf("turn %d was %q, want %q", i, got, want)
		}
	}
	if len(order) != 12 {
		t.Errorf("%d turns", len(order))
	}
	for i, m := range all {
		if m.Name != roles[i] || len(m.Seconds) != 2 || len(m.Losses) != 4 || m.Seconds[0] != 0.75 || m.Loading <= 0 {
			t.Errorf("%+v", m)
		}
	}
	if got := all[0].apart(&all[1]); got < 0.0499 || got > 0.0501 {
		t.Errorf("losses of 1.05 times another's are %v apart", got)
	}
}

// A command that runs to its end gives one value, and its failure is told with
// the whole command line.
func TestRunToItsEnd(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(exe, []byte("#!/bin/sh\necho \"$1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var v struct{ A int }
	if err := run(exec.Command(exe, `{"A": 7}`), &v); err != nil || v.A != 7 {
		t.Errorf("%+v, %v", v, err)
	}
	for _, printed := range []string{`{"A": 7}{"A": 8}`, `{"B": 7}`, "null", ""} {
		err := run(exec.Command(exe, printed), &v)
		if want := "running " + exe + " " + printed + ": it answered "; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v", printed, err)
		}
	}
	if err := run(exec.Command("/nowhere/python", "-V"), &v); err == nil || !strings.HasPrefix(err.Error(), "running /nowhere/python -V: ") {
		t.Errorf("error %v", err)
	}
}
