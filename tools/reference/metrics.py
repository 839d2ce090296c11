"""What the official scorers say of random predictions, for the test of softprompt's metrics.

    python tools/reference/metrics.py

Writes tasks/testdata/metrics.json.gz: of each kind of task 200 files of predictions with their scores. Classes are scored by
scikit-learn, numbers by SciPy, summaries by Google's rouge_score. T5 (google-research/text-to-text-transfer-transformer)
puts little around them, which is written out here in its own words, since t5 needs TensorFlow; so are the two functions of
SQuAD v1.1's evaluate-v1.1.py, which SuperGLUE's record_evaluation.py shares. Percentages; null is "not a number".
"""

import collections
import gzip
import json
import math
import random
import re
import string
from pathlib import Path

import numpy as np
import scipy.stats
import sklearn.metrics
from rouge_score import rouge_scorer

OUT = Path(__file__).resolve().parents[2] / "tasks" / "testdata" / "metrics.json.gz"
FILES = 200
SEED = 6


# T5's metrics: t5/evaluation/metrics.py.


def f1_score_with_invalid(gold, pred):
    pred = [p if p in (0, 1) else 1 - g for g, p in zip(gold, pred)]
    return sklearn.metrics.f1_score(gold, pred)


def mean_multiclass_f1(gold, pred, classes):
    return sklearn.metrics.fbeta_score(gold, pred, beta=1, labels=range(classes), average="macro")


def mean_group_all_match(gold, pred, groups):
    """mean_group_metric(all_match): the share of groups that are right throughout."""
    right = collections.defaultdict(list)
    for g, p, group in zip(gold, pred, groups):
        right[group].append(g == p)
    return np.mean([all(r) for r in right.values()])


def string_to_float(text):
    """t5/data/postprocessors.py: what is no number is -1."""
    try:
        return float(text)
    except ValueError:
        return -1.0


def deduplicated(rows):
    """deduplicate_metric: the first of each group."""
    seen = {}
    for row in rows:
        seen.setdefault(row["group"], row)
    return list(seen.values())


def rouge(rows):
    """rouge, but for the bootstrap: the mean of what it resamples."""
    keys = ["rouge1", "rouge2", "rougeLsum"]
    scorer = rouge_scorer.RougeScorer(keys)
    found = collections.defaultdict(list)
    for row in rows:
        lines = [text.replace(" . ", " .\n") for text in row["answers"]]
        score = scorer.score_multi(lines, row["text"].replace(" . ", " .\n"))
        for key in keys:
            found[key].append(score[key].fmeasure)
    return {key: np.mean(found[key]) for key in keys}


# SQuAD's evaluate-v1.1.py.


def normalize_answer(text):
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1_score(text, answer):
    text, answer = normalize_answer(text).split(), normalize_answer(answer).split()
    same = sum((collections.Counter(text) & collections.Counter(answer)).values())
    if same == 0:
        return 0
    precision, recall = same / len(text), same / len(answer)
    return 2 * precision * recall / (precision + recall)


def exact_match_score(text, answer):
    return normalize_answer(text) == normalize_answer(answer)


def squad(rows):
    best = lambda score: np.mean([max(score(r["text"], a) for a in r["answers"]) for r in rows])
    return {"em": best(exact_match_score), "f1": best(f1_score)}


# Predictions.


def guessed(rng, gold, classes):
    """Predictions that are right more or less often, and sometimes all of a kind."""
    kind = rng.randrange(8)
    if kind == 0:
        return [rng.randrange(-1, classes)] * len(gold)
    skill, illegal = rng.random(), rng.choice([0, 0.1, 0.5])
    return [
        -1 if rng.random() < illegal else g if rng.random() < skill else rng.randrange(classes) for g in gold
    ]


def truth(rng, classes, n):
    if rng.randrange(8) == 0:
        return [rng.randrange(classes)] * n
    return [rng.randrange(classes) for _ in range(n)]


def binary(rng):
    gold = truth(rng, 2, rng.randint(1, 40))
    pred = guessed(rng, gold, 2)
    groups = [str(rng.randrange(1 + len(gold) // 3)) for _ in gold]
    f1 = f1_score_with_invalid(gold, pred)
    return {"gold": gold, "pred": pred, "groups": groups}, {
        "accuracy": sklearn.metrics.accuracy_score(gold, pred),
        "f1": f1,
        "matthews": sklearn.metrics.matthews_corrcoef(gold, pred),
        "multirc_f1a": f1,
        "multirc_em": mean_group_all_match(gold, pred, groups),
    }


def multiclass(rng):
    gold = truth(rng, 3, rng.randint(1, 40))
    pred = guessed(rng, gold, 3)
    return {"gold": gold, "pred": pred}, {
        "accuracy": sklearn.metrics.accuracy_score(gold, pred),
        "macro_f1": mean_multiclass_f1(gold, pred, 3),
        "matthews": sklearn.metrics.matthews_corrcoef(gold, pred),
    }


def numbers(rng):
    n = rng.randint(2, 40)
    step = rng.choice([0.2, 1.0, 0.01])  # the larger, the more ties
    say = lambda v: f"{v:.2f}" if step == 0.01 else f"{v:.1f}"
    gold = [say(round(rng.uniform(0, 5) / step) * step) for _ in range(n)]
    if rng.randrange(10) == 0:
        gold = [gold[0]] * n
    noise = rng.choice([0, 0.5, 5])
    pred = [say(round((float(g) + rng.gauss(0, noise)) / step) * step) for g in gold]
    if rng.randrange(10) == 0:
        pred = [pred[0]] * n
    others = rng.choice([[], ["", "four", "3,8", "0x10", "1__0"], ["", " 3.8", "4.", ".5", "1e0", "1_0.5", "+2\n"]])
    if rng.randrange(8) == 0:
        others = others + ["inf", "-Infinity"] if rng.randrange(2) else others + ["nan"]
    pred = [rng.choice(others) if others and rng.random() < 0.2 else p for p in pred]
    x, y = [float(g) for g in gold], [string_to_float(p) for p in pred]
    return {"gold": gold, "pred": pred}, {
        "pearson": scipy.stats.pearsonr(x, y)[0],
        "spearman": scipy.stats.spearmanr(x, y)[0],
    }


WORDS = """a an the The A an, the. cat Cat's mat sat U.S. U . S . 3.14 3 . 14 1,000 in of theatre "quoted" “quoted” naïve café
İzmir ΟΔΟΣ οδος Ångström 東京 co-op _under_ x\u00a0y z\x1cw - -- ... ! Straße ǅ e\u0301t\u00e9 ²""".split(" ")
WORDS = [word for part in WORDS for word in re.split("\n", part)]


def phrase(rng, most):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, most)))


def changed(rng, text):
    """A text like the given one."""
    words = text.split(" ")
    for _ in range(rng.randint(0, 4)):
        i = rng.randrange(len(words) + 1)
        words[i : i + rng.randrange(3)] = rng.choice([[], [rng.choice(WORDS)], words[:2]])
    text = rng.choice([" ", " ", " ", "  ", "\n"]).join(words)
    return rng.choice([text, text, text.upper(), text.lower(), text + ".", "the " + text, "", phrase(rng, 5)])


def written(rng):
    rows = []
    for _ in range(rng.randint(1, 12)):
        answers = [phrase(rng, 5) for _ in range(rng.randint(1, 3))]
        rows.append({"text": changed(rng, rng.choice(answers)), "answers": answers})
    return rows


def read(rng):
    rows = written(rng)
    return {"rows": rows}, squad(rows)


def record(rng):
    rows = written(rng)
    for row in rows:
        row["group"] = f"{rng.randrange(3)}:{rng.randrange(3)}"
    return {"rows": rows}, squad(deduplicated(rows))


def summary(rng):
    rows = []
    for _ in range(rng.randint(1, 5)):
        answers = [rng.choice([" . ", "\n", " "]).join(phrase(rng, 6) for _ in range(rng.randint(0, 4)))
                   for _ in range(rng.choice([1, 1, 1, 2]))]
        rows.append({"text": changed(rng, changed(rng, rng.choice(answers))), "answers": answers})
    return {"rows": rows}, rouge(rows)


def main():
    kinds = {"binary": binary, "multiclass": multiclass, "numbers": numbers, "squad": read, "record": record, "rouge": summary}
    out = {}
    for k, (name, make) in enumerate(kinds.items()):
        rng = random.Random(SEED + k)
        out[name] = []
        for _ in range(FILES):
            file, scores = make(rng)
            file["scores"] = {key: None if math.isnan(v) else 100 * float(v) for key, v in scores.items()}
            out[name].append(file)
    text = json.dumps(out, separators=(",", ":"))
    with open(OUT, "wb") as f, gzip.GzipFile("", "wb", fileobj=f, mtime=0) as z:
        z.write(text.encode())


if __name__ == "__main__":
    main()
