package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"softprompt/onnx/atomicfile"
	"softprompt/prompt/tune"
)

// curve is what a run's log says about its course.
type curve struct {
	loss, score plotter.XYs // by step
	best        plotter.XYs // the steps that were the best so far
}

// readCurve reads the metrics of a run.
func readCurve(r io.Reader) (curve, error) {
	var c curve
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		var line struct {
			Step  float64  `json:"step"`
			Loss  *float64 `json:"loss"`
			Score *float64 `json:"held_out_score"`
			Best  bool     `json:"best"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return c, fmt.Errorf("line %d: %w", n, err)
		}
		if line.Loss != nil {
			c.loss = append(c.loss, plotter.XY{X: line.Step, Y: *line.Loss})
		}
		if line.Score != nil {
			c.score = append(c.score, plotter.XY{X: line.Step, Y: *line.Score})
			if line.Best {
				c.best = c.score[len(c.score)-1:]
			}
		}
	}
	return c, lines.Err()
}

// drawCurve draws the loss and the score of the run in a folder into a file
// there.
func drawCurve(dir string) error {
	path := filepath.Join(dir, tune.MetricsFile)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := readCurve(f)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	img, err := c.png()
	if err != nil {
		return fmt.Errorf("drawing the curve of %s: %w", dir, err)
	}
	return atomicfile.Write(filepath.Join(dir, tune.CurveFile), img)
}

var (
	ink   = color.RGBA{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff}
	paper = color.RGBA{R: 0xdd, G: 0xdd, B: 0xdd, A: 0xff}
	mark  = color.RGBA{R: 0xc0, G: 0x39, B: 0x2b, A: 0xff}
)

// png draws two panels over one axis of steps: the loss on the training rows
// above, the score on those to choose the best step on below, its best step marked.
func (c curve) png() ([]byte, error) {
	upper, err := panel("loss (training rows)", c.loss)
	if err != nil {
		return nil, err
	}
	lower, err := panel("score (rows to choose on)", c.score)
	if err != nil {
		return nil, err
	}
	lower.X.Label.Text = "step"
	if len(c.best) > 0 {
		best, err := plotter.NewScatter(c.best)
		if err != nil {
			return nil, err
		}
		best.GlyphStyle = draw.GlyphStyle{Color: mark, Radius: vg.Points(3.5), Shape: draw.CircleGlyph{}}
		lower.Add(best)
		lower.Title.Text = fmt.Sprintf("best %.1f at step %.0f", c.best[0].Y, c.best[0].X)
		lower.Title.TextStyle.Color = mark
	}
	upper.X.Min = min(upper.X.Min, lower.X.Min)
	upper.X.Max = max(upper.X.Max, lower.X.Max)
	lower.X.Min, lower.X.Max = upper.X.Min, upper.X.Max

	img := vgimg.NewWith(vgimg.UseWH(16*vg.Centimeter, 12*vg.Centimeter), vgimg.UseDPI(150))
	plots := [][]*plot.Plot{{upper}, {lower}}
	tiles := draw.Tiles{
		Rows: 2, Cols: 1, PadX: vg.Millimeter, PadY: 3 * vg.Millimeter,
		PadTop: 3 * vg.Millimeter, PadBottom: 2 * vg.Millimeter, PadLeft: 2 * vg.Millimeter, PadRight: 4 * vg.Millimeter,
	}
	for i, row := range plot.Align(plots, tiles, draw.New(img)) {
		plots[i][0].Draw(row[0])
	}
	var out bytes.Buffer
	_, err = vgimg.PngCanvas{Canvas: img}.WriteTo(&out)
	return out.Bytes(), err
}

// panel draws one line over the steps.
func panel(label string, points plotter.XYs) (*plot.Plot, error) {
	p := plot.New()
	p.Y.Label.Text = label
	p.Y.Tick.Marker = plainTicks{}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = paper, paper
	p.Add(grid)
	if len(points) == 0 {
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
		return p, nil
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = ink, vg.Points(1.2)
	p.Add(line)
	return p, nil
}

// plainTicks writes numbers as long as they need to be told apart: the
// package's own ticks round labels of a narrow range to the same text.
type plainTicks struct{ plot.DefaultTicks }

// Ticks returns the default ticks with new labels.
func (p plainTicks) Ticks(low, high float64) []plot.Tick {
	ticks := p.DefaultTicks.Ticks(low, high)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = strconv.FormatFloat(math.Round(ticks[i].Value*1e6)/1e6, 'f', -1, 64)
		}
	}
	return ticks
}
