package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// fakes puts shell scripts of these names before all else on the PATH.
func fakes(t *testing.T, scripts map[string]string) {
	t.Helper()
	bin := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

// Without a wheel and a program one is fetched and the other built; the bundle
// holds both.
func TestRunFetchesAndBuilds(t *testing.T) {
	wheel, tmp := wheelOf(t, capi()...), t.TempDir()
	t.Setenv("TMPDIR", tmp)
	fakes(t, map[string]string{
		"git":     "echo v1.2-dirty",
		"go":      `while test "$1" != -o; do shift; done; echo 'built here' >"$2"`,
		"python3": "cp '" + wheel + "' .",
	})
	out := filepath.Join(t.TempDir(), "out")
	var said bytes.Buffer
	if err := run(t.Context(), []string{"-out", out, "-ort", "1.30.0"}, io.Discard, &said); err != nil {
		t.Fatal(err)
	}
	if got, want := said.String(), "gpu-bundle: building softprompt\ngpu-bundle: fetching onnxruntime-gpu 1.30.0\n"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	to := filepath.Join(t.TempDir(), "gpu")
	if said, err := join(t, out, to); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if got, err := os.ReadFile(filepath.Join(to, "softprompt")); err != nil || string(got) != "built here\n" {
		t.Errorf("the program is %q, %v", got, err)
	}
}

// The program that is built is stripped and knows its version, also where git
// does not tell one.
func TestBuild(t *testing.T) {
	for name, c := range map[string]struct{ git, goes, version, fails string }{
		"a tag":         {"echo v1.2-3-gabc", "", "v1.2-3-gabc", ""},
		"no repository": {"exit 128", "", "unknown", ""},
		"no compiler":   {"echo v1", "echo '# x' >&2; echo 'cgo: gcc not found' >&2; exit 1", "", "building softprompt: go: exit status 1: cgo: gcc not found"},
	} {
		t.Run(name, func(t *testing.T) {
			work := t.TempDir()
			fakes(t, map[string]string{"git": c.git, "go": c.goes + "\nprintf '%s\\n' \"$@\" >'" + work + "/args'"})
			to, err := build(t.Context(), work)
			if c.fails != "" {
				if err == nil || err.Error() != c.fails || !strings.Contains(hint.Of(err), "make build") {
					t.Errorf("error %v, hint %q", err, hint.Of(err))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			args, err := os.ReadFile(filepath.Join(work, "args"))
			want := strings.Join([]string{"build", "-trimpath", "-ldflags", "-s -w -X main.version=" + c.version, "-o", to, "softprompt/cmd/softprompt", ""}, "\n")
			if err != nil || string(args) != want {
				t.Errorf("go was called with\n%s\nwant\n%s", args, want)
			}
		})
	}
}

// pip is asked for one wheel of that version; what it leaves is taken if it is
// one, and else the user is told to bring it.
func TestFetch(t *testing.T) {
	for name, c := range map[string]struct{ pip, fails string }{
		"one wheel":     {"printf x >a.whl", ""},
		"one of many":   {"printf x >a.whl; printf x >a.tar.gz", ""},
		"none":          {":", "fetching onnxruntime-gpu 1.30.0: pip left 0 wheels"},
		"two":           {"printf x >a.whl; printf x >b.whl", "fetching onnxruntime-gpu 1.30.0: pip left 2 wheels"},
		"no such wheel": {"echo 'Looking' >&2; echo 'ERROR: No matching distribution' >&2; exit 1", "fetching onnxruntime-gpu 1.30.0: python3: exit status 1: ERROR: No matching distribution"},
		"silent":        {"exit 3", "fetching onnxruntime-gpu 1.30.0: python3: exit status 3: "},
	} {
		t.Run(name, func(t *testing.T) {
			work := t.TempDir()
			fakes(t, map[string]string{"python3": `printf '%s\n' "$@" >args` + "\n" + c.pip})
			wheel, err := fetch(t.Context(), work, "1.30.0")
			if c.fails != "" {
				if err == nil || err.Error() != c.fails || !strings.Contains(hint.Of(err), "give it with -wheel") {
					t.Errorf("error %v, hint %q", err, hint.Of(err))
				}
			} else if err != nil || wheel != filepath.Join(work, "a.whl") {
				t.Errorf("wheel %s, %v", wheel, err)
			}
			args, err := os.ReadFile(filepath.Join(work, "args"))
			for _, want := range []string{"pip\ndownload\n", "\n--no-deps\n", "\n--platform\nmanylinux_2_28_x86_64\n", "\nonnxruntime-gpu==1.30.0\n"} {
				if err != nil || !strings.Contains(string(args), want) {
					t.Errorf("pip was called with\n%s, %v; want %q in it", args, err, want)
				}
			}
		})
	}
}

// A program that is stopped ends with why, and one that is not there is named.
func TestCommandEnds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := command(ctx, "", "sleep", "60"); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if _, err := command(t.Context(), "", "no-such-program"); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("no such program: %v", err)
	}
	if out, err := command(t.Context(), "/", "pwd"); out != "/\n" || err != nil {
		t.Errorf("in another folder: %q, %v", out, err)
	}
}

// Beside a tree, a piece has the limit less what travels: files that git
// follows or would, whatever their names, and none that it ignores.
func TestRoomBesideATree(t *testing.T) {
	tree := t.TempDir()
	for name, size := range map[string]int{"kept.go": 1000, "not yet added": 200, "a\nline": 30, "é": 4, "ignored.bin": 50_000, "removed.go": 7000} {
		if err := os.WriteFile(filepath.Join(tree, name), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ignore := "*.bin\n"
	if err := os.WriteFile(filepath.Join(tree, ".gitignore"), []byte(ignore), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"git", "init", "-q"}, {"git", "add", "kept.go", "removed.go"}} {
		if _, err := command(t.Context(), tree, args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(tree, "removed.go")); err != nil {
		t.Fatal(err)
	}
	left, err := room(t.Context(), "16MiB", tree)
	if want := int64(16<<20 - 1<<20 - 1000 - 200 - 30 - 4 - len(ignore)); err != nil || left != want {
		t.Errorf("%d bytes are left, want %d, %v", left, want, err)
	}
	_, err = room(t.Context(), "2MiB", tree)
	if want := fmt.Sprintf("the files of %s leave no room for a piece below 2MiB", tree); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, err := room(t.Context(), "2 MiB", tree); err == nil || !strings.Contains(err.Error(), `"2 MiB" is not a size`) {
		t.Errorf("error %v", err)
	}
}

// The settings that the script writes take CUDA from the machine's PyTorch and
// keep what was set; a second run over the first is a repair.
func TestJoinSettings(t *testing.T) {
	dir, _, _ := bundled(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	to := filepath.Join(home, "softprompt-gpu") // where no folder is given
	for range 2 {
		out, err := exec.Command("sh", filepath.Join(dir, joinScript)).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "joined in "+to+"; now: . "+to+"/env.sh") {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.WriteFile(filepath.Join(to, "libonnxruntime.so"), []byte("spoiled"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ python, before, want string }{
		"PyTorch":              {"echo /a/cublas/lib:/a/cudnn/lib", "", "/a/cublas/lib:/a/cudnn/lib:"},
		"PyTorch, and a path":  {"echo /a/cublas/lib", "/mine", "/a/cublas/lib:/mine"},
		"no PyTorch, a path":   {"echo", "/mine", "/mine"},
		"a Python that fails":  {"exit 1", "/mine", "/mine"},
		"nothing at all there": {"exit 1", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			fakes(t, map[string]string{"python3": c.python})
			t.Setenv("LD_LIBRARY_PATH", c.before)
			out, err := exec.Command("sh", "-euc", `. "$0/env.sh"; echo "$LD_LIBRARY_PATH"; echo "$PATH"`, to).CombinedOutput()
			lines := strings.Split(string(out), "\n")
			if err != nil || lines[0] != c.want || !strings.HasPrefix(lines[1], to+":") {
				t.Errorf("%v: %q, want %q", err, lines, c.want)
			}
		})
	}
}
