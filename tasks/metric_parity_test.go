package tasks

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// scoredFile is one file of predictions and what the official scorers say of it.
type scoredFile struct {
	Gold, Pred []json.RawMessage // integers or texts
	Groups     []string
	Rows       []struct {
		Text, Group string
		Answers     []string
	}
	Scores map[string]*float64 // null is not a number
}

// read makes examples and predictions of a file.
func (f *scoredFile) read(t *testing.T) (gold []Example, pred []Prediction) {
	t.Helper()
	for _, row := range f.Rows {
		gold = append(gold, Example{Answers: row.Answers, Group: row.Group})
		pred = append(pred, Prediction{Text: row.Text})
	}
	for i := range f.Gold {
		var ex Example
		var p Prediction
		if json.Unmarshal(f.Gold[i], &ex.Label) != nil || json.Unmarshal(f.Pred[i], &p.Class) != nil {
			if json.Unmarshal(f.Gold[i], &ex.Target) != nil || json.Unmarshal(f.Pred[i], &p.Text) != nil {
				t.Fatalf("%s and %s", f.Gold[i], f.Pred[i])
			}
		}
		if f.Groups != nil {
			ex.Group = f.Groups[i]
		}
		gold, pred = append(gold, ex), append(pred, p)
	}
	return gold, pred
}

// scoredBy says which metric has which score of which kind of file.
var scoredBy = map[string]map[string]Metric{
	"binary":     {"accuracy": Accuracy, "f1": F1, "matthews": Matthews, "multirc_f1a": MultiRCF1a, "multirc_em": MultiRCEM},
	"multiclass": {"accuracy": Accuracy, "macro_f1": MacroF1(3), "matthews": Matthews},
	"numbers":    {"pearson": Pearson, "spearman": Spearman},
	"squad":      {"em": SquadEM, "f1": SquadF1},
	"record":     {"em": RecordEM, "f1": RecordF1},
	"rouge":      {"rouge1": Rouge1, "rouge2": Rouge2, "rougeLsum": RougeLsum},
}

// Every metric is what the official scorers make of 200 random files, among
// them ties, outputs that name no class, empty texts and texts that are no
// number. testdata/metrics.json.gz is by tools/reference/metrics.py.
func TestMetricsLikeTheOfficialScorers(t *testing.T) {
	f, err := os.Open("testdata/metrics.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var kinds map[string][]scoredFile
	if err := json.NewDecoder(z).Decode(&kinds); err != nil {
		t.Fatal(err)
	}
	for kind, metrics := range scoredBy {
		if len(kinds[kind]) != 200 {
			t.Errorf("%d files of kind %s, want 200", len(kinds[kind]), kind)
		}
		for name, metric := range metrics {
			worst := 0.0
			for i, file := range kinds[kind] {
				want, ok := file.Scores[name]
				if !ok || len(file.Scores) != len(metrics) {
					t.Fatalf("%s file %d has the scores %v", kind, i, file.Scores)
				}
				got := metric.Score(file.read(t))
				switch {
				case want == nil && math.IsNaN(got):
				case want == nil || !near(got, *want):
					t.Errorf("%s file %d: %s is %v, want %v", kind, i, name, got, want)
				default:
					worst = max(worst, math.Abs(got-*want))
				}
			}
			t.Logf("%s, %s: 200 files, furthest %.1e", kind, name, worst)
		}
	}
}
