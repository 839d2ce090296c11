package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"softprompt/onnx/atomicfile"
	"softprompt/prompt/report"
)

// colours tell the lines or bars of a figure apart (Okabe and Ito's, which the
// colour-blind can).
var colours = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff},
	{0xd5, 0x5e, 0x00, 0xff},
	{0x00, 0x9e, 0x73, 0xff},
	{0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff},
	{0x56, 0xb4, 0xe9, 0xff},
	{0x00, 0x00, 0x00, 0xff},
}

// drawFigures draws one figure for each task, as PNG and SVG, and returns the
// names of the PNGs. A setting in numbers that groups differ in becomes the
// axis; without one the groups stand side by side.
func drawFigures(dir string, r *report.Report) ([]string, error) {
	byTask := map[string][]*report.Group{}
	for _, g := range r.Groups {
		byTask[g.Values["task"]] = append(byTask[g.Values["task"]], g)
	}
	var names []string
	for _, task := range slices.Sorted(maps.Keys(byTask)) {
		groups := byTask[task]
		p, err := figure(task, r.Keys[1:], groups)
		if err != nil {
			return nil, fmt.Errorf("drawing the figure of %s: %w", task, err)
		}
		name := strings.TrimSuffix(filepath.Base(task), filepath.Ext(task))
		if slices.Contains(names, name+".png") { // another folder's task of that name
			name = fmt.Sprintf("%s-%d", name, len(names)+1)
		}
		for _, format := range []string{"png", "svg"} {
			w, err := p.WriterTo(16*vg.Centimeter, 10*vg.Centimeter, format)
			if err != nil {
				return nil, fmt.Errorf("drawing the figure of %s: %w", task, err)
			}
			var out bytes.Buffer
			if _, err := w.WriteTo(&out); err != nil {
				return nil, fmt.Errorf("drawing the figure of %s: %w", task, err)
			}
			if err := atomicfile.Write(filepath.Join(dir, name+"."+format), out.Bytes()); err != nil {
				return nil, err
			}
		}
		names = append(names, name+".png")
	}
	return names, nil
}

// figure draws the groups of a task.
func figure(task string, keys []string, groups []*report.Group) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = task
	p.Y.Label.Text = groups[0].Metric
	p.Y.Tick.Marker = plainTicks{}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = paper, paper
	p.Add(grid)
	p.Legend.Top = true
	axis := axisOf(keys, groups)
	if axis == "" {
		return p, bars(p, keys, groups)
	}
	p.X.Label.Text = axis
	return p, lines(p, axis, keys, groups)
}

// axisOf returns the first key whose values are numbers, at least two of them.
func axisOf(keys []string, groups []*report.Group) string {
	for _, k := range keys {
		values := map[string]bool{}
		for _, g := range groups {
			if _, err := strconv.ParseFloat(g.Values[k], 64); err != nil {
				values = nil
				break
			}
			values[g.Values[k]] = true
		}
		if len(values) > 1 {
			return k
		}
	}
	return ""
}

// point is a mean with its deviation up and down.
type point struct{ x, mean, deviation float64 }

// series are points in the form of the plotters.
type series []point

func (s series) Len() int                         { return len(s) }
func (s series) XY(i int) (x, y float64)          { return s[i].x, s[i].mean }
func (s series) YError(i int) (low, high float64) { return s[i].deviation, s[i].deviation }

// named is the group's values of the keys but one, for a legend.
func named(g *report.Group, keys []string, but string) string {
	var parts []string
	for _, k := range keys {
		if k != but {
			parts = append(parts, g.Values[k])
		}
	}
	return strings.Join(parts, ", ")
}

// lines draws a line over the axis for each set of the other settings.
func lines(p *plot.Plot, axis string, keys []string, groups []*report.Group) error {
	var order []string
	all := map[string]series{}
	for _, g := range groups {
		name := named(g, keys, axis)
		if all[name] == nil {
			order = append(order, name)
		}
		x, err := strconv.ParseFloat(g.Values[axis], 64)
		if err != nil {
			return err
		}
		all[name] = append(all[name], point{x, g.Mean, g.Deviation})
	}
	for i, name := range order {
		s := all[name]
		slices.SortFunc(s, func(a, b point) int { return cmp.Compare(a.x, b.x) })
		line, dots, err := plotter.NewLinePoints(s)
		if err != nil {
			return err
		}
		colour := colours[i%len(colours)]
		line.Color, line.Width = colour, vg.Points(1.2)
		dots.Color, dots.Shape, dots.Radius = colour, draw.CircleGlyph{}, vg.Points(2.5)
		errors, err := plotter.NewYErrorBars(s)
		if err != nil {
			return err
		}
		errors.Color = colour
		p.Add(line, dots, errors)
		if name != "" {
			p.Legend.Add(name, line, dots)
		}
	}
	margin := (p.X.Max - p.X.Min) / 30
	p.X.Min, p.X.Max = p.X.Min-margin, p.X.Max+margin
	return nil
}

// bars draws the groups side by side.
func bars(p *plot.Plot, keys []string, groups []*report.Group) error {
	var s series
	var names []string
	for i, g := range groups {
		s = append(s, point{float64(i), g.Mean, g.Deviation})
		name := named(g, keys, "")
		if name == "" {
			name = "all"
		}
		names = append(names, name)
		bar, err := plotter.NewBarChart(plotter.Values{g.Mean}, vg.Points(24))
		if err != nil {
			return err
		}
		bar.XMin, bar.Color = float64(i), colours[i%len(colours)]
		p.Add(bar)
	}
	errors, err := plotter.NewYErrorBars(s)
	if err != nil {
		return err
	}
	p.Add(errors)
	p.X.Min, p.X.Max = -0.6, float64(len(groups))-0.4
	p.NominalX(names...)
	return nil
}
