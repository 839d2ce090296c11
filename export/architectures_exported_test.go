package export

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exportedVariants are the fixtures of testdata/exported by architecture: what
// follows it in the folder's name, "plain" for nothing.
var exportedVariants = map[string]string{
	"t5": "opset11 opset12 opset13 opset14 opset15 opset16 opset17 opset18 opset19 opset20 with-past merged " +
		"merged-opset11 merged-external hub hub-fp16 hub-int8 optimized-basic optimized-extended torchscript dynamo",
	"t5-v1_1": "opset11 opset12 opset13 opset14 opset15 opset16 opset17 opset18 opset19 opset20 merged merged-opset13 " +
		"external hub-fp16 hub-int8 hub-uint8 fp16-traced optimized-extended optimized-all optimized-t5 torchscript dynamo",
	"t5-11b": "plain optimized-O2", "flan-t5": "plain", "mt5": "plain", "umt5": "plain merged", "byt5": "plain",
}

// refusals has what a training step on a fixture's graphs as they stand is
// refused for; the others must train.
var refusals = map[string]string{
	"t5-hub-int8":       "dynamic quantisation has no derivative",
	"t5-v1_1-hub-int8":  "dynamic quantisation has no derivative",
	"t5-v1_1-hub-uint8": "dynamic quantisation has no derivative",
}

// exportedFixture is an entry of the manifest of testdata/exported: an
// architecture as others exported it to ONNX, and where its numbers are.
type exportedFixture struct{ Name, Arch, Golden string }

// variant is what tells a fixture from others of its architecture.
func (f exportedFixture) variant() string { return "onnx" + strings.TrimPrefix(f.Name, f.Arch) }

// open returns how to open the fixture, with its numbers.
func (f exportedFixture) open(t *testing.T, open openFunc) *golden {
	t.Helper()
	return openWith(t, open, filepath.Join("testdata", "exported", f.Name), filepath.Join("testdata", filepath.FromSlash(f.Golden)))
}

func exportedFixtures(t *testing.T) []exportedFixture {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "exported", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []exportedFixture
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// checkExported fills the rows of exported models: in our own graphs with
// recovered weights, and the graphs as they stand. It returns the rows.
func (e *errorTable) checkExported(t *testing.T) []string {
	var rows []string
	for _, f := range exportedFixtures(t) {
		recovered, asItStands := f.variant(), f.variant()+", as it stands"
		rows = append(rows, recovered, asItStands)
		e.check(t, f.Arch, recovered, func(t *testing.T) *golden {
			g := f.open(t, Open)
			if g.spec.Weights == nil {
				t.Fatal("its weights were not recovered") // Model.Explain says why
			}
			return g
		})
		if want, ok := refusals[f.Name]; ok {
			e.checkRefused(t, f, asItStands, want)
		} else {
			e.check(t, f.Arch, asItStands, func(t *testing.T) *golden { return f.open(t, OpenGraphs) })
		}
	}
	slices.Sort(rows)
	return slices.Compact(rows)
}

// checkRefused wants no training step on the graphs as they stand, by an error
// that says why.
func (e *errorTable) checkRefused(t *testing.T, f exportedFixture, row, want string) {
	t.Run(f.Arch+"/"+row, func(t *testing.T) {
		_, err := Train(f.open(t, OpenGraphs).spec)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
		e.set(f.Arch, row, "refused")
	})
}

// TestExportedFolder keeps the tables above, the manifest and the folders in
// step, so that no fixture can go missing.
func TestExportedFolder(t *testing.T) {
	var want, listed, found []string
	for arch, variants := range exportedVariants {
		for _, v := range strings.Fields(variants) {
			want = append(want, strings.TrimSuffix(arch+"-"+v, "-plain"))
		}
	}
	for _, f := range exportedFixtures(t) {
		listed = append(listed, f.Name)
	}
	folders, err := filepath.Glob(filepath.Join("testdata", "exported", "*", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range folders {
		found = append(found, filepath.Base(filepath.Dir(file)))
	}
	slices.Sort(want)
	slices.Sort(listed)
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("manifest.json: %s", diff)
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("folders: %s", diff)
	}
	for name := range refusals {
		if !slices.Contains(want, name) {
			t.Errorf("there is no %s", name)
		}
	}
}
