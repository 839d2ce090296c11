package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"softprompt/onnx/hint"
)

func TestFurnishesAnEmptyTree(t *testing.T) {
	w := newWorld(t)
	library, content := w.mustRun("")
	if want := filepath.Join(w.root, ".deps/onnxruntime/9.9.9/lib/libonnxruntime.so"); library != want {
		t.Errorf("library at %s, want %s", library, want)
	}
	if content != "from pip" {
		t.Errorf("library holds %q", content)
	}
	if got := read(t, filepath.Join(w.root, ".deps/lib/libtokenizers.a")); got != "built from the source\n" {
		t.Errorf("libtokenizers.a holds %q", got)
	}
	calls := w.called()
	for _, want := range []string{"go mod download -json " + tokenizersModule, "cargo build --release --locked", "--platform manylinux_9_x86_64", "onnxruntime==9.9.9"} {
		if !strings.Contains(calls, want) {
			t.Errorf("no call with %q in\n%s", want, calls)
		}
	}
	if len(w.told) != 4 {
		t.Errorf("told %q, want a start and an end for each library", w.told)
	}
}

func TestSecondRunDoesNothing(t *testing.T) {
	w := newWorld(t)
	w.mustRun("")
	w.called()
	w.told = nil
	w.mustRun("")
	if calls := w.called(); calls != "" || w.told != nil {
		t.Errorf("called %q, told %q", calls, w.told)
	}
}

// A second clone takes all from the cache, and needs no client and no cargo.
func TestSecondCloneUsesTheCache(t *testing.T) {
	w := newWorld(t)
	w.mustRun("")
	w.called()
	if err := os.RemoveAll(filepath.Join(w.root, ".deps")); err != nil {
		t.Fatal(err)
	}
	w.without("python3", "npm", "cargo", "go")
	if _, content := w.mustRun(""); content != "from pip" {
		t.Errorf("library holds %q", content)
	}
	if calls := w.called(); calls != "" {
		t.Errorf("called %q", calls)
	}
}

// Nothing done to one tree's files reaches the cache.
func TestTreeAndCacheShareNoFile(t *testing.T) {
	w := newWorld(t)
	library, _ := w.mustRun("")
	write(t, library, []byte("spoiled"))
	if err := os.RemoveAll(filepath.Join(w.root, ".deps")); err != nil {
		t.Fatal(err)
	}
	if _, content := w.mustRun(""); content != "from pip" {
		t.Errorf("library holds %q", content)
	}
}

func TestNpmWherePipIsNot(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"no Python":          func(w *world) { w.without("python3") },
		"Python without pip": func(w *world) { w.program("python3", "exit 1") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			change(w)
			library, content := w.mustRun("")
			if content != "from npm" || !strings.Contains(library, "/onnxruntime/9.9.0/") {
				t.Errorf("%s holds %q", library, content)
			}
			if calls := w.called(); !strings.Contains(calls, "npm pack --silent --ignore-scripts onnxruntime-node@9.9.0") {
				t.Errorf("calls:\n%s", calls)
			}
			if told := strings.Join(w.told, "\n"); !strings.Contains(told, "9.9.0 is the nearest to 9.9.9") {
				t.Errorf("told:\n%s", told)
			}
			// What npm brought stays good when pip comes later.
			w.program("python3", "exit 1")
			w.mustRun("")
			if calls := w.called(); calls != "" {
				t.Errorf("second run called %q", calls)
			}
		})
	}
}

func TestOwnLibrary(t *testing.T) {
	w := newWorld(t)
	w.without("python3", "npm")
	own := filepath.Join(t.TempDir(), "mine.so")
	write(t, own, []byte("mine"))
	t.Setenv(libraryVariable, own)
	if library, _ := w.mustRun(""); library != own {
		t.Errorf("library is %s, want %s", library, own)
	}
	// On a platform with no pinned one, it is the only way.
	w.platform = "plan9/mips"
	if library, _ := w.mustRun(""); library != own {
		t.Errorf("library is %s, want %s", library, own)
	}
	w.platform = "linux/amd64"
	// A version that is asked for is what one gets.
	w.program("npm", "exit 1")
	if _, err := w.run(t.Context(), "9.9.9"); err == nil {
		t.Error("own library served for a version that was asked for")
	}

	t.Setenv(libraryVariable, own+".gone")
	_, err := w.run(t.Context(), "")
	wantError(t, err, libraryVariable, "mine.so.gone")
	if hint.Of(err) == "" {
		t.Error("no hint")
	}
}

func TestUnknownVersionAndPlatform(t *testing.T) {
	w := newWorld(t)
	_, err := w.run(t.Context(), "1.2")
	wantError(t, err, "no pinned ONNX Runtime 1.2", "9.9.9")
	w.platform = "plan9/mips"
	_, err = w.run(t.Context(), "")
	wantError(t, err, "plan9/mips")
	if !strings.Contains(hint.Of(err), libraryVariable) {
		t.Errorf("hint %q", hint.Of(err))
	}
}

// go.mod decides which tokenizers are linked; another version is built anew.
func TestNewTokenizersVersion(t *testing.T) {
	w := newWorld(t)
	w.mustRun("")
	w.called()
	gomod := filepath.Join(w.root, "go.mod")
	write(t, gomod, []byte(strings.Replace(read(t, gomod), "v1.2.3", "v1.2.4", 1)))
	w.mustRun("")
	if calls := w.called(); !strings.Contains(calls, "cargo") || strings.Contains(calls, "python3") {
		t.Errorf("calls:\n%s", calls)
	}
	write(t, gomod, []byte("module x\n"))
	_, err := w.run(t.Context(), "")
	wantError(t, err, "go.mod does not require "+tokenizersModule)
}

func TestFailuresLeaveNothing(t *testing.T) {
	for name, c := range map[string]struct {
		program, script string
		want            string
	}{
		"cargo fails":     {"cargo", "echo 'error: no crates' >&2; exit 101", "error: no crates"},
		"cargo is silent": {"cargo", "", "libtokenizers.a"},
		"pip fails":       {"python3", `case "$*" in *--version*) ;; *) echo 'ERROR: no such wheel' >&2; exit 1;; esac`, "ERROR: no such wheel"},
		"pip is silent":   {"python3", "", "0 archives"},
		"another wheel":   {"python3", `case "$*" in *--version*) ;; *) echo other > ort.whl;; esac`, "ort.whl is not what was pinned"},
		"go fails":        {"go", "exit 1", "getting its source"},
		"go is silent":    {"go", "", "getting its source"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.program(c.program, c.script)
			_, err := w.run(t.Context(), "")
			wantError(t, err, c.want)
			left, _ := filepath.Glob(filepath.Join(w.cache, scratchPrefix+"*"))
			if len(left) != 0 {
				t.Errorf("left %s", left)
			}
			library := map[string]string{"cargo": "lib/*", "go": "lib/*", "python3": "onnxruntime/*/lib/*"}[c.program]
			if stands, _ := filepath.Glob(filepath.Join(w.root, ".deps", library)); len(stands) != 0 {
				t.Errorf("the tree holds %s", stands)
			}
		})
	}
}

func TestCacheThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	write(t, w.cache, []byte("a file where the folder should be"))
	_, err := w.run(t.Context(), "")
	wantError(t, err, w.cache)
	if !strings.Contains(hint.Of(err), "XDG_CACHE_HOME") {
		t.Errorf("hint %q", hint.Of(err))
	}
}

func TestInterrupt(t *testing.T) {
	w := newWorld(t)
	w.program("cargo", "exec /bin/sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := w.run(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// Several at once on one cache and one tree, as `make -j` or two shells do.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.progress = func(string, ...any) {}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			library, err := w.run(t.Context(), "")
			if err != nil {
				t.Error(err)
				return
			}
			if content, err := os.ReadFile(library); string(content) != "from pip" {
				t.Errorf("library holds %q (%v)", content, err)
			}
		})
	}
	all.Wait()
	left, _ := os.ReadDir(w.cache)
	if len(left) != 2 {
		t.Errorf("the cache holds %v, want the two libraries", left)
	}
}

func TestSweepsWhatKilledRunsLeft(t *testing.T) {
	w := newWorld(t)
	old, recent := filepath.Join(w.cache, scratchPrefix+"1"), filepath.Join(w.cache, scratchPrefix+"2")
	for _, dir := range []string{old, recent} {
		if err := os.MkdirAll(filepath.Join(dir, "target"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	week := time.Now().Add(-7 * 24 * time.Hour)
	if err := os.Chtimes(old, week, week); err != nil {
		t.Fatal(err)
	}
	w.mustRun("")
	if _, err := os.Stat(old); err == nil {
		t.Error("an old scratch folder stands")
	}
	if _, err := os.Stat(recent); err != nil {
		t.Error("a scratch folder that may be in use is gone")
	}
}
