package tasks

import (
	"fmt"
	"strings"
)

// The out-of-domain sets of the MRQA 2019 shared task (Fisch et al. 2019), on
// which the paper scores prompts that were tuned on SQuAD. There is nothing to
// train on, and the cast is SQuAD's. TFDS calls the one split test, and the
// reference reports it as validation; here both names mean it.
var (
	mrqaTextbookQA = mrqaTask("textbookqa", "TextbookQA", "TextbookQA", "school books", 1503)
	mrqaBioASQ     = mrqaTask("bioasq", "BioASQ", "BioASQ", "abstracts of biomedical articles", 1504)
	mrqaRACE       = mrqaTask("race", "RACE", "RACE", "texts of English exams", 674)
	mrqaRE         = mrqaTask("re", "RelationExtraction", "RelationExtraction", "sentences of Wikipedia, by relation", 2948)
	mrqaDuoRC      = mrqaTask("duorc", "DuoRC", "DuoRC.ParaphraseRC", "plots of films, asked in other words", 1501)
	mrqaDROP       = mrqaTask("drop", "DROP", "DROP", "passages with numbers", 1503)
)

// mrqaTask is a set that lies in one file.
func mrqaTask(name, title, file, about string, rows int) *Task {
	set := File{Name: file + ".jsonl", Read: mrqaFile}
	where := "https://s3.us-east-2.amazonaws.com/mrqa/release/v2/dev/" + file + ".jsonl.gz"
	if name == "bioasq" {
		where = "http://participants-area.bioasq.org/MRQA2019/ (as " + file + ".jsonl.gz)"
	}
	var others []map[Split]File
	if short, _, long := strings.Cut(file, "."); long { // as the shared task's script calls it
		set := File{Name: short + ".jsonl", Read: mrqaFile}
		others = append(others, map[Split]File{Validation: set, Test: set})
	}
	return readingTask(Task{
		Name:        "mrqa-" + name,
		Description: fmt.Sprintf("%s (MRQA): questions on %s; for prompts of squad", title, about),
		Folders:     []string{"mrqa", "MRQA", "."},
		Files:       map[Split]File{Validation: set, Test: set},
		Others:      others,
		Rows:        map[Split]int{Validation: rows, Test: rows},
		Source:      where + ", which is read as it is",
	})
}

// mrqaFile reads JSON lines: a header, and then a context with its questions a
// line. All answers to a question are in a list of texts.
var mrqaFile = jsonLines(func(line jsonObject) ([]Record, error) {
	if _, header := line["header"]; header {
		return nil, nil
	}
	return passageQuestions(line, func(qa jsonObject) ([]string, error) {
		raw, err := qa.value("answers", "a list of texts")
		if err != nil {
			return nil, err
		}
		texts, err := jsonTexts(raw)
		if err != nil {
			return nil, fmt.Errorf("the answers are %.40s: %w", raw, err)
		}
		return texts, nil
	})
})
