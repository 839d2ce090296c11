package tasks

// sst2 is the binary Stanford Sentiment Treebank as GLUE publishes it.
//
// The cast is the reference's taskless form, "sentence: S"
// (prompt_tuning/data/glue.py over T5's glue preprocessor), with the sentence
// as published: the files end every sentence in a space, TFDS keeps it, and
// T5's tokenizer drops it. Class 0 is negative, class 1 positive. The longest
// sentence has about 70 tokens.
var sst2 = &Task{
	Name:        "sst2",
	Description: "SST-2: is a sentence from a film review negative or positive?",
	Fields:      []string{"sentence"},
	Labels:      []string{"negative", "positive"},
	Template:    "sentence: {sentence}",
	Verbalizer: Verbalizer{
		Words:     [][]string{{"negative"}, {"positive"}},
		Aggregate: AggregateSum,
		Norm:      NormNone,
	},
	Metrics:   []Metric{Accuracy},
	MaxInput:  128,
	MaxTarget: 8,

	Folders: []string{"SST-2", "glue/SST-2", "."},
	Files: map[Split]File{
		Train:      {Name: "train.tsv", Read: TSV("sentence", "label")},
		Validation: {Name: "dev.tsv", Read: TSV("sentence", "label")},
		Test:       {Name: "test.tsv", Read: TSV("index", "sentence")},
	},
	Rows:        map[Split]int{Train: 67349, Validation: 872},
	LabelField:  "label",
	LabelValues: []string{"0", "1"},
	Source:      "the GLUE benchmark, https://gluebenchmark.com/tasks",
}
