package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"softprompt/onnx/atomicfile"
	"softprompt/prompt/report"
)

// reportCmd puts runs side by side.
type reportCmd struct {
	Dirs     []string `arg:"" name:"dir" help:"Run folders, or folders with runs anywhere below."`
	Out      string   `placeholder:"DIR" help:"Folder for report.md, table.csv and the figures, PNG and SVG."`
	Baseline []string `placeholder:"KEY=VALUE" sep:"none" help:"Compare every group with the one that has this setting, answer by answer; may be repeated."`
}

// Help has the examples.
func (reportCmd) Help() string {
	return `Runs that differ in their seed alone are a group; settings that tell groups apart become
columns. With a baseline each group's share of right answers is compared with the
baseline's, seed by seed, by a paired bootstrap over answers and seeds.

    softprompt report runs/methods
    softprompt report runs/lengths --out report
    softprompt report runs/a runs/b --baseline method=prompt-tuning --json`
}

// reportedRuns is the JSON form of a report.
type reportedRuns struct {
	*report.Report
	SuperGLUE  []report.SuperGLUE `json:"superglue,omitempty"`
	Unfinished []string           `json:"unfinished,omitempty"`
}

// Run reports.
func (c *reportCmd) Run(_ context.Context, ui *tui) error {
	baseline := map[string]string{}
	for _, b := range c.Baseline {
		key, value, ok := strings.Cut(b, "=")
		if !ok {
			return usagef("--baseline is %q, want KEY=VALUE", b)
		}
		baseline[key] = value
	}
	runs, unfinished, err := report.Load(c.Dirs...)
	if err != nil {
		return err
	}
	for _, dir := range unfinished {
		ui.warn("%s has not come to its end and is left out", dir)
	}
	r := report.New(runs)
	if len(baseline) > 0 {
		if err := r.Against(baseline); err != nil {
			return err
		}
	}
	if c.Out != "" {
		if err := writeReport(c.Out, r); err != nil {
			return err
		}
	}
	if ui.json {
		return ui.emit(reportedRuns{r, r.SuperGLUE(), unfinished})
	}
	ui.numbers(reportTable(r)...)
	for _, note := range notes(r) {
		ui.printf("\n%s\n", note)
	}
	return nil
}

// reportTable has a row for each group.
func reportTable(r *report.Report) [][]string {
	against := false
	for _, g := range r.Groups {
		against = against || g.Against != nil
	}
	head := append(append([]string{}, r.Keys...), "score", "rows", "runs", "commonest", "no prompt", "tuned", "best")
	if against {
		head = append(head, "right answers against the baseline")
	}
	rows := [][]string{head}
	for _, g := range r.Groups {
		var row []string
		for _, k := range r.Keys {
			row = append(row, g.Values[k])
		}
		mean := overSeeds(g.Mean, g.Deviation, len(g.Scores))
		if g.Chosen {
			mean += " *"
		}
		row = append(row, g.Metric, count(int64(g.Examples)), fmt.Sprint(len(g.Scores)),
			fmt.Sprintf("%.1f", g.Majority), fmt.Sprintf("%.1f", g.NoPrompt), mean, fmt.Sprintf("%.1f", g.Best))
		if a := g.Against; a != nil {
			row = append(row, fmt.Sprintf("%+.2f (%+.2f to %+.2f, %s)", a.Difference, a.Low, a.High, plural(a.Seeds, "seed")))
		}
		rows = append(rows, row)
	}
	return rows
}

// overSeeds writes a mean, with its deviation where there are several seeds.
func overSeeds(mean, deviation float64, n int) string {
	if n < 2 {
		return fmt.Sprintf("%.1f", mean)
	}
	return fmt.Sprintf("%.1f ± %.1f", mean, deviation)
}

// notes say what the table does not.
func notes(r *report.Report) []string {
	var list []string
	for _, s := range r.SuperGLUE() {
		var of []string
		for _, k := range r.Keys[1:] {
			of = append(of, k+" "+s.Values[k])
		}
		text := fmt.Sprintf("SuperGLUE %.1f", s.Score)
		if len(of) > 0 {
			text += " (" + strings.Join(of, ", ") + ")"
		}
		if len(s.Missing) > 0 {
			text += ", over what was run: without " + strings.Join(s.Missing, ", ")
		}
		list = append(list, text)
	}
	if alone := r.Alone; len(alone) > 0 {
		list = append(list, "without a baseline that agrees in all else, or without answers to compare: "+strings.Join(alone, ", "))
	}
	for _, g := range r.Groups {
		if g.Chosen {
			list = append(list, "* the best step was chosen on the reported rows, as the paper does: the score flatters")
			break
		}
	}
	return list
}

// writeReport writes the table, in Markdown and CSV, and the figures.
func writeReport(dir string, r *report.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	figures, err := drawFigures(dir, r)
	if err != nil {
		return err
	}
	table := reportTable(r)
	var md, comma bytes.Buffer
	for i, row := range table {
		row = append(slices.Clone(row), make([]string, len(table[0])-len(row))...)
		for j := range row {
			row[j] = strings.ReplaceAll(row[j], "|", `\|`)
		}
		fmt.Fprintf(&md, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&md, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
	for _, note := range notes(r) {
		fmt.Fprintf(&md, "\n%s\n", note)
	}
	for _, f := range figures {
		fmt.Fprintf(&md, "\n![%s](%s)\n", strings.TrimSuffix(f, ".png"), f)
	}
	w := csv.NewWriter(&comma)
	if err := w.WriteAll(table); err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, "report.md"), md.Bytes()); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, "table.csv"), comma.Bytes())
}
