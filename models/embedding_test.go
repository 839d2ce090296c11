package models

import (
	"context"
	"slices"
	"testing"
)

func TestEmbedding(t *testing.T) {
	m, err := Open(context.Background(), "tiny", Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	row, rows, err := m.Embedding()
	if err != nil {
		t.Fatal(err)
	}
	table, err := m.Checkpoint.Float32("shared.weight")
	if err != nil {
		t.Fatal(err)
	}
	d := m.Config.DModel
	if rows*d != len(table) {
		t.Fatalf("%d rows of %d, want %d values", rows, d, len(table))
	}
	for _, id := range []int{0, 1, 4711, rows - 1} {
		if !slices.Equal(row(id), table[id*d:(id+1)*d]) {
			t.Errorf("row %d differs from the table", id)
		}
	}
	if row(-1) != nil || row(rows) != nil {
		t.Error("a row outside the table")
	}
}

// TestParameters holds the count against the table of reference
// google-research/prompt-tuning (the paper's table 4 counts the same models)
// and against the file of the tiny one.
func TestParameters(t *testing.T) {
	v11 := func(layers, d, ff, heads int) Config {
		return Config{
			VocabSize: 32128, DModel: d, DKV: 64, DFF: ff, NumHeads: heads, NumLayers: layers,
			NumDecoderLayers: layers, NumBuckets: 32, Gated: true,
		}
	}
	for want, c := range map[int64]Config{
		76_961_152:     v11(8, 512, 1024, 6),
		247_577_856:    v11(12, 768, 2048, 12),
		783_150_080:    v11(24, 1024, 2816, 16),
		2_849_757_184:  v11(24, 2048, 5120, 32),
		11_135_332_352: v11(24, 4096, 10240, 64),
	} {
		if got := c.Parameters(); got != want {
			t.Errorf("d_model %d: %d parameters, want %d", c.DModel, got, want)
		}
	}
	m, err := Open(context.Background(), "tiny", Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var n int64
	for _, name := range m.Checkpoint.Names() {
		info, _ := m.Checkpoint.Lookup(name)
		n += info.Elements()
	}
	if got := m.Config.Parameters(); got != n {
		t.Errorf("tiny: %d parameters, its file has %d", got, n)
	}
}
