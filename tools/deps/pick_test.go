package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// Of several sources one in the tree is taken, else one in the cache, else one
// that can be made here, else the first; among equals the earlier one.
func TestPick(t *testing.T) {
	root := t.TempDir()
	there, gone := filepath.Join(root, "there"), filepath.Join(root, "gone")
	write(t, there, []byte("x"))
	s := &setup{cache: root}
	rapid.Check(t, func(t *rapid.T) {
		var sources []artifact
		best, rank := 0, 4
		for i := range rapid.IntRange(1, 5).Draw(t, "sources") {
			a := artifact{name: fmt.Sprint(i), tree: gone, cache: "gone", needs: []tool{{find: func() error { return errors.New("missing") }}}}
			mine := rapid.IntRange(0, 3).Draw(t, "rank")
			switch mine {
			case 0:
				a.tree = there
			case 1:
				a.cache = "there"
			case 2:
				a.needs[0].find = func() error { return nil }
			}
			if mine < rank && mine < 3 {
				best, rank = i, mine
			}
			sources = append(sources, a)
		}
		if got := s.pick(sources); got.name != fmt.Sprint(best) {
			t.Fatalf("took %s, want %d", got.name, best)
		}
	})
}

// A library counts as there if it is a file with something in it, itself or
// behind a link.
func TestIsFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "full"), []byte("x"))
	write(t, filepath.Join(dir, "empty"), nil)
	for name, to := range map[string]string{"link": "full", "dangling": "gone", "to empty": "empty", "to folder": ".", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{
		"full": true, "link": true, "empty": false, "dangling": false, "to empty": false, "to folder": false, "loop": false, "": false, "gone": false, "full/x": false,
	} {
		if got := isFile(filepath.Join(dir, name)); got != want {
			t.Errorf("%q is a file: %v", name, got)
		}
	}
}

// A copy in the tree that carries a stamp counts if the stamp is the wanted
// one to the byte.
func TestStampDecides(t *testing.T) {
	dir := t.TempDir()
	s := &setup{cache: filepath.Join(dir, "cache")}
	for name, c := range map[string]struct {
		wanted string
		stamp  string // "-" for none
		want   bool
	}{
		"none wanted, none there": {"", "-", true},
		"none wanted, one there":  {"", "old", true},
		"the wanted one":          {"v1-linux", "v1-linux", true},
		"another":                 {"v1-linux", "v2-linux", false},
		"a longer one":            {"v1-linux", "v1-linux\n", false},
		"cut short":               {"v1-linux", "v1", false},
		"empty":                   {"v1-linux", "", false},
		"wanted, none there":      {"v1-linux", "-", false},
	} {
		tree := filepath.Join(dir, name)
		write(t, tree, []byte("library"))
		if c.stamp != "-" {
			write(t, tree+".stamp", []byte(c.stamp))
		}
		if got := s.has(artifact{tree: tree, stamp: c.wanted, cache: "none"}); got != c.want {
			t.Errorf("%s: it is there: %v", name, got)
		}
	}
}

// Each way to pip is tried in turn, and one that does not run is none.
func TestPipCommand(t *testing.T) {
	const works, fails = "exit 0", "exit 1"
	for name, c := range map[string]struct {
		programs map[string]string
		want     string // the command, or the error
	}{
		"python3":                    {map[string]string{"python3": works, "python": works, "pip3": works, "pip": works}, "[python3 -m pip]"},
		"python3 without pip":        {map[string]string{"python3": fails, "python": works, "pip": works}, "[python -m pip]"},
		"pip3 beside broken Pythons": {map[string]string{"python3": fails, "python": fails, "pip3": works, "pip": works}, "[pip3]"},
		"pip alone":                  {map[string]string{"pip": works}, "[pip]"},
		"all broken":                 {map[string]string{"python3": fails, "pip": fails}, "no pip"},
		"nothing":                    {nil, "no pip"},
	} {
		w := newWorld(t)
		w.without("python3", "npm")
		for program, script := range c.programs {
			w.program(program, script)
		}
		got, err := pipCommand()
		if told := fmt.Sprint(got); told != c.want && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: %s, %v; want %s", name, told, err, c.want)
		}
		if _, err := npmCommand(); err == nil || err.Error() != "no npm" {
			t.Errorf("%s: npm: %v", name, err)
		}
	}
}

// A client is called for exactly one package of the pinned version, and runs
// nothing that the package brings.
func TestFetchCommands(t *testing.T) {
	w := newWorld(t)
	for c, want := range map[*client]string{
		pip: "[python3 -m pip download --quiet --no-input --no-deps --only-binary=:all: --python-version 3.12 --implementation cp --abi cp312 --platform macosx_14_0_arm64 --dest . onnxruntime==1.2.3]",
		npm: "[npm pack --silent --ignore-scripts onnxruntime-node@1.2.3]",
	} {
		got, err := c.fetch(source{version: "1.2.3", wheel: "macosx_14_0_arm64"})
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v, want %s", c.name, got, err, want)
		}
		// Another call gets its own arguments: none writes over the first's.
		if again, err := c.fetch(source{version: "4.5.6", wheel: "x"}); err != nil || fmt.Sprint(got) != want || again[len(again)-1] == got[len(got)-1] {
			t.Errorf("%s: %v after %v, %v", c.name, got, again, err)
		}
	}
	w.without("npm")
	if _, err := (source{client: npm, version: "1.2.3"}).download(t.Context(), t.TempDir()); err == nil || err.Error() != "no npm" {
		t.Errorf("error %v", err)
	}
}

// The library is called as the system's loader looks for it.
func TestLibraryNames(t *testing.T) {
	for platform, want := range map[string]string{"linux/amd64": "libonnxruntime.so", "darwin/arm64": "libonnxruntime.dylib"} {
		s := &setup{root: "tree", platform: platform, releases: releases}
		all, err := s.runtimes("1.24.4")
		if err != nil || len(all) != 2 {
			t.Fatalf("%v, %v", all, err)
		}
		for i, version := range []string{"1.24.4", "1.24.3"} {
			if got := all[i].tree; got != filepath.Join("tree", ".deps", "onnxruntime", version, "lib", want) {
				t.Errorf("%s: %s", platform, got)
			}
		}
		if all[0].cache == all[1].cache || filepath.Ext(all[0].cache) != filepath.Ext(want) || all[1].making != "downloading its npm package, where 1.24.3 is the nearest to 1.24.4" {
			t.Errorf("%s: %q and %q, %q", platform, all[0].cache, all[1].cache, all[1].making)
		}
	}
}
