package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// TestMain plays a role where checksMain started the test program for one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		if err := dispatch(context.Background(), os.Args[1:], os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestChecks makes both checks on a toy, and leaves nothing behind.
func TestChecks(t *testing.T) {
	for _, dtype := range []string{"F32", "f16", "BF16"} {
		dir := t.TempDir()
		var out strings.Builder
		if err := dispatch(t.Context(), []string{"-size", "toy", "-dtype", dtype, "-dir", dir}, &out); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"T5 toy, 647680 parameters", "write folder", "second step", "gradient norm", "over 3200 values"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", dtype, want, out.String())
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%v is left, %v", left, err)
		}
	}
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	var out strings.Builder
	if err := dispatch(t.Context(), []string{"-check", "export", "-size", "toy", "-dir", dir, "-keep"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"model/config.json", "model/model.safetensors.index.json", "graphs/train.onnx", "graphs/decode.onnx", "graphs/weights.safetensors"} {
		if found, _ := filepath.Glob(filepath.Join(dir, "softprompt-xl-*", "export", name)); len(found) != 1 {
			t.Errorf("%s: %v", name, found)
		}
	}
	if !strings.Contains(out.String(), "kept in "+dir) {
		t.Error(out.String())
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-check", "nothing"}, `no check "nothing"`},
		{[]string{"-size", "tall"}, `no size "tall": base, large`},
		{[]string{"-size", "toy", "-dtype", "I8"}, `no type "I8"`},
		{[]string{"-dir", filepath.Join(t.TempDir(), "none")}, "none"},
		{[]string{"-nothing"}, "not defined"},
		{[]string{"step"}, "-model and -work are needed"},
		{[]string{"export", "-model", "nowhere", "-work", t.TempDir()}, "nowhere"},
	} {
		err := dispatch(t.Context(), test.args, &strings.Builder{})
		if err == nil || !strings.Contains(err.Error()+hint.Of(err), test.want) {
			t.Errorf("%v: %v, wanted %q", test.args, err, test.want)
		}
	}
}

// TestInterrupted: a check that is stopped ends at once and leaves nothing.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	dir := t.TempDir()
	err := dispatch(ctx, []string{"-size", "base", "-dir", dir}, &strings.Builder{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestShards: weights that are too large for one file go to several, each
// tensor in one of them.
func TestShards(t *testing.T) {
	dir := t.TempDir()
	s := sizes["toy"]
	c := models.Config{VocabSize: s.vocab, DModel: s.dModel, DKV: 64, DFF: s.dFF, NumLayers: s.layers, NumDecoderLayers: s.layers, NumHeads: s.heads, NumBuckets: 32, Gated: true}
	w, err := writeWeights(t.Context(), dir, c, models.F32, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err != nil || len(files) != 3 { // the embedding and the head fill one each
		t.Errorf("%v, %v", files, err)
	}
	ck, err := models.OpenSafetensors(filepath.Join(dir, "model.safetensors.index.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if err := models.CheckWeights(c, ck); err != nil {
		t.Error(err)
	}
	var bytes int64
	for _, name := range ck.Names() {
		info, _ := ck.Lookup(name)
		bytes += info.Length
	}
	if bytes != w.bytes {
		t.Errorf("%d bytes, wanted %d", bytes, w.bytes)
	}
}

// TestPrint holds the table to its columns.
func TestPrint(t *testing.T) {
	var out strings.Builder
	outcome{Phases: []phase{{"open", 0.04, 3 * megabyte, 18 * megabyte}, {"load and first step", 20.25, 620 * megabyte, 5 * gigabyte}}, Loss: 10.5, GradientNorm: 0.25, GradientSize: 7}.print(&out)
	want := `                phase  seconds  anonymous  resident
                 open      0.0       3 MB     18 MB
  load and first step     20.2     620 MB   5120 MB
loss 10.5000, gradient norm 0.25 over 7 values
`
	if out.String() != want {
		t.Errorf("got\n%swanted\n%s", out.String(), want)
	}
}

// TestLimits: what takes more than it may, or has no gradient, fails.
func TestLimits(t *testing.T) {
	limits := map[string]func(outcome) error{}
	for _, c := range checks {
		limits[c.name] = c.limit
		if _, ok := sizes[c.size]; !ok || roles[c.role] == nil || encoders[c.dtype].bytes == 0 {
			t.Errorf("%+v", c)
		}
	}
	of := func(anonymous, resident int64, norm float64) outcome {
		return outcome{Phases: []phase{{Anonymous: anonymous}, {Resident: resident}, {}}, GradientNorm: norm}
	}
	for _, test := range []struct {
		check string
		outcome
		want string
	}{
		{"export", of(300*megabyte, 10*gigabyte, 0), ""},
		{"export", of(301*megabyte, 10*gigabyte, 0), "301 MB of anonymous memory, wanted at most 300"},
		{"step", of(20*gigabyte, 24*gigabyte, 1), ""},
		{"step", of(1, 25*gigabyte, 1), "25600 MB of resident memory, wanted at most 24576"},
		{"step", of(1, 1, 0), "a gradient of norm 0"},
	} {
		err := limits[test.check](test.outcome)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, wanted %q", test.check, err, test.want)
		}
	}
}

// TestWriteCheckpoint: the same seed gives the same model in any type, of the
// published size, with the deviations it should have.
func TestWriteCheckpoint(t *testing.T) {
	var prints []models.Fingerprint
	for _, dtype := range []models.DType{models.F32, models.F16, models.BF16} {
		dir := t.TempDir()
		w, err := writeCheckpoint(t.Context(), dir, "toy", dtype)
		if err != nil {
			t.Fatal(err)
		}
		m, err := models.Open(t.Context(), dir, models.Options{CacheDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if m.Config.Parameters() != w.parameters || w.bytes != w.parameters*int64(encoders[dtype].bytes) {
			t.Errorf("%+v for %d parameters", w, m.Config.Parameters())
		}
		f, err := m.Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		prints = append(prints, f)
		if err := prints[0].Matches(f); err != nil {
			t.Errorf("%s: %v", dtype, err)
		}
		for _, weight := range models.WeightShapes(m.Config) {
			values, err := m.Checkpoint.Float32(weight.Name)
			if err != nil {
				t.Fatal(err)
			}
			sum, want := 0.0, deviation(m.Config, weight.Name)
			for _, v := range values {
				sum += float64(v) * float64(v)
			}
			variance := sum / float64(len(values))
			if strings.HasSuffix(weight.Name, "layer_norm.weight") {
				want = 1
			}
			if r := variance / (want * want); r < 0.7 || r > 1.3 {
				t.Errorf("%s: variance %g, wanted %g", weight.Name, variance, want*want)
			}
		}
	}
}

// TestPublishedSizes: parameters as published for T5 v1.1.
func TestPublishedSizes(t *testing.T) {
	for name, want := range map[string]int64{"small": 76_961_152, "base": 247_577_856, "large": 783_150_080, "xl": 2_849_757_184, "xxl": 11_135_332_352} {
		s := sizes[name]
		c := models.Config{VocabSize: s.vocab, DModel: s.dModel, DKV: 64, DFF: s.dFF, NumLayers: s.layers, NumDecoderLayers: s.layers, NumHeads: s.heads, NumBuckets: 32, Gated: true}
		if got := c.Parameters(); got != want {
			t.Errorf("%s has %d parameters, wanted %d", name, got, want)
		}
	}
}

// TestWatcher: memory that is taken is seen in its phase.
func TestWatcher(t *testing.T) {
	w, err := watch()
	if err != nil {
		t.Fatal(err)
	}
	w.phase("before")
	w.phase("during")
	const size = 64 << 20
	block := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		block[i] = 1
	}
	w.phase("after")
	phases, err := w.close()
	if err != nil || len(phases) != 3 || block[4096] != 1 {
		t.Fatal(phases, err)
	}
	if grown := phases[1].Anonymous - phases[0].Anonymous; grown < size/2 {
		t.Errorf("%d bytes were seen of %d", grown, size)
	}
	for _, p := range phases {
		if p.Anonymous <= 0 || p.Resident < p.Anonymous || p.Seconds <= 0 {
			t.Errorf("%+v", p)
		}
	}
}
