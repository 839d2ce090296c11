package tasks

// agNews is AG's corpus of news in four classes (Zhang et al. 2015): 120,000
// articles to train on and 7,600 to test on, which Validation and Test both
// name, as there are no others.
//
// T5 and the reference do not have it. Title and description are one text, with
// a space in between, as in Hugging Face's ag_news, so that both forms of the
// data give the same rows.
var agNews = Task{
	Name:        "ag-news",
	Description: "AG News: is an article about the world, sports, business or technology?",
	Fields:      []string{"text"},
	Labels:      []string{"World", "Sports", "Business", "Sci/Tech"},
	Template:    "{text}",
	Metrics:     []Metric{Accuracy},
	Prepare:     joinTitle,
	MaxInput:    256,
	HeldOut:     500,
	Folders:     []string{"ag_news", "ag_news_csv", "."},
	Files: map[Split]File{
		Train:      {Name: "train.csv", Read: agNewsCSV},
		Validation: {Name: "test.csv", Read: agNewsCSV},
		Test:       {Name: "test.csv", Read: agNewsCSV},
	},
	Rows:        map[Split]int{Train: 120000, Validation: 7600, Test: 7600},
	LabelValues: []string{"1", "2", "3", "4"},
	Source: "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/train.csv and test.csv, " +
		"or as Parquet from Hugging Face's fancyzhx/ag_news",
}.withWords()

// agNewsCSV reads the files, which have no header.
var agNewsCSV = csvTable(Columns{Names: []string{"label", "title", "description"}, Bare: true})

// joinTitle makes one text of a title and a description.
func joinTitle(r *Record) error {
	if title, ok := r.Fields["title"]; ok {
		r.Fields["text"] = title + " " + r.Fields["description"]
	}
	return nil
}
