package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// The tests drive real processes: this binary, in a role that the variable
// names.
const roleVariable = "SOFTPROMPT_BENCH_TEST_PEER"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := fakePeers[role](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var work32 = ready{Ready: 0.5, DType: "float32", Threads: 2, Optimizer: "adamw", Batch: []int64{16, 128}, Targets: 4, Prompt: []int64{100, 8}}

// fakePeers has processes that keep to the protocol, and some that do not.
var fakePeers = map[string]func() error{
	"good":       func() error { return fake(work32, 1, nil) },
	"near":       func() error { return fake(work32, 1.0005, nil) },
	"far":        func() error { return fake(work32, 1.002, nil) },
	"bfloat16":   func() error { h := work32; h.DType = "bfloat16"; return fake(h, 1.05, nil) },
	"other work": func() error { h := work32; h.Targets = 5; return fake(h, 1, nil) },
	"fails":      func() error { return fake(work32, 1, errors.New("no memory left")) },
	"not a number": func() error {
		json.NewEncoder(os.Stdout).Encode(work32)
		fmt.Scanln()
		fmt.Println(`{"seconds": 0, "loss": 1}`)
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	},
	"babbles": func() error {
		fmt.Println("Loading checkpoint shards: 100%")
		return nil
	},
	"another line": func() error {
		json.NewEncoder(os.Stdout).Encode(memory{Peak: 1})
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	},
	"silent": func() error { return errors.New("No module named 'torch'") },
	"hangs":  func() error { time.Sleep(time.Hour); return nil },
	"itself": itself,
}

// itself is this program, with products that take no time.
func itself() error {
	peakShapes = [][3]int64{{16, 16, 16}, {32, 32, 32}}
	return dispatch(context.Background(), os.Args[1:])
}

// fake trains nothing: the loss of step i is scale·(10−i).
func fake(hello ready, scale float64, fails error) error {
	i := 0
	step := func() (any, error) {
		i++
		if i == 3 && fails != nil {
			return nil, fails
		}
		return stepped{Seconds: 0.25 * float64(i), Loss: scale * (10 - float64(i))}, nil
	}
	return serve(os.Stdin, os.Stdout, hello, commands{"step": step}, func() (memory, error) {
		return memory{Peak: 64 << 20, Resident: 48 << 20, Anonymous: 32 << 20, File: 16 << 20}, nil
	})
}

func start(t *testing.T, role string) (*peer, error) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	p, err := startPeer(t.Context(), role, cmd)
	if p != nil {
		t.Cleanup(p.kill)
	}
	return p, err
}

func startAll(t *testing.T, roles ...string) []*peer {
	var peers []*peer
	for _, role := range roles {
		p, err := start(t, role)
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, p)
	}
	return peers
}

func TestMeasureTakesTurns(t *testing.T) {
	var order []string
	all, err := measure(t.Context(), startAll(t, "good", "bfloat16"), 1, 3, func(round int, name string, s stepped) {
		order = append(order, fmt.Sprintf("%d %s %.2f", round, name, s.Seconds))
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"-1 good 0.25", "-1 bfloat16 0.25", "0 good 0.50", "0 bfloat16 0.50", "1 good 0.75", "1 bfloat16 0.75", "2 good 1.00", "2 bfloat16 1.00"}
	if !slices.Equal(order, want) {
		t.Errorf("steps ran in the order %q, want %q", order, want)
	}
	good := all[0]
	if !slices.Equal(good.Seconds, []float64{0.5, 0.75, 1}) {
		t.Errorf("seconds %v: the step before the rounds counts", good.Seconds)
	}
	if !slices.Equal(good.Losses, []float64{9, 8, 7, 6}) {
		t.Errorf("losses %v, want those of all steps", good.Losses)
	}
	if good.Memory.Peak != 64<<20 || good.Memory.File != 16<<20 {
		t.Errorf("memory %+v", good.Memory)
	}
	if good.Hello.Ready != 0.5 || all[1].Hello.DType != "bfloat16" {
		t.Errorf("ready %+v and %+v", good.Hello, all[1].Hello)
	}
}

func TestPeersThatFail(t *testing.T) {
	for _, test := range []struct{ role, want string }{
		{"fails", "no memory left"},
		{"not a number", "a step took 0 seconds"},
		{"babbles", "Loading checkpoint shards"},
		{"another line", "unknown field"},
		{"silent", "No module named 'torch'"},
	} {
		t.Run(test.role, func(t *testing.T) {
			p, err := start(t, test.role)
			if err == nil {
				_, err = measure(t.Context(), []*peer{p}, 1, 3, func(int, string, stepped) {})
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.role) {
				t.Errorf("got error %v, want the peer's name and %q", err, test.want)
			}
		})
	}
}

func TestNoPeers(t *testing.T) {
	if _, err := measure(t.Context(), nil, 1, 1, nil); !errors.Is(err, errNoPeers) {
		t.Errorf("got %v", err)
	}
}

func TestPeersOfDifferentWork(t *testing.T) {
	_, err := measure(t.Context(), startAll(t, "good", "other work"), 1, 1, func(int, string, stepped) {})
	if err == nil || !strings.Contains(err.Error(), "different work") {
		t.Errorf("got %v", err)
	}
}

func TestStartEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=hangs")
	if _, err := startPeer(ctx, "hangs", cmd); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAgree(t *testing.T) {
	for _, test := range []struct {
		roles []string
		want  string
	}{
		{[]string{"good", "near"}, ""},
		{[]string{"good", "bfloat16", "far"}, "step 1: the loss is 9.000000 in good and 9.018000 in far"},
		{[]string{"good", "bfloat16"}, ""},
	} {
		all, err := measure(t.Context(), startAll(t, test.roles...), 1, 2, func(int, string, stepped) {})
		if err != nil {
			t.Fatal(err)
		}
		err = agree(all)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v: got %v, want %q", test.roles, err, test.want)
		}
		for i := range all {
			all[i].Hello.Dropout = 0.1
		}
		if err := agree(all); err != nil {
			t.Errorf("%v: losses with dropout were compared: %v", test.roles, err)
		}
	}
}

func TestServeRefusesOtherCommands(t *testing.T) {
	var out strings.Builder
	steps := 0
	step := func() (any, error) {
		steps++
		return stepped{1, 2}, nil
	}
	err := serve(strings.NewReader("step\nstop\n"), &out, work32, commands{"step": step, "rank": step}, func() (memory, error) { return memory{}, nil })
	if err == nil || !strings.Contains(err.Error(), `"stop": want rank or step`) || steps != 1 {
		t.Errorf("got %v after %d steps", err, steps)
	}
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 2 || lines[1] != `{"seconds":1,"loss":2}` {
		t.Errorf("it answered %q", lines)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var l tail
	for i := range 10000 {
		fmt.Fprintf(&l, "line %d\n", i)
	}
	if len(l.buf) > tailBytes {
		t.Errorf("it keeps %d bytes", len(l.buf))
	}
	if s := l.said(); !strings.HasSuffix(s, "line 9999") || strings.Count(s, "\n") != 5 {
		t.Errorf("it says %q", s)
	}
	if s := (&tail{}).said(); s != "" {
		t.Errorf("nothing said is %q", s)
	}
}
