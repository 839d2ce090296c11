package exported

import (
	"path/filepath"
	"testing"

	"softprompt/models"
)

func TestZZ(t *testing.T) {
	dirs, _ := filepath.Glob("/tmp/w/h8/[td][sy]_*")
	for _, d := range dirs {
		m, err := models.Open(t.Context(), d, models.Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		ck := m.Checkpoint
		m.Files = models.Files{Format: models.ONNX, Weights: []string{"encoder_model.onnx", "decoder_model.onnx"}}
		r, err := RecoverFiles(t.Context(), m)
		if err != nil {
			t.Error(d, err)
			continue
		}
		t.Log(d, r.Notes)
		for _, w := range r.weights {
			name := w.Name
			if name == headWeight {
				name = m.Config.HeadName()
			}
			want, err := ck.Float32(name)
			if err != nil {
				t.Error(err)
				continue
			}
			got := make([]float32, w.rows*w.cols)
			w.read(got, 0)
			sameNumbers(t, w.Name, got, want)
		}
	}
}
