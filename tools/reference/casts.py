"""What Google's task code makes of the rows in tasks/testdata/casts.

    make -C tools/reference casts

The files are read by TFDS (text/glue.py and text/super_glue.py, _generate_examples), cast by T5 (t5/data/glue_utils.py names
the preprocessor of each task in t5/data/preprocessors.py), and freed of the task's name as prompt tuning does. SQuAD's and
MRQA's JSON is read here, and cast by T5's squad, which prompt tuning has for both. Writes casts.json: for each task and split
its rows in order, with the input, the class (-1 for none), the targets to train on, and where the task has them the right
answers and the choices; and for WSC what T5's postprocessor makes of written texts.

The environment is its own (requirements-casts.txt): T5's code needs TensorFlow, and nothing else here does.
"""

import functools
import json
import pathlib
import re
import sys
import types

import numpy as np
import tensorflow as tf
from t5.data import glue_utils, postprocessors, preprocessors
from tensorflow_datasets.text import glue, super_glue

# Our name, the benchmark's code, its configuration, and a file for each split. "." is where MRPC has several.
TASKS = [
    ("boolq", super_glue.SuperGlue, "boolq", {"train": "superglue/BoolQ/train.jsonl"}),
    ("cb", super_glue.SuperGlue, "cb", {"train": "superglue/CB/train.jsonl"}),
    ("copa", super_glue.SuperGlue, "copa", {"train": "superglue/COPA/train.jsonl"}),
    ("multirc", super_glue.SuperGlue, "multirc", {"train": "superglue/MultiRC/train.jsonl"}),
    ("record", super_glue.SuperGlue, "record", {"train": "superglue/ReCoRD/train.jsonl"}),
    ("rte", super_glue.SuperGlue, "rte", {"train": "superglue/RTE/train.jsonl"}),
    ("wic", super_glue.SuperGlue, "wic", {"train": "superglue/WiC/train.jsonl"}),
    ("wsc", super_glue.SuperGlue, "wsc.fixed",
     {"train": "superglue/WSC/train.jsonl", "validation": "superglue/WSC/val.jsonl"}),
    ("axb", super_glue.SuperGlue, "axb", {"test": "superglue/AX-b/AX-b.jsonl"}),
    ("axg", super_glue.SuperGlue, "axg", {"test": "superglue/AX-g/AX-g.jsonl"}),
    ("cola", glue.Glue, "cola", {"train": "glue/CoLA/train.tsv"}),
    ("sst2", glue.Glue, "sst2", {"train": "glue/SST-2/train.tsv"}),
    ("mrpc", glue.Glue, "mrpc", {"train": "glue/MRPC/msr_paraphrase_train.txt"}),
    ("qqp", glue.Glue, "qqp", {"train": "glue/QQP/train.tsv"}),
    ("stsb", glue.Glue, "stsb", {"train": "glue/STS-B/train.tsv"}),
    ("mnli", glue.Glue, "mnli", {
        "train": "glue/MNLI/train.tsv",
        "validation": "glue/MNLI/dev_matched.tsv",
        "validation_mismatched": "glue/MNLI/dev_mismatched.tsv"}),
    ("qnli", glue.Glue, "qnli", {"train": "glue/QNLI/train.tsv"}),
    ("glue-rte", glue.Glue, "rte", {"train": "glue/RTE/train.tsv"}),
    ("wnli", glue.Glue, "wnli", {"train": "glue/WNLI/train.tsv"}),
]

# Tasks of SQuAD's kind: our name, the split, the file.
READING = [
    ("squad", "train", "squad/train-v1.1.json"),
    ("mrqa-textbookqa", "test", "mrqa/TextbookQA.jsonl"),
    ("mrqa-bioasq", "test", "mrqa/BioASQ.jsonl"),
    ("mrqa-race", "test", "mrqa/RACE.jsonl"),
    ("mrqa-re", "test", "mrqa/RelationExtraction.jsonl"),
    ("mrqa-duorc", "test", "mrqa/DuoRC.ParaphraseRC.jsonl"),
    ("mrqa-drop", "test", "mrqa/DROP.jsonl"),
]


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


def cast_question(question, context, answers):
    """A question as T5's squad casts it."""
    data = tf.data.Dataset.from_tensors({"id": "0", "question": question, "context": context, "answers": {"text": answers}})
    row = next(iter(preprocessors.squad(data)))
    return {"input": text(row["inputs"]), "label": -1, "targets": [text(row["targets"])], "answers": [text(a) for a in row["answers"]]}


def read(code, config, path, split):
    """Reads a file as TFDS does, classes as numbers."""
    builder = types.SimpleNamespace(builder_config=config)
    builder._generate_example_mrpc_files = functools.partial(glue.Glue._generate_example_mrpc_files, builder)
    more = {}
    if config.name == "mrpc":
        nothing = path.parent / "no_dev_ids"
        nothing.write_text("")
        more = {"mrpc_files": {"train": path, "dev_ids": nothing}}
    rows = [row for _, row in code._generate_examples(builder, path, "dev" if split.startswith("val") else split, **more)]
    if more:
        nothing.unlink()
    for row in rows:
        if config.name == "wsc.fixed":
            row["label"] = int(row["label"] == "True")
        elif isinstance(row.get("label"), str):
            row["label"] = config.label_classes.index(row["label"])
    return rows


def preprocessor(config):
    """T5's way from a row to text, as its tasks.py puts it together."""
    if config.name == "wsc.fixed":
        return preprocessors.wsc_simple  # the evaluation's form: training keeps the rows of class 1
    cast = glue_utils.get_glue_text_preprocessor(config)
    if config.name == "axb":
        keys = {"premise": "sentence1", "hypothesis": "sentence2", "label": "label", "idx": "idx"}
        return lambda data: cast(preprocessors.rekey(data, keys))
    return cast


def text(value):
    return value.numpy().decode("utf-8")


def cast(row, config):
    """One row's cast; of a row with several targets the one input and all targets."""
    data = tf.data.Dataset.from_tensors(tf.nest.map_structure(
        tf.constant, {k: (v if isinstance(v, dict) else np.float32(v) if isinstance(v, float) else v) for k, v in row.items()}))
    rows = list(preprocessor(config)(data))
    # prompt_tuning/data/preprocessors.py, remove_first_text_token
    inputs = {re.sub(r"^[^ ]* ", "", text(r["inputs"])) for r in rows}
    assert len(inputs) == 1
    out = {"input": inputs.pop(), "label": -1, "targets": [text(r["targets"]) for r in rows]}
    if config.name == "record":
        out["answers"], out["choices"] = row["answers"], row["entities"]
    elif config.name != "stsb":
        out["label"] = int(row["label"])
    if config.name == "wsc.fixed":
        out["answers"] = out["targets"]
        if not row["label"]:
            out["targets"] = []  # correct_referent_only
    return out


def wsc_readings():
    """What T5 makes of written texts: [written, noun, class]."""
    nouns = ["Bob", "the fuzzy bunny", "Bob's hat", "His  two hands", "The", "Ada Lovelace"]
    written = ["", " ", "the", "The", "bob", "Bob ", "Bob's", "bunny", "A fuzzy bunny", "fuzzy\tbunny", "fuzzy  bunny", "bunny.",
               "hat", "bob's hat", "Bob's  hat", "hands", "two hands", " two", "Lovelace", "ADA lovelace", "ada or bob", "Ada Lovelace Ada",
               "every many", "\u00a0Bob\u00a0", "BOB\u00a0", "\u0130", "'", "True"]
    return [[w, n, postprocessors.wsc_simple(w, {"targets_pretokenized": n})] for n in nouns for w in written]


def main():
    folder = pathlib.Path(sys.argv[1])
    out = {"tasks": {}, "wsc": wsc_readings()}
    for name, code, config, files in TASKS:
        config = next(c for c in code.BUILDER_CONFIGS if c.name == config)
        out["tasks"][name] = {
            split: [cast(row, config) for row in read(code, config, folder / "casts" / file, split)]
            for split, file in files.items()
        }
    for name, split, file in READING:
        out["tasks"][name] = {split: [cast_question(*row) for row in questions(folder / "casts" / file)]}
    (folder / "casts.json").write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


main()
