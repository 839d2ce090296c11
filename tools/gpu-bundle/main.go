// Command gpu-bundle packs what softprompt needs on a machine with an NVIDIA
// card that no registry can be reached from, in pieces that fit a limit on
// transfers:
//
//	go run ./tools/gpu-bundle -out DIR
//	go run ./tools/gpu-bundle -out DIR -piece 32MiB -wheel onnxruntime_gpu-….whl
//
// The bundle holds softprompt itself, stripped, and the three libraries of one
// onnxruntime-gpu wheel: the runtime, what providers share, and the CUDA
// provider. CUDA's own libraries are taken from the machine's PyTorch.
//
// DIR gets bundle.00, bundle.01, … and join.sh. Carry them over in any order,
// then run join.sh in their folder: it checks the sum of the whole, unpacks it
// and writes env.sh, which sets the variables that softprompt reads.
//
// Where the pieces travel beside a working tree, -beside takes the size of its
// files off the limit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"softprompt/onnx/hint"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "gpu-bundle: error:", err)
	if advice := hint.Of(err); advice != "" {
		fmt.Fprintln(os.Stderr, "gpu-bundle: hint:", advice)
	}
	stop()
	os.Exit(1)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("gpu-bundle", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "", "`folder` for the pieces; it must be empty or new")
	limit := flags.String("piece", "64MiB", "the most that one transfer may carry, in `bytes`, KiB, MiB or GiB")
	beside := flags.String("beside", "", "`folder` of a git working tree that travels with each piece")
	wheel := flags.String("wheel", "", "`file` of the onnxruntime-gpu wheel; without it, pip fetches one")
	version := flags.String("ort", "1.31.1", "`version` of the wheel to fetch")
	binary := flags.String("binary", "", "`file` of a softprompt for the machine; without it, one is built")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" || flags.NArg() > 0 {
		return hint.Wrap(errors.New("no folder to write to"), "give -out DIR")
	}
	size, err := room(ctx, *limit, *beside)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "gpu-bundle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if *binary == "" {
		fmt.Fprintln(stderr, "gpu-bundle: building softprompt")
		if *binary, err = build(ctx, work); err != nil {
			return err
		}
	}
	if *wheel == "" {
		fmt.Fprintln(stderr, "gpu-bundle: fetching onnxruntime-gpu", *version)
		if *wheel, err = fetch(ctx, work, *version); err != nil {
			return err
		}
	}
	b, err := pack(ctx, *out, *binary, *wheel, size)
	if err != nil {
		return err
	}
	b.explain(stdout, *out)
	return nil
}

// room returns the bytes of a piece: the limit, less the files of the tree
// that travel with it.
func room(ctx context.Context, limit, tree string) (int64, error) {
	size, err := parseSize(limit)
	if err != nil || tree == "" {
		return size, err
	}
	list, err := command(ctx, tree, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return 0, fmt.Errorf("listing the files of %s: %w", tree, err)
	}
	left := size - 1<<20 // names, permissions, and what packs them
	for name := range strings.SplitSeq(strings.TrimRight(list, "\x00"), "\x00") {
		if info, err := os.Lstat(filepath.Join(tree, name)); err == nil { // one that was removed does not travel
			left -= info.Size()
		}
	}
	if left < 1<<20 {
		return 0, fmt.Errorf("the files of %s leave no room for a piece below %s", tree, limit)
	}
	return left, nil
}

// units are those that parseSize reads.
var units = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}}

// parseSize reads a number of bytes, such as 64MiB.
func parseSize(s string) (int64, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n <= 0 || n > (1<<50)/u.bytes {
			break
		}
		return n * u.bytes, nil
	}
	return 0, hint.Wrap(fmt.Errorf("%q is not a size", s), "write a number of bytes, or such as 64MiB")
}

// build makes a stripped softprompt, with the version that make build gives it.
func build(ctx context.Context, work string) (string, error) {
	version, err := command(ctx, "", "git", "describe", "--tags", "--always", "--dirty")
	if err != nil {
		version = "unknown"
	}
	to := filepath.Join(work, "softprompt")
	_, err = command(ctx, "", "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+strings.TrimSpace(version), "-o", to, "softprompt/cmd/softprompt")
	if err != nil {
		return "", hint.Wrap(fmt.Errorf("building softprompt: %w", err), "run make build once, which sets up what it needs")
	}
	return to, nil
}

// command runs a program in a folder, "" for this one, and returns what it
// prints.
func command(ctx context.Context, dir string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir = dir
	out, err := c.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		lines := strings.Split(strings.TrimSpace(string(exit.Stderr)), "\n")
		return "", fmt.Errorf("%s: %w: %s", args[0], err, lines[len(lines)-1])
	}
	return string(out), err
}
