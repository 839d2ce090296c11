package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"softprompt/prompt/tune"
)

const metrics = `{"step":0,"held_out_score":60,"held_out_loss":1,"best":true}
{"step":10,"loss":2.5,"token_accuracy":0.5,"gradient_norm":1,"learning_rate":0.3}
{"step":10,"held_out_score":70,"held_out_loss":0.9,"best":true}
{"step":20,"loss":2.25,"token_accuracy":0.5,"gradient_norm":1,"learning_rate":0.3}
{"step":20,"held_out_score":65,"held_out_loss":0.9,"best":false}
{"step":10,"validation":{"split":"validation"}}
`

func TestReadCurve(t *testing.T) {
	c, err := readCurve(strings.NewReader(metrics))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.loss) != 2 || c.loss[1].X != 20 || c.loss[1].Y != 2.25 {
		t.Errorf("loss %v", c.loss)
	}
	if len(c.score) != 3 || c.score[0].Y != 60 || len(c.best) != 1 || c.best[0].X != 10 || c.best[0].Y != 70 {
		t.Errorf("score %v, best %v", c.score, c.best)
	}
	if _, err := readCurve(strings.NewReader("{}\nno\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("error %v", err)
	}
}

// TestDrawCurve draws runs of every length, one without a step among them.
func TestDrawCurve(t *testing.T) {
	lines := strings.SplitAfter(metrics, "\n")
	for n := range len(lines) + 1 {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, tune.MetricsFile), []byte(strings.Join(lines[:n], "")), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := drawCurve(dir); err != nil {
			t.Fatalf("%d lines: %v", n, err)
		}
		data, err := os.ReadFile(filepath.Join(dir, tune.CurveFile))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		dark := 0
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				if r, g, b, _ := img.At(x, y).RGBA(); r < 0x4000 && g < 0x7000 && b > 0x5000 && b < 0xa000 {
					dark++ // the line's ink
				}
			}
		}
		if drawn := dark > 100; drawn != (n >= 3) {
			t.Errorf("%d lines of the log: %d points of ink", n, dark)
		}
	}
	if err := drawCurve(t.TempDir()); err == nil {
		t.Error("no error without a log")
	}
}
