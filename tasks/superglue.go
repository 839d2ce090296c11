package tasks

import "fmt"

// The tasks of SuperGLUE (Wang et al. 2019) that have one row a line and label
// words. MultiRC, ReCoRD and WSC have files of their own.
//
// The casts are the reference's taskless form (prompt_tuning/data/super_glue.py
// over T5's glue preprocessor, t5/data/preprocessors.py): "key: value" pairs in
// the alphabetical order of the keys unless T5 gives another, without the
// task's name. Label words and their class order are those of TFDS.

// boolQ is yes/no questions about a paragraph. As in T5 the question comes
// last, so it is what is cut off a long input: 24 of the 3,270 validation rows
// are over 512 tokens of the built-in model's.
var boolQ = superGLUETask("BoolQ", Task{
	Name:        "boolq",
	Description: "BoolQ: does a passage answer a question with yes?",
	Fields:      []string{"passage", "question"},
	Labels:      []string{"False", "True"},
	Template:    "passage: {passage} question: {question}",
	Metrics:     []Metric{Accuracy},
	MaxInput:    512,
	HeldOut:     400,
	Rows:        map[Split]int{Train: 9427, Validation: 3270},
	LabelValues: []string{"false", "true"},
}, flatJSON(JSONBool, "passage", "question"))

// cb is CommitmentBank: how far a writer is committed to a clause.
var cb = superGLUETask("CB", Task{
	Name:        "cb",
	Description: "CB: does a text entail a clause in it, contradict it, or leave it open?",
	Fields:      []string{"hypothesis", "premise"},
	Labels:      []string{"entailment", "contradiction", "neutral"},
	Template:    "hypothesis: {hypothesis} premise: {premise}",
	Metrics:     []Metric{MacroF1(3), Accuracy},
	MaxInput:    384,
	HeldOut:     50,
	Rows:        map[Split]int{Train: 250, Validation: 56},
	LabelValues: []string{"entailment", "contradiction", "neutral"},
}, flatJSON(JSONText, "hypothesis", "premise"))

// copa asks for the cause or the effect of an event. Its label words name the
// place of the right alternative, as in T5.
var copa = superGLUETask("COPA", Task{
	Name:        "copa",
	Description: "COPA: which of two events is the cause or the effect of a third?",
	Fields:      []string{"choice1", "choice2", "premise", "question"},
	Labels:      []string{"choice1", "choice2"},
	Template:    "choice1: {choice1} choice2: {choice2} premise: {premise} question: {question}",
	Metrics:     []Metric{Accuracy},
	MaxInput:    96,
	HeldOut:     50,
	Rows:        map[Split]int{Train: 400, Validation: 100},
	LabelValues: []string{"0", "1"},
}, flatJSON(JSONInteger, "choice1", "choice2", "premise", "question"))

// superRTE is textual entailment, of the same sentences as GLUE's and under
// other names of the fields.
var superRTE = superGLUETask("RTE", Task{
	Name:        "rte",
	Description: "RTE (SuperGLUE): does a text entail a sentence?",
	Fields:      []string{"hypothesis", "premise"},
	Labels:      []string{"entailment", "not_entailment"},
	Template:    "hypothesis: {hypothesis} premise: {premise}",
	Metrics:     []Metric{Accuracy},
	MaxInput:    384,
	HeldOut:     200,
	Rows:        map[Split]int{Train: 2490, Validation: 277},
	LabelValues: []string{"entailment", "not_entailment"},
}, flatJSON(JSONText, "hypothesis", "premise"))

// wic asks about a word in two sentences. T5 gives the order of the fields and
// leaves out where in the sentences the word stands.
var wic = superGLUETask("WiC", Task{
	Name:        "wic",
	Description: "WiC: does a word mean the same in two sentences?",
	Fields:      []string{"sentence1", "sentence2", "word"},
	Labels:      []string{"False", "True"},
	Template:    "sentence1: {sentence1} sentence2: {sentence2} word: {word}",
	Metrics:     []Metric{Accuracy},
	MaxInput:    128,
	HeldOut:     400,
	Rows:        map[Split]int{Train: 5428, Validation: 638},
	LabelValues: []string{"false", "true"},
}, flatJSON(JSONBool, "sentence1", "sentence2", "word"))

// superGLUETask completes a task that lies as train.jsonl, val.jsonl and
// test.jsonl in a folder of its own; read says how its files are read, of
// which the last has no labels.
func superGLUETask(folder string, t Task, read func(labelled bool) Reader) *Task {
	t.Folders = []string{folder, "superglue/" + folder, "."}
	t.Files = map[Split]File{
		Train:      {Name: "train.jsonl", Read: read(true)},
		Validation: {Name: "val.jsonl", Read: read(true)},
		Test:       {Name: "test.jsonl", Read: read(false)},
	}
	t.Source = superGLUESource(folder)
	return t.withWords()
}

// superGLUESource says where a task's folder can be had.
func superGLUESource(folder string) string {
	return "the SuperGLUE benchmark, https://super.gluebenchmark.com/tasks " +
		"(https://dl.fbaipublicfiles.com/glue/superglue/data/v2/" + folder + ".zip), or as Parquet from Hugging Face's aps/super_glue"
}

// withWords completes a task with what nearly all have: the names of the
// classes are the label words, the label is in "label", and targets are short.
func (t Task) withWords() *Task {
	if t.Class == nil {
		t.Verbalizer = sameWords(t.Labels)
	}
	if len(t.LabelValues) > 0 && t.LabelField == "" {
		t.LabelField = "label"
	}
	if t.MaxTarget == 0 {
		t.MaxTarget = 8
	}
	return &t
}

// sameWords has the names of the classes for label words.
func sameWords(labels []string) Verbalizer {
	v := Verbalizer{Aggregate: AggregateSum, Norm: NormNone}
	for _, label := range labels {
		v.Words = append(v.Words, []string{label})
	}
	return v
}

// flatJSON reads JSON lines with some texts and, in labelled files, a label.
func flatJSON(label JSONType, texts ...string) func(labelled bool) Reader {
	return func(labelled bool) Reader {
		var fields []JSONField
		for _, key := range texts {
			fields = append(fields, JSONField{key, JSONText})
		}
		if labelled {
			fields = append(fields, JSONField{"label", label})
		}
		return JSONL(fields...)
	}
}

// superGLUEPassage reads what a line of MultiRC and of ReCoRD begins with: its
// number, and a passage with its text.
func superGLUEPassage(line jsonObject) (number int, passage jsonObject, text string, err error) {
	if number, err = line.integer("idx"); err != nil {
		return 0, nil, "", err
	}
	if passage, err = line.object("passage"); err != nil {
		return 0, nil, "", err
	}
	if text, err = passage.text("text"); err != nil {
		err = fmt.Errorf("in the passage: %w", err)
	}
	return number, passage, text, err
}
