package tasks

// The tasks of GLUE (Wang et al. 2018). SST-2 and STS-B have files of their
// own.
//
// Casts, label words and class order are the reference's taskless form
// (prompt_tuning/data/glue.py over T5's glue preprocessor and TFDS's
// text/glue.py). The files are tab-separated without quoting; most have more
// columns than are asked about.

// cola is the Corpus of Linguistic Acceptability, whose files are the only
// ones without a header.
var cola = glueTask("CoLA", "CoLA", Task{
	Name:        "cola",
	Description: "CoLA: is a sentence good English?",
	Fields:      []string{"sentence"},
	Labels:      []string{"unacceptable", "acceptable"},
	Template:    "sentence: {sentence}",
	Metrics:     []Metric{Matthews},
	MaxInput:    96,
	HeldOut:     500,
	Rows:        map[Split]int{Train: 8551, Validation: 1043},
	LabelValues: []string{"0", "1"},
}, glueFiles{
	labelled: TSVFile{Columns: []string{"source", "label", "note", "sentence"}, Bare: true},
	bare:     TSVFile{Columns: []string{"index", "sentence"}},
})

// qqp is Quora's question pairs. A few published rows are broken by a line
// break within a question; they are left out, as TFDS does.
var qqp = glueTask("QQP", "QQP", Task{
	Name:        "qqp",
	Description: "QQP: do two questions ask the same?",
	Fields:      []string{"question1", "question2"},
	Blank:       []string{"question1", "question2"},
	Labels:      []string{"not_duplicate", "duplicate"},
	Template:    "question1: {question1} question2: {question2}",
	Metrics:     []Metric{F1, Accuracy},
	MaxInput:    256,
	HeldOut:     500,
	Rows:        map[Split]int{Train: 363849, Validation: 40430},
	LabelField:  "is_duplicate",
	LabelValues: []string{"0", "1"},
}, glueFiles{
	labelled: TSVFile{Columns: []string{"question1", "question2", "is_duplicate"}, Among: true, Ragged: true},
	bare:     TSVFile{Columns: []string{"question1", "question2"}, Among: true},
})

// mnli is entailment over ten kinds of text. Validation is the matched split,
// of the kinds trained on; the mismatched is of others.
var mnli = mnliSplits(glueTask("MNLI", "MNLI", Task{
	Name:        "mnli",
	Description: "MNLI: does a text entail a sentence, contradict it, or neither?",
	Fields:      []string{"hypothesis", "premise"},
	Blank:       []string{"hypothesis", "premise"},
	Labels:      []string{"entailment", "neutral", "contradiction"},
	Template:    "hypothesis: {hypothesis} premise: {premise}",
	Metrics:     []Metric{Accuracy},
	MaxInput:    256,
	HeldOut:     500,
	Rows:        map[Split]int{Train: 392702, Validation: 9815, ValidationMismatched: 9832},
	LabelField:  "gold_label",
	LabelValues: []string{"entailment", "neutral", "contradiction"},
}, glueFiles{
	labelled: TSVFile{Columns: []string{"sentence1", "sentence2", "gold_label"}, Among: true, As: mnliFields},
	bare:     TSVFile{Columns: []string{"sentence1", "sentence2"}, Among: true, As: mnliFields},
}))

// mnliFields are what TFDS calls MNLI's sentences.
var mnliFields = map[string]string{"sentence1": "premise", "sentence2": "hypothesis"}

// mnliSplits names the files of the two validation and test splits.
func mnliSplits(t *Task) *Task {
	labelled, bare := t.Files[Validation].Read, t.Files[Test].Read
	t.Files[Validation] = File{Name: "dev_matched.tsv", Read: labelled}
	t.Files[ValidationMismatched] = File{Name: "dev_mismatched.tsv", Read: labelled}
	t.Files[Test] = File{Name: "test_matched.tsv", Read: bare}
	t.Files[TestMismatched] = File{Name: "test_mismatched.tsv", Read: bare}
	return t
}

// qnli asks whether a sentence holds the answer to a question, made from
// SQuAD.
var qnli = glueTask("QNLI", "QNLIv2", Task{
	Name:        "qnli",
	Description: "QNLI: does a sentence answer a question?",
	Fields:      []string{"question", "sentence"},
	Labels:      []string{"entailment", "not_entailment"},
	Template:    "question: {question} sentence: {sentence}",
	Metrics:     []Metric{Accuracy},
	MaxInput:    256,
	HeldOut:     500,
	Rows:        map[Split]int{Train: 104743, Validation: 5463},
	LabelValues: []string{"entailment", "not_entailment"},
}, glueFiles{
	labelled: TSVFile{Columns: []string{"index", "question", "sentence", "label"}},
	bare:     TSVFile{Columns: []string{"index", "question", "sentence"}},
})

// glueRTE is textual entailment as GLUE publishes it; the name rte is
// SuperGLUE's, whose prompts the paper has.
var glueRTE = glueTask("RTE", "RTE", Task{
	Name:        "glue-rte",
	Description: "RTE (GLUE): does a text entail a sentence?",
	Fields:      []string{"sentence1", "sentence2"},
	Labels:      []string{"entailment", "not_entailment"},
	Template:    "sentence1: {sentence1} sentence2: {sentence2}",
	Metrics:     []Metric{Accuracy},
	MaxInput:    384,
	HeldOut:     200,
	Rows:        map[Split]int{Train: 2490, Validation: 277},
	LabelValues: []string{"entailment", "not_entailment"},
}, gluePair)

// wnli is the Winograd schema challenge as entailment.
var wnli = glueTask("WNLI", "WNLI", Task{
	Name:        "wnli",
	Description: "WNLI: does a text entail it with a pronoun's noun put in?",
	Fields:      []string{"sentence1", "sentence2"},
	Labels:      []string{"not_entailment", "entailment"},
	Template:    "sentence1: {sentence1} sentence2: {sentence2}",
	Metrics:     []Metric{Accuracy},
	MaxInput:    192,
	HeldOut:     50,
	Rows:        map[Split]int{Train: 635, Validation: 71},
	LabelValues: []string{"0", "1"},
}, gluePair)

// glueFiles says how a task's files are read, those with labels and the test
// split's.
type glueFiles struct{ labelled, bare TSVFile }

// gluePair is the form of RTE's and WNLI's files.
var gluePair = glueFiles{
	labelled: TSVFile{Columns: []string{"index", "sentence1", "sentence2", "label"}},
	bare:     TSVFile{Columns: []string{"index", "sentence1", "sentence2"}},
}

// glueTask completes a task that lies as train.tsv, dev.tsv and test.tsv in a
// folder of its own and is published as a zip.
func glueTask(folder, zip string, t Task, files glueFiles) *Task {
	t.Folders = []string{folder, "glue/" + folder, "."}
	t.Files = map[Split]File{
		Train:      {Name: "train.tsv", Read: files.labelled.Read},
		Validation: {Name: "dev.tsv", Read: files.labelled.Read},
		Test:       {Name: "test.tsv", Read: files.bare.Read},
	}
	t.Source = "the GLUE benchmark, https://gluebenchmark.com/tasks " +
		"(https://dl.fbaipublicfiles.com/glue/data/" + zip + ".zip), or as Parquet from Hugging Face's nyu-mll/glue"
	return t.withWords()
}
