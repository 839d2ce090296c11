package tasks

// imdb is the Large Movie Review Dataset (Maas et al. 2011): whole reviews,
// 25,000 to train on and 25,000 to test on.
//
// Everything is as in the reference's recipe
// (prompt_tuning/recycling/data/imdb.py): the input is the bare review without
// a field's name, its <br /> tags kept as they were published, the label words
// are negative and positive. There is no validation split; as there, what is
// reported is the test split, which Validation and Test both name, and the
// best step is chosen on training rows held out. In the built-in model's tokens
// a review is 330 long on average, and one in six is cut at 512.
var imdb = &Task{
	Name:        "imdb",
	Description: "IMDB: is a film review negative or positive?",
	Fields:      []string{"text"},
	Labels:      []string{"negative", "positive"},
	Template:    "{text}",
	Verbalizer: Verbalizer{
		Words:     [][]string{{"negative"}, {"positive"}},
		Aggregate: AggregateSum,
		Norm:      NormNone,
	},
	Metrics:   []Metric{Accuracy},
	MaxInput:  512,
	MaxTarget: 8,

	Folders: []string{"imdb", "aclImdb", "."},
	Files: map[Split]File{
		Train:      imdbFile("train"),
		Validation: imdbFile("test"),
		Test:       imdbFile("test"),
	},
	Rows:        map[Split]int{Train: 25000, Validation: 25000},
	LabelField:  "label",
	LabelValues: []string{"0", "1"},
	Source: "https://ai.stanford.edu/~amaas/data/sentiment, whose folder aclImdb is read as it is unpacked, " +
		"or as JSON lines from Hugging Face's stanfordnlp/imdb",
}

// imdbFile is a split as JSON lines, or as the original's folder of texts.
func imdbFile(split string) File {
	return File{
		Name: split + ".jsonl",
		Read: JSONL(JSONField{"text", JSONText}, JSONField{"label", JSONInteger}),
		Tree: &Tree{Folder: split, Classes: []string{"neg", "pos"}},
	}
}
