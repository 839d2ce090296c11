// Command borders checks who imports whom: each folder of softprompt is a
// room, and the table below says what a room may take in. make lint runs it;
// its own test runs it over the tree as well.
//
//	go run ./tools/borders
//
// Arrows point down the table, so there are no cycles between rooms, and what
// a library user links stays small: none of the command line's modules is
// reached from onnx, grad or export. Tests may import what they like.
package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "softprompt"

// A room is a folder with all below it that is no room itself.
type room struct {
	folder string
	rooms  []string // folders that it may import; "*" for all
	others []string // modules and packages from outside that it may import; "*" for all
}

// rooms is the plan of the house. The standard library is open to all.
var rooms = []room{
	{"tools", []string{"*"}, []string{"*"}},
	{"cmd", []string{"*"}, []string{"*"}},
	{"prompt/measure", []string{"prompt/tune", "export", "tasks", "grad", "onnx/ort", "onnx"}, nil},
	{"prompt/report", []string{"prompt/tune", "tasks", "onnx"}, nil},
	{"prompt/study", []string{"prompt/tune", "prompt", "tasks", "models", "onnx/ort", "onnx"}, []string{"go.yaml.in/yaml/v3"}},
	{"prompt/tune", []string{"export", "prompt", "tasks", "models", "grad", "onnx/ort", "onnx"}, []string{"gonum.org/v1/gonum", "go.yaml.in/yaml/v3", "google.golang.org/protobuf/encoding/protowire"}},
	{"export", []string{"grad", "prompt", "models", "onnx"}, nil},
	{"prompt", []string{"models", "onnx"}, []string{"gonum.org/v1/gonum"}},
	{"tasks", nil, []string{"github.com/parquet-go/parquet-go", "go.yaml.in/yaml/v3"}},
	{"models", nil, []string{"github.com/edsrzf/mmap-go", "github.com/daulet/tokenizers", "google.golang.org/protobuf/encoding/protowire", "golang.org/x/sync/errgroup", "golang.org/x/sys"}},
	{"grad", []string{"onnx"}, []string{"gonum.org/v1/gonum"}},
	{"onnx/ort", []string{"onnx"}, []string{"github.com/yalue/onnxruntime_go"}},
	{"onnx/ort/orttest", []string{"onnx/ort", "onnx", "onnx/onnxpb"}, []string{"google.golang.org/protobuf"}}, // for tests alone
	{"onnx", []string{"onnx/onnxpb"}, []string{"google.golang.org/protobuf", "github.com/edsrzf/mmap-go"}},
	{"onnx/onnxpb", nil, []string{"google.golang.org/protobuf"}},
	{"onnx/hint", nil, nil},
	{"onnx/atomicfile", nil, nil},
}

// leaves lean on nothing and are open to all.
var leaves = []string{"onnx/hint", "onnx/atomicfile"}

// doors are modules that one room alone imports, whatever the table says: a
// change of theirs is then met in one place.
var doors = map[string]string{
	"github.com/daulet/tokenizers":    "models",
	"github.com/yalue/onnxruntime_go": "onnx/ort",
}

func main() {
	broken, err := check(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "borders: error:", err)
		os.Exit(1)
	}
	for _, line := range broken {
		fmt.Fprintln(os.Stderr, "borders:", line)
	}
	if len(broken) > 0 {
		os.Exit(1)
	}
}

// check reads the Go files under root, tests and nested modules aside, and
// returns a line for each import that crosses a border.
func check(root string) ([]string, error) {
	var broken []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != root && closed(name) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		imports, err := importsOf(name)
		if err != nil {
			return err
		}
		file, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		folder := path.Dir(filepath.ToSlash(file))
		for _, imported := range imports {
			if reason := crosses(folder, imported); reason != "" {
				broken = append(broken, fmt.Sprintf("%s imports %s: %s", filepath.ToSlash(file), imported, reason))
			}
		}
		return nil
	})
	return broken, err
}

// closed reports whether the go command would pass a folder by too.
func closed(dir string) bool {
	name := filepath.Base(dir)
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func importsOf(file string) ([]string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return nil, fmt.Errorf("reading the imports of %s: %w", file, err)
	}
	var imports []string
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("reading the imports of %s: %w", file, err)
		}
		imports = append(imports, imported)
	}
	return imports, nil
}

// crosses says why a package in folder may not import imported, or "".
func crosses(folder, imported string) string {
	from, ok := roomOf(folder)
	if !ok {
		return folder + " is no room: give it a line in tools/borders"
	}
	inside, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		return crossesOut(from, imported)
	}
	to, ok := roomOf(inside)
	switch {
	case !ok:
		return inside + " is no room: give it a line in tools/borders"
	case to.folder == from.folder, slices.Contains(leaves, to.folder), slices.Contains(from.rooms, "*"), slices.Contains(from.rooms, to.folder):
		return ""
	}
	return fmt.Sprintf("%s may import %s", from.folder, list(from.rooms))
}

// crossesOut is crosses for what is not softprompt's own.
func crossesOut(from room, imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") { // the standard library
		return ""
	}
	for door, owner := range doors {
		if within(imported, door) && from.folder != owner {
			return owner + " alone may import it"
		}
	}
	if slices.Contains(from.others, "*") || slices.ContainsFunc(from.others, func(other string) bool { return within(imported, other) }) {
		return ""
	}
	return fmt.Sprintf("of other modules, %s may import %s", from.folder, list(from.others))
}

// roomOf is the innermost room that a folder lies in.
func roomOf(folder string) (room, bool) {
	var found room
	for _, r := range rooms {
		if within(folder, r.folder) && len(r.folder) > len(found.folder) {
			found = r
		}
	}
	return found, found.folder != ""
}

// within reports whether a path is another or lies below it.
func within(inner, outer string) bool {
	return inner == outer || strings.HasPrefix(inner, outer+"/")
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
