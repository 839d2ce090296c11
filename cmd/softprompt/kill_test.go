//go:build unix

package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestKill holds a run that is killed at ten moments, and resumed after each,
// against one that is left alone: the same prompt and the same log, byte for
// byte. A third of the moments lie anywhere after the start of the process,
// the libraries' loading included; a third between the first step of that
// process and the next time it saves; and a third while it saves.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("what a kill leaves does not depend on the runtime")
	}
	home := newHome(t)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	writeData(t, data, 96, 24)
	config := filepath.Join(dir, "settings.yaml")
	settings := smallSettings(data) + "dropout: 0.1\n"
	if err := os.WriteFile(config, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	program := func(args ...string) *exec.Cmd {
		cmd := exec.Command("softprompt", append(args, "--quiet")...)
		cmd.Env = append(os.Environ(), home.env...)
		cmd.Stderr = os.Stderr
		return cmd
	}
	more := []string{"--config", config, "--steps", "40", "--batch", "4", "--eval-every", "4", "--held-out", "8"}

	alone := filepath.Join(dir, "alone")
	began := time.Now()
	if err := program(append([]string{"train", "--out", alone}, more...)...).Run(); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(began)

	random := rand.New(rand.NewPCG(1, 2))
	killed := filepath.Join(dir, "killed")
	for kills, processes := 0, 0; kills < 10; processes++ {
		if processes == 40 {
			t.Fatalf("40 processes, and only %d of them could be killed", kills)
		}
		args := append([]string{"train", "--out", killed}, more...)
		if exists(filepath.Join(killed, "config.yaml")) {
			args = []string{"train", "--resume", killed}
		}
		p := program(args...)
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- p.Wait() }()
		moment := moments[kills%len(moments)]
		select {
		case err := <-ended: // before its moment
			if err != nil {
				t.Fatalf("after %d kills: %v", kills, err)
			}
			continue
		case <-moment.after(killed, whole, random):
			p.Process.Signal(syscall.SIGKILL)
			<-ended
		}
		kills++
		t.Logf("kill %d, %s: the state is of %s", kills, moment.name, modified(filepath.Join(killed, "state", "last.safetensors"), began))
	}
	if out, err := program("train", "--resume", killed).Output(); err != nil {
		t.Fatalf("the last of them: %v\n%s", err, out)
	}
	for _, name := range []string{"prompt.safetensors", "metrics.jsonl"} {
		want, err := os.ReadFile(filepath.Join(alone, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(killed, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from that of a run that was never killed:\n%s\n\n%s", name, got, want)
		}
	}
	if left := saving(killed); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// moment is a time to kill a run at.
type moment struct {
	name  string
	after func(dir string, whole time.Duration, random *rand.Rand) <-chan time.Time
}

var moments = []moment{
	{"at any time", func(_ string, whole time.Duration, random *rand.Rand) <-chan time.Time {
		return time.After(time.Duration(random.Float64() * float64(whole)))
	}},
	{"between two saves", func(dir string, whole time.Duration, random *rand.Rand) <-chan time.Time {
		wait := time.Duration(random.Float64() * float64(whole) / 10)
		// A process saves its state before its first step.
		state := filepath.Join(dir, "state", "last.safetensors")
		before := changed(state)
		return when(func() bool { return changed(state).After(before) }, wait)
	}},
	{"while it saves", func(dir string, _ time.Duration, random *rand.Rand) <-chan time.Time {
		seen := map[string]bool{}
		for _, file := range saving(dir) {
			seen[file] = true
		}
		files := len(seen) + 1 + random.IntN(6)
		return when(func() bool {
			for _, file := range saving(dir) {
				seen[file] = true
			}
			return len(seen) >= files
		}, 0)
	}},
}

// when tells when something has become true, and then some time has passed.
func when(true func() bool, then time.Duration) <-chan time.Time {
	c := make(chan time.Time, 1)
	go func() {
		for end := time.Now().Add(time.Minute); !true() && time.Now().Before(end); {
			time.Sleep(50 * time.Microsecond)
		}
		time.Sleep(then)
		c <- time.Now()
	}()
	return c
}

// saving lists the files of a run that are being written.
func saving(dir string) []string {
	a, _ := filepath.Glob(filepath.Join(dir, ".*.tmp-*"))
	b, _ := filepath.Glob(filepath.Join(dir, "state", ".*.tmp-*"))
	return append(a, b...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// changed is when a file was last written, the zero time if it is not there.
func changed(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// modified is changed for a log.
func modified(path string, since time.Time) string {
	if at := changed(path); !at.IsZero() {
		return at.Sub(since).Round(time.Millisecond).String()
	}
	return "never"
}
