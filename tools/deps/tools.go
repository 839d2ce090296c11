package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// A tool is a program that something here needs.
type tool struct {
	name    string       // what people call it
	find    func() error // nil when it is there
	install string       // what to install
}

// missingTools returns an error for each tool that is not there: one line
// with its name and what to install.
func missingTools(tools []tool) []error {
	var missing []error
	for _, t := range tools {
		if t.find() != nil {
			missing = append(missing, fmt.Errorf("no %s: install %s", t.name, t.install))
		}
	}
	return missing
}

// program returns a find that looks for programs on the PATH: all of them.
func program(names ...string) func() error {
	return func() error {
		for _, name := range names {
			if _, err := exec.LookPath(name); err != nil {
				return err
			}
		}
		return nil
	}
}

// compilers are what every build needs, since the tokenizers are linked as C
// and C++: the compiler that go calls, and the C++ library.
func compilers() []tool {
	cc := "gcc"
	if runtime.GOOS == "darwin" {
		cc = "clang"
	}
	return []tool{
		{"C compiler", program(variable("CC", cc)), "gcc (Debian: build-essential; macOS: xcode-select --install)"},
		{"C++ compiler", program(variable("CXX", "c++")), "g++ (Debian: build-essential; macOS: xcode-select --install)"},
		{"cgo", cgoEnabled, "nothing, but unset CGO_ENABLED: softprompt calls C libraries"},
	}
}

func cgoEnabled() error {
	if os.Getenv("CGO_ENABLED") == "0" {
		return errors.New("CGO_ENABLED is 0")
	}
	return nil
}

// variable is the program that an environment variable such as CC names; its
// value may go on with options.
func variable(name, otherwise string) string {
	if words := strings.Fields(os.Getenv(name)); len(words) > 0 {
		return words[0]
	}
	return otherwise
}

// command runs a program in dir and returns its standard output. On failure
// the error holds the end of what it said.
func command(ctx context.Context, dir string, environment []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, lastLines(stderr.String()+stdout.String(), 20))
	}
	return stdout.Bytes(), nil
}

// lastLines is the end of text, where programs say what went wrong.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
