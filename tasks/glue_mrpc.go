package tasks

// mrpc is Microsoft's paraphrase corpus. GLUE may not hand it out: its script
// makes train.tsv and dev.tsv of Microsoft's training file by a list of
// numbers. Microsoft's own files are read where a folder has none of GLUE's.
// Then all of the training file, GLUE's 408 validation rows within, is trained
// on, and the 1,725 rows of the test file are what Validation and Test both
// name: they are apart from it, but scores on them are not to be compared with
// those on GLUE's validation split.
var mrpc = mrpcFiles(glueTask("MRPC", "", Task{
	Name:        "mrpc",
	Description: "MRPC: do two sentences say the same?",
	Fields:      []string{"sentence1", "sentence2"},
	Labels:      []string{"not_equivalent", "equivalent"},
	Template:    "sentence1: {sentence1} sentence2: {sentence2}",
	Metrics:     []Metric{F1, Accuracy},
	MaxInput:    192,
	HeldOut:     200,
	Rows:        map[Split]int{Train: 3668, Validation: 408},
	LabelField:  "Quality",
	LabelValues: []string{"0", "1"},
}, glueFiles{
	labelled: TSVFile{Columns: []string{"Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"}, As: mrpcFields},
	bare:     TSVFile{Columns: []string{"index", "#1 ID", "#2 ID", "#1 String", "#2 String"}, As: mrpcFields},
}))

// mrpcFields are what TFDS calls MRPC's strings.
var mrpcFields = map[string]string{"#1 String": "sentence1", "#2 String": "sentence2"}

// mrpcFiles adds Microsoft's form.
func mrpcFiles(t *Task) *Task {
	train := File{Name: "msr_paraphrase_train.txt", Read: t.Files[Train].Read}
	test := File{Name: "msr_paraphrase_test.txt", Read: t.Files[Train].Read}
	t.Others = []map[Split]File{{Train: train, Validation: test, Test: test}}
	t.Source = "https://dl.fbaipublicfiles.com/senteval/senteval_data/msr_paraphrase_train.txt and msr_paraphrase_test.txt, " +
		"which are read as they are, or split as GLUE does, https://gluebenchmark.com/tasks, or as Parquet from Hugging Face's nyu-mll/glue"
	return t
}
