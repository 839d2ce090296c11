"""Rows of SQuAD and MRQA as T5 and prompt tuning cast them.

    python question_tasks.py

Writes tasks/testdata/golden/questions.json for the files in tasks/testdata/casts. The cast is a transcription of T5's squad
(t5/data/preprocessors.py) in plain Python, so that no TensorFlow is needed; casts.py runs T5's own code. tf.strings' \\s and
[[:punct:]] are RE2's: ASCII alone, without the vertical tab.
"""

import json
import pathlib
import re
import string

SPACE = re.compile(r"[\t\n\f\r ]+")
PUNCTUATION = re.compile("([" + re.escape(string.punctuation) + "])")

FILES = {"squad": "squad/train-v1.1.json", "mrqa-textbookqa": "mrqa/TextbookQA.jsonl", "mrqa-drop": "mrqa/DROP.jsonl"}


def pad_punctuation(text):
    return SPACE.sub(" ", PUNCTUATION.sub(r" \1 ", text))


def string_join(parts):
    return SPACE.sub(" ", " ".join(parts))


def cast(question, context, answers):
    padded = [pad_punctuation(a) for a in answers]
    text = string_join(["question:", pad_punctuation(question), "context:", pad_punctuation(context)])
    return {"input": text, "target": padded[0], "answers": padded}


def questions(path):
    """The questions of a file in SQuAD's form, or in MRQA's: question, context, right answers."""
    if path.suffix == ".json":
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                for qa in paragraph["qas"]:
                    yield qa["question"], paragraph["context"], [a["text"] for a in qa["answers"]]
        return
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:  # the first is a header
        line = json.loads(line)
        for qa in line["qas"]:
            yield qa["question"], line["context"], qa["answers"]


def main():
    data = pathlib.Path(__file__).parents[2] / "tasks" / "testdata"
    out = {task: [cast(*row) for row in questions(data / "casts" / file)] for task, file in FILES.items()}
    (data / "golden" / "questions.json").write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
