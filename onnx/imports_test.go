package onnx

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// heavy are the modules of the command line and of what is served over a
// network. Who imports a package as a library must not link them.
var heavy = []string{
	"github.com/alecthomas/kong",
	"github.com/danielgtaylor/huma/v2",
	"github.com/nats-io/nats.go",
	"github.com/vbauerster/mpb/v8",
	"gonum.org/v1/plot",
}

// TestHeavyModulesStayOutside checks that the heavy modules are reached from
// cmd and tools alone, however long the way. What a package may import at all
// is for tools/borders to say.
func TestHeavyModulesStayOutside(t *testing.T) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Deps,Module", "./...")
	cmd.Dir = ".."
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	seen := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Deps       []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		room := strings.TrimPrefix(p.ImportPath, "softprompt/")
		if top, _, _ := strings.Cut(room, "/"); top == "cmd" || top == "tools" {
			continue
		}
		for _, dep := range p.Deps {
			for _, h := range heavy {
				if dep == h || strings.HasPrefix(dep, h+"/") {
					t.Errorf("%s reaches %s, which is for cmd alone", p.ImportPath, dep)
				}
			}
		}
	}
	if seen < 5 {
		t.Errorf("go list named %d packages", seen)
	}
}
