package exported

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx"
	"softprompt/onnx/hint"
)

// recoverSmall recovers the plain small model.
func recoverSmall(t testing.TB) *Recovery {
	t.Helper()
	e, d := plainForms().write(t, smallConfig())
	r, err := Recover(smallConfig(), e, d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func stamp(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime().UnixNano()
}

// TestCheckpointIsReused: the file is written once, used again as long as it
// is whole and of these weights, and made anew otherwise.
func TestCheckpointIsReused(t *testing.T) {
	dir := t.TempDir()
	ck, _ := recoverSmall(t).all(t, dir)
	first := stamp(t, ck.Path)
	if made := ck.Metadata["made_by"]; !strings.HasPrefix(made, "softprompt") {
		t.Errorf("metadata %v", ck.Metadata)
	}
	again, _ := recoverSmall(t).all(t, dir)
	if again.Path != ck.Path || stamp(t, again.Path) != first {
		t.Errorf("%s was written again as %s", ck.Path, again.Path)
	}
	whole, err := os.ReadFile(ck.Path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"cut short":     func(b []byte) []byte { return b[:len(b)-4] },
		"empty":         func([]byte) []byte { return nil },
		"other numbers": func(b []byte) []byte { return append(b[:len(b)-400], make([]byte, 400)...) },
		"another's key": func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"source":"`), []byte(`"source":"x`), 1)[:len(b)]
		},
		"another's names": func(b []byte) []byte { return bytes.Replace(b, []byte("shared.weight"), []byte("shored.weight"), 1) },
	} {
		if err := os.WriteFile(ck.Path, damage(bytes.Clone(whole)), 0o644); err != nil {
			t.Fatal(err)
		}
		_, got := recoverSmall(t).all(t, dir)
		checkWeights(t, smallConfig(), got, 0)
		if now, _ := os.ReadFile(ck.Path); !bytes.Equal(now, whole) {
			t.Errorf("%s: the file was not made anew", name)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("the folder holds %v", left)
	}
}

// TestCheckpointFollowsItsSource: other weights, or files of another time, get
// a file of their own.
func TestCheckpointFollowsItsSource(t *testing.T) {
	dir := t.TempDir()
	quiet := slog.New(slog.DiscardHandler)
	file := filepath.Join(dir, "encoder_model.onnx")
	paths := map[string]bool{}
	open := func(r *Recovery, files ...string) {
		t.Helper()
		ck, err := r.Checkpoint(t.Context(), dir, "m", files, quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer ck.Close()
		if paths[ck.Path] {
			t.Errorf("%s is used twice", ck.Path)
		}
		paths[ck.Path] = true
	}
	r := recoverSmall(t)
	open(r)
	for _, content := range []string{"a", "ab"} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		open(r, file)
	}
	last := r.weights[0].tensor
	v, err := last.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	v[0]++
	*last = *onnx.Floats(last.Name, last.Dims, v)
	r.same = nil
	open(r)
}

// TestCheckpointFails: what cannot be written leaves nothing behind and says
// what to do.
func TestCheckpointFails(t *testing.T) {
	r := recoverSmall(t)
	quiet := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Checkpoint(ctx, dir, "m", nil, quiet); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := r.Checkpoint(t.Context(), filepath.Join(file, "recovered"), "m", nil, quiet)
	if err == nil || !strings.Contains(hint.Of(err), "SOFTPROMPT_CACHE") {
		t.Errorf("error %v, hint %q", err, hint.Of(err))
	}
}

// TestTilesAreBounded: a large turned matrix is read a tile at a time, and
// comes out right over the edges of tiles.
func TestTilesAreBounded(t *testing.T) {
	const in, out = 3, 400_003 // several tiles, the last one short
	values := make([]float32, in*out)
	for i := range values {
		values[i] = float32(i)
	}
	s := newSource(onnx.Floats("w", []int64{in, out}, values)).turn()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	row, calls := 0, 0
	err := s.tiles(t.Context(), func(tile []float32) error {
		calls++
		for i, v := range tile {
			if want := float32(i%in*out + row + i/in); v != want {
				t.Fatalf("row %d, number %d is %v, want %v", row+i/in, i%in, v, want)
			}
		}
		row += len(tile) / in
		return nil
	})
	runtime.ReadMemStats(&after)
	if err != nil || row != out || calls < 4 {
		t.Errorf("%d rows in %d calls, %v", row, calls, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8*4*tile {
		t.Errorf("%d bytes were allocated for a matrix of %d", used, 4*len(values))
	}
}

// TestAtIsRead: single numbers are those of whole rows, in every layout.
func TestAtIsRead(t *testing.T) {
	for name, linear := range map[string]func(a *author, x, name string) string{
		"plain": fusedMatMul, "turned": matMul, "by channel": dequantised(true), "blocks": nBits(4, true), "half": half,
	} {
		e, d := withLinear(linear).write(t, smallConfig())
		r, err := Recover(smallConfig(), e, d)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range r.weights {
			all := make([]float32, w.rows*w.cols)
			w.read(all, 0)
			for i, v := range all {
				if got := w.at(int64(i)); got != v {
					t.Fatalf("%s, %s: number %d is %v alone, and %v in its row", name, w.Name, i, got, v)
				}
			}
		}
	}
}

// TestEmbeddingRows: the table of graphs as they stand is read like that of a
// checkpoint, and their fingerprint tells weights apart.
func TestEmbeddingRowsAndFingerprint(t *testing.T) {
	prints := map[string]string{}
	for _, name := range []string{"t5-opset18", "t5-opset20", "t5-v1_1-opset18", "t5-hub-int8"} {
		m := openFolder(t, filepath.Join(fixtureDir, name))
		x, err := Load(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { x.Close() })
		row, rows, err := x.Embedding.Rows()
		if err != nil || rows != m.Config.VocabSize {
			t.Fatalf("%d rows, %v", rows, err)
		}
		_, weights := recovered(t, m).all(t, t.TempDir())
		table, d := weights[sharedWeight], m.Config.DModel
		for _, id := range []int{0, 1, rows - 1} {
			sameNumbers(t, name, row(id), table[id*d:(id+1)*d])
		}
		if row(-1) != nil || row(rows) != nil {
			t.Errorf("%s: a row outside the table", name)
		}
		f, err := x.Fingerprint(m.Config)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := models.ParseFingerprint(f.String())
		if err != nil || f.Matches(parsed) != nil {
			t.Errorf("%s: %v, %v", name, err, f.Matches(parsed))
		}
		for other, text := range prints {
			p, _ := models.ParseFingerprint(text)
			if same := p.Matches(f) == nil; same != (other == "t5-opset18" && name == "t5-opset20") {
				t.Errorf("%s and %s: the same model %t", name, other, same)
			}
		}
		prints[name] = f.String()
	}
}
