package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"slices"
	"strings"
)

// peer is a running process that follows the protocol.
type peer struct {
	name  string
	hello ready
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	log   *tail
}

// startPeer starts a process and waits until its model is loaded. It dies with
// ctx.
func startPeer(ctx context.Context, name string, cmd *exec.Cmd) (*peer, error) {
	p := &peer{name: name, cmd: cmd, log: &tail{}}
	cmd.Stderr = p.log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	if err := p.read(ctx, &p.hello); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// ask sends a command and reads the answer into v.
func (p *peer) ask(ctx context.Context, command string, v any) error {
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		return p.failed(ctx, fmt.Errorf("asking for %s: %w", command, err))
	}
	return p.read(ctx, v)
}

// step has the peer run one training step.
func (p *peer) step(ctx context.Context) (stepped, error) {
	var s stepped
	if err := p.ask(ctx, "step", &s); err != nil {
		return s, err
	}
	if !(s.Seconds > 0) || math.IsNaN(s.Loss) || math.IsInf(s.Loss, 0) {
		return s, fmt.Errorf("%s: a step took %v seconds and found loss %v", p.name, s.Seconds, s.Loss)
	}
	return s, nil
}

// finish ends the peer and returns the memory it reports.
func (p *peer) finish(ctx context.Context) (memory, error) {
	var m memory
	if err := p.in.Close(); err != nil {
		return m, err
	}
	if err := p.read(ctx, &m); err != nil {
		return m, err
	}
	if err := p.cmd.Wait(); err != nil {
		return m, fmt.Errorf("%s: %w%s", p.name, err, p.log.said())
	}
	return m, nil
}

// read takes the next answer.
func (p *peer) read(ctx context.Context, v any) error {
	if err := decodeLine(p.out, v); err != nil {
		return p.failed(ctx, err)
	}
	return nil
}

// failed ends the peer and adds to an error what it said last.
func (p *peer) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.kill()
	return fmt.Errorf("%s: %w%s", p.name, err, p.log.said())
}

// kill ends the process if it still runs, and collects what it said.
func (p *peer) kill() {
	p.in.Close()
	if p.cmd.ProcessState == nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

// comparable reports peers that were not given the same work.
func comparable(peers []*peer) error {
	if len(peers) == 0 {
		return errNoPeers
	}
	for _, p := range peers[1:] {
		a, b := peers[0].hello, p.hello
		same := a.Threads == b.Threads && a.Optimizer == b.Optimizer && a.Dropout == b.Dropout &&
			a.Targets == b.Targets && slices.Equal(a.Batch, b.Batch) && slices.Equal(a.Prompt, b.Prompt)
		if !same {
			return fmt.Errorf("%s and %s were given different work: %+v and %+v", peers[0].name, p.name, a, b)
		}
	}
	return nil
}

// tail keeps the end of what a process writes to standard error.
type tail struct{ buf []byte }

const tailBytes = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.buf = append(t.buf, b...)
	t.buf = t.buf[max(0, len(t.buf)-tailBytes):]
	return len(b), nil
}

// said returns the last lines, for an error message.
func (t *tail) said() string {
	text := strings.TrimSpace(string(t.buf))
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	return "; it said:\n  " + strings.Join(lines[max(0, len(lines)-5):], "\n  ")
}

// run runs a command to its end and decodes what it printed.
func run(cmd *exec.Cmd, v any) error {
	log := &tail{}
	cmd.Stderr = log
	out, err := cmd.Output()
	if err == nil {
		err = decodeLine(bufio.NewReader(bytes.NewReader(out)), v)
	}
	if err != nil {
		return fmt.Errorf("running %s: %w%s", strings.Join(cmd.Args, " "), err, log.said())
	}
	return nil
}

var errNoPeers = errors.New("no peers to measure")
