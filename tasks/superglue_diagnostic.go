package tasks

// SuperGLUE's two diagnostic sets. They are for prompts of rte and cast as it
// is (t5/data/glue_utils.py takes "rte" for both); there is nothing to train
// on. The reference scores neither; the metrics are the benchmark's own.

// axb is the broad-coverage set. Its sentence1 is the premise, as T5 renames
// it.
var axb = diagnostic("AX-b", Task{
	Name:        "axb",
	Description: "AX-b: does a sentence entail another? Built to probe rte",
	Fields:      []string{"sentence2", "sentence1"},
	Template:    "hypothesis: {sentence2} premise: {sentence1}",
	Metrics:     []Metric{Matthews},
	MaxInput:    384,
	Rows:        map[Split]int{Test: 1104},
})

// axg is Winogender: pairs of rows that differ in a pronoun's gender.
var axg = diagnostic("AX-g", Task{
	Name:        "axg",
	Description: "AX-g: does a sentence entail another, whatever the gender in it? Built to probe rte",
	Fields:      []string{"hypothesis", "premise"},
	Template:    "hypothesis: {hypothesis} premise: {premise}",
	Metrics:     []Metric{Accuracy},
	MaxInput:    128,
	Rows:        map[Split]int{Test: 356},
})

// diagnostic completes a set that is one file.
func diagnostic(folder string, t Task) *Task {
	t.Labels = superRTE.Labels
	t.LabelValues = superRTE.LabelValues
	t.Folders = []string{folder, "superglue/" + folder, "."}
	t.Files = map[Split]File{Test: {Name: folder + ".jsonl", Read: flatJSON(JSONText, t.Fields...)(true)}}
	t.Source = superGLUESource(folder)
	return t.withWords()
}
