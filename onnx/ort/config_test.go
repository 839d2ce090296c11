package ort

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// identity is a model of y = x with x float32 [N], as bytes: IR 8, opset 18.
var identity = []byte("\x08\x08\x3a\x3b\x0a\x10\x0a\x01x\x12\x01y\x22\x08Identity\x12\x01g" +
	"\x5a\x11\x0a\x01x\x12\x0c\x0a\x0a\x08\x01\x12\x06\x0a\x04\x12\x02NN" +
	"\x62\x11\x0a\x01y\x12\x0c\x0a\x0a\x08\x01\x12\x06\x0a\x04\x12\x02NN" +
	"\x42\x02\x10\x12")

func TestEntries(t *testing.T) {
	e, err := Config{}.entries()
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		"session.disable_prepacking": "1", "session.set_denormal_as_zero": "0", "session.intra_op.allow_spinning": "1",
	} {
		if e[k] != want {
			t.Errorf("%s = %q, want %q", k, e[k], want)
		}
	}
	real := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	e, err = Config{
		Prepack: true, NoSpin: true, DenormalAsZero: true, Folder: link,
		Entries: map[string]string{"session.intra_op.allow_spinning": "1"},
	}.entries()
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		"session.disable_prepacking": "0", "session.set_denormal_as_zero": "1", "session.intra_op.allow_spinning": "1",
		"session.model_external_initializers_file_folder_path": real,
	} {
		if e[k] != want {
			t.Errorf("%s = %q, want %q", k, e[k], want)
		}
	}
	_, err = Config{Entries: map[string]string{"session.disable_prepaking": "1"}}.entries()
	if err == nil || !strings.Contains(hint.Of(err), "session.disable_prepacking?") {
		t.Errorf("a misspelt key: %v, hint %q", err, hint.Of(err))
	}
	if _, err = (Config{Entries: map[string]string{"zzz": "1"}}).entries(); err == nil || hint.Of(err) != "" {
		t.Errorf("an unknown key: %v, hint %q", err, hint.Of(err))
	}
}

// TestKnownEntries finds what we set ourselves in the table.
func TestKnownEntries(t *testing.T) {
	for k := range knownEntries {
		if strings.Count(k, ".") == 0 || strings.ToLower(k) != k {
			t.Errorf("odd key %s", k)
		}
	}
	e, err := Config{Folder: t.TempDir()}.entries()
	if err != nil {
		t.Fatal(err)
	}
	for k := range e {
		if !knownEntries[k] {
			t.Errorf("we set %s ourselves and do not know it", k)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%s to %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestLevels(t *testing.T) {
	for _, l := range []Level{LevelBasic, LevelNone, LevelExtended, LevelAll} {
		if got, err := ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("%v: %v %v", l, got, err)
		}
		s, err := open(t).NewSession(t.Context(), identity, Config{Optimize: l, Threads: 1, Arena: true, MemPattern: true})
		if err != nil {
			t.Errorf("%v: %v", l, err)
			continue
		}
		s.Close()
	}
	if _, err := ParseLevel("most"); err == nil {
		t.Error("there is a level most")
	}
	for _, cfg := range []Config{{Optimize: 9}, {Optimize: -1}, {Threads: -1}, {Entries: map[string]string{"a.b": "c"}}} {
		if _, err := open(t).NewSession(t.Context(), identity, cfg); err == nil {
			t.Errorf("a session with %+v", cfg)
		}
	}
}

// TestProfile finds the node in the trace that closing the session writes.
func TestProfile(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "trace")
	s, err := open(t).NewSession(t.Context(), identity, Config{Profile: prefix, Optimize: LevelNone})
	if err != nil {
		t.Fatal(err)
	}
	x, err := FromFloats([]float32{1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), map[string]*Tensor{"x": x}, map[string]*Tensor{"y": nil}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	files, _ := filepath.Glob(prefix + "*.json")
	if len(files) != 1 {
		t.Fatalf("profiles %v", files)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var events []map[string]any
	if err := json.Unmarshal(b, &events); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(events, func(e map[string]any) bool { return e["cat"] == "Node" }) {
		t.Error("the profile has no node")
	}
}
