package tune

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/export"
	"softprompt/models"
	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/onnx/ort/orttest"
)

func exportedModel(t *testing.T, name string, opening models.Options) *export.Model {
	t.Helper()
	m, err := export.Open(t.Context(), filepath.Join("..", "..", "export", "testdata", "exported", name), opening)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestRecoveredAnswers: recovered weights give the answers of the graphs; graphs
// in integers, whose answers are others, are not asked.
func TestRecoveredAnswers(t *testing.T) {
	for name, integers := range map[string]bool{"t5-opset13": false, "umt5-merged": false, "t5-v1_1-fp16-traced": false, "byt5": false, "t5-hub-int8": true} {
		m := exportedModel(t, name, models.Options{CacheDir: t.TempDir()})
		apart, err := recoveredApart(t.Context(), orttest.Runtime(t), m)
		if err != nil {
			t.Fatal(err)
		}
		if !(apart <= 1e-4) || integers && apart != 0 {
			t.Errorf("%s: answers are apart by %.1e", name, apart)
		}
	}
}

// TestRecoveredOnce: the first use of recovered weights checks them, those after
// it take the word of the mark beside them.
func TestRecoveredOnce(t *testing.T) {
	opening := models.Options{CacheDir: t.TempDir()}
	freeze := func() error {
		m := exportedModel(t, "byt5", opening)
		f, err := Freeze(t.Context(), orttest.Runtime(t), m, FreezeOptions{Device: ort.Device{Kind: "cpu"}})
		if err != nil {
			return err
		}
		return f.Close()
	}
	if err := freeze(); err != nil {
		t.Fatal(err)
	}
	marks, _ := filepath.Glob(filepath.Join(opening.CacheDir, "recovered", "*"+checkedSuffix))
	if len(marks) != 1 {
		t.Fatalf("marks %v", marks)
	}
	before, err := os.Stat(marks[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := freeze(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(marks[0]); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("checked again: %v, %v", after, err)
	}
}

// TestRecoveredOther: weights that give other answers are refused, and no mark
// says otherwise.
func TestRecoveredOther(t *testing.T) {
	m := exportedModel(t, "t5-opset13", models.Options{CacheDir: t.TempDir()})
	m.Config.LayerNormEpsilon = 0.5
	err := checkRecovered(t.Context(), orttest.Runtime(t), m)
	if err == nil || !strings.Contains(err.Error(), "do not give the answers of its graphs") || hint.Of(err) == "" {
		t.Errorf("%v (%s)", err, hint.Of(err))
	}
	if _, err := os.Stat(m.Checkpoint.Path + checkedSuffix); err == nil {
		t.Error("a mark was left")
	}
}
