"""Golden ids for package models: what transformers makes of 20,000 sentences
and of hostile text, for every kind of tokenizer folder.

    python tools/reference/tokenizer_folders.py texts DATA models/testdata/tokenizers
    python tools/reference/tokenizer_folders.py train T5/spiece.model models/testdata/tokenizers
    python tools/reference/tokenizer_folders.py ids models/testdata/tokenizers [NAME]...
    python tools/reference/tokenizer_folders.py settings models/testdata/tokenizers

texts gathers the sentences from a folder with BoolQ, COPA and XQuAD. train
makes the folders: SentencePiece models of T5's kinds, trained on those
sentences, and the JSON files that such models are published with. ids loads
each folder and writes golden.json into it. settings draws JSON files at random
for the folder symbols and for ByT5, and writes settings.json.gz: the files, the
ids of some texts, or the error that transformers gives. Needs transformers, sentencepiece
and protobuf (which transformers needs to read spiece.model).

texts.gz holds each text as its length (a varint) and its bytes; some are not
UTF-8. NUL becomes a space and invalid UTF-8 U+FFFD before a tokenizer sees
them. golden.json holds
- ids_sha256: of every text's count of ids and ids, all varints;
- sums: two bytes for each text, of the SHA-256 of its part of that, in base64;
- decoded_sha256: of every text's ids as text again, its length and its bytes;
- decodes, for ByT5: ids drawn at random and the text that they become;
- vocab_sha256: of every piece's length, bytes and score (float64, little
  endian); tokenizer: the rest of tokenizer.json, with the SHA-256 of
  precompiled_charsmap in its place.
"""

import base64
import gzip
import hashlib
import io
import json
import pathlib
import random
import re
import struct
import sys

import tokenizer as small

WANTED = 20000


def sentences(data):
    """Yields each sentence of the three data sets once."""

    def split(passage):
        return re.split(r"(?<=[.!?]) +", passage)

    def rows(name, *files):
        for f in files:
            for line in (data / "superglue" / name / f).read_text("utf-8").splitlines():
                yield json.loads(line)

    def every():
        for r in rows("BoolQ", "val.jsonl", "train.jsonl"):
            yield r["question"]
            yield from split(r["passage"])
        for r in rows("COPA", "train.jsonl", "val.jsonl"):
            yield from (r["premise"], r["choice1"], r["choice2"])
        for article in json.loads((data / "squad/xquad.en.json").read_text("utf-8"))["data"]:
            for p in article["paragraphs"]:
                yield from split(p["context"])
                for q in p["qas"]:
                    yield q["question"]
                    yield from (a["text"] for a in q["answers"])

    seen = set()
    for s in every():
        if s and s not in seen:
            seen.add(s)
            yield s


def hostile():
    """Yields the texts of tokenizer.py, more of them put together, and long ones."""
    yield from (t.encode() for t in small.PLAIN + small.SCRIPTS + small.SPACES + small.SPECIAL + small.LONG)
    yield from small.BYTES
    yield from (t.encode() for t in small.made_up(600, 7))
    rng = random.Random(11)
    pieces = [t.encode() for t in small.PLAIN + small.SCRIPTS + small.SPECIAL + small.SPACES] + small.BYTES
    for _ in range(300):
        yield b"".join(rng.choice(pieces) for _ in range(rng.randint(2, 6)))
    for _ in range(200):
        yield rng.randbytes(rng.randint(1, 60))
    for _ in range(200):
        yield "".join(chr(rng.choice([rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])) for _ in range(rng.randint(1, 30))).encode()
    for token in ["<extra_id_0>", "</s>", "<pad>", "<unk>", "<both>", "<left>", "<word>", "Word", "[X]"]:
        for before in ["", " ", "a", "a ", "a  \t", "\u00a0", "\u3000", "\x1c", "。", "</s>", "<pad> "]:
            for after in ["", " ", "b", " b", "\n b", "\u2003b", "\x1fb", "\x85b", "!", "<extra_id_7>"]:
                yield (before + token + after).encode()
    for unit in ["the film is good . ", "a", " ", "▁", "é", "👍", "漢字", "\u0301", "\u200b", "שלום ", "<extra_id_0> ", "<", "\t", "\x00", "x\n"]:
        yield (unit * (100000 // len(unit))).encode()
    yield b"\xf0\x9f\x98" * 33333 + b"!"


def texts(data, out):
    found = sorted(sentences(pathlib.Path(data)), key=len)[:WANTED]
    if len(found) < WANTED:
        sys.exit(f"{len(found)} sentences")
    buffer = io.BytesIO()
    every = [s.encode() for s in found] + list(hostile())
    for t in every:
        buffer.write(varint(len(t)) + t)
    write_gz(pathlib.Path(out) / "texts.gz", buffer.getvalue())
    print(f"{len(found)} sentences, {len(every) - len(found)} hostile texts, {buffer.tell()} bytes")


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def write_gz(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, 9, mtime=0))


def read_texts(out):
    data = gzip.decompress((pathlib.Path(out) / "texts.gz").read_bytes())
    at = 0
    while at < len(data):
        n = shift = 0
        while True:
            b = data[at]
            at += 1
            n |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                break
        yield data[at : at + n]
        at += n


def sentinels(n):
    return [f"<extra_id_{i}>" for i in range(n)]


def token(content, **flags):
    t = {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    return t | flags


NAMES = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
OBJECTS = {k: {"__type": "AddedToken"} | token(v) for k, v in NAMES.items()}

# What each folder is made of: settings of SentencePiece's trainer, or the name
# of the folder whose spiece.model it shares, and its JSON files.
FOLDERS = {
    # The first T5: nothing but spiece.model.
    "t5": ("published", {"config.json": {"model_type": "t5"}}),
    # T5 v1.1 and LM-adapted, as published.
    "t5-v1_1": (
        "t5",
        {
            "config.json": {"model_type": "t5"},
            "tokenizer_config.json": NAMES | {"extra_ids": 100, "additional_special_tokens": sentinels(100)},
            "special_tokens_map.json": NAMES | {"additional_special_tokens": sentinels(100)},
        },
    ),
    # mT5: sentinels among the pieces, bytes for the unknown, extra_ids 0.
    "mt5": (
        dict(normalization_rule_name="nmt_nfkc", byte_fallback=True, vocab_size=2400, user_defined_symbols=["▁" + s for s in reversed(sentinels(100))]),
        {
            "config.json": {"model_type": "mt5"},
            "tokenizer_config.json": NAMES | {"extra_ids": 0, "additional_special_tokens": None, "tokenizer_class": "T5Tokenizer"},
            "special_tokens_map.json": NAMES,
        },
    ),
    # The same without a word about it.
    "mt5-silent": ("mt5", {"config.json": {"model_type": "mt5"}, "tokenizer_config.json": {"extra_ids": 0}}),
    # UMT5: text as it is, white space kept, 300 sentinels.
    "umt5": (
        dict(normalization_rule_name="identity", byte_fallback=True, vocab_size=2000, add_dummy_prefix=False, remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True),
        {
            "config.json": {"model_type": "umt5"},
            "tokenizer_config.json": NAMES | {"extra_ids": 300, "additional_special_tokens": sentinels(300), "tokenizer_class": "T5Tokenizer"},
        },
    ),
    # Symbols of the user's, control symbols, letters made small.
    "symbols": (
        dict(normalization_rule_name="nmt_nfkc_cf", vocab_size=1500, user_defined_symbols=["[X]", "<sep>", "new york", "→"], control_symbols=["<ctrl>", "<both>"], treat_whitespace_as_suffix=False),
        {"config.json": {"model_type": "t5"}},
    ),
    # As new versions save it: tokens with ids and flags of their own.
    "added": (
        "symbols",
        {
            "config.json": {"model_type": "t5"},
            "tokenizer_config.json": NAMES
            | {
                "extra_ids": 10,
                "bos_token": "<s>",
                "added_tokens_decoder": {
                    "0": token("<pad>", normalized=False, special=True),
                    "1": token("</s>", normalized=False, special=True, rstrip=True),
                    "1510": token("<left>", lstrip=True, special=False),
                    "1511": token("Word", single_word=True, normalized=False, special=False),
                    "1512": token("film", special=False),  # found in "Film" as well
                },
                "extra_special_tokens": ["<both>", "<word>", *sentinels(10)],
            },
        },
    ),
    # As old versions saved it: three files.
    "legacy": (
        "symbols",
        {
            "config.json": {"model_type": "t5"},
            "tokenizer_config.json": OBJECTS | {"additional_special_tokens": sentinels(20), "extra_ids": 20},
            "special_tokens_map.json": {k: token(v, rstrip=k == "pad_token") for k, v in NAMES.items()} | {"additional_special_tokens": sentinels(20)},
            "added_tokens.json": {"<word>": 1521, "<left>": 1520, "<extra_id_3>": 1516},
        },
    ),
    # ByT5 with nothing, as published, and with tokens of the user's.
    "byt5": ("bytes", {"config.json": {"model_type": "t5", "vocab_size": 384, "tokenizer_class": "ByT5Tokenizer"}}),
    "byt5-published": (
        "bytes",
        {
            "config.json": {"model_type": "t5", "vocab_size": 384},
            "tokenizer_config.json": OBJECTS | {"extra_ids": 125, "additional_special_tokens": sentinels(125), "tokenizer_class": "ByT5Tokenizer"},
            "special_tokens_map.json": {k: token(v) for k, v in NAMES.items()} | {"additional_special_tokens": sentinels(125)},
        },
    ),
    "byt5-added": (
        "bytes",
        {
            "config.json": {"model_type": "t5", "vocab_size": 384},
            "tokenizer_config.json": NAMES
            | {
                "tokenizer_class": "ByT5Tokenizer",
                "extra_ids": 3,
                "bos_token": "<s>",
                "added_tokens_decoder": {
                    "0": token("<pad>", normalized=False, special=True),
                    "1": token("</s>", normalized=False, special=True, lstrip=True),
                    "2": token("<unk>", normalized=False, special=True, rstrip=True),
                    "259": token("<left>", lstrip=True, special=False),
                    "260": token("Word", single_word=True, special=False),
                    "261": token("<both>", lstrip=True, rstrip=True, special=True),
                },
                "extra_special_tokens": sentinels(3),
            },
        },
    ),
}


def train(published, out):
    import sentencepiece

    lines = [t.decode() for t in list(read_texts(out))[:WANTED]] + [t for t in small.SCRIPTS for _ in range(20)]
    for name, (made, files) in FOLDERS.items():
        folder = pathlib.Path(out) / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / file).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")
        if made == "published":
            write_gz(folder / "spiece.model.gz", pathlib.Path(published).read_bytes())
        elif isinstance(made, dict):
            model = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines), model_writer=model, model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
                num_threads=1, minloglevel=2, character_coverage=0.9995, **made,
            )  # fmt: skip
            write_gz(folder / "spiece.model.gz", model.getvalue())


def load(out, name, scratch):
    """The tokenizer of a folder, which is unpacked to scratch."""
    import transformers

    transformers.logging.set_verbosity_error()
    made = FOLDERS[name][0]
    scratch.mkdir(parents=True)
    for f in (pathlib.Path(out) / name).iterdir():
        if f.suffix == ".json" and f.name != "golden.json":
            (scratch / f.name).write_bytes(f.read_bytes())
    if made == "bytes":
        return transformers.ByT5Tokenizer.from_pretrained(scratch)
    shared = name if made == "published" or isinstance(made, dict) else made
    (scratch / "spiece.model").write_bytes(gzip.decompress((pathlib.Path(out) / shared / "spiece.model.gz").read_bytes()))
    tok = transformers.T5Tokenizer.from_pretrained(scratch)
    if not name.startswith("umt5"):  # which AutoTokenizer loads from tokenizer.json alone
        auto = transformers.AutoTokenizer.from_pretrained(scratch)
        if auto.backend_tokenizer.to_str() != tok.backend_tokenizer.to_str():
            sys.exit(f"{name}: AutoTokenizer makes another tokenizer")
    return tok


def structure(tok):
    """tokenizer.json in a form that any language can compare."""
    top = json.loads(tok.backend_tokenizer.to_str())
    h = hashlib.sha256()
    for piece, score in top["model"].pop("vocab"):
        h.update(varint(len(piece.encode())) + piece.encode() + struct.pack("<d", score))
    if top["normalizer"]:
        rules = base64.b64decode(top["normalizer"]["precompiled_charsmap"])
        top["normalizer"]["precompiled_charsmap"] = hashlib.sha256(rules).hexdigest()
    return {"vocab_sha256": h.hexdigest(), "tokenizer": top}


def decodes(tok):
    """Ids in an order that no text gives, with broken and whole characters."""
    rng = random.Random(5)
    pairs = []
    for _ in range(300):
        row = []
        for _ in range(rng.randint(0, 6)):
            b = chr(rng.choice([rng.randrange(1, 0x80), rng.randrange(0x800), rng.randrange(0xE000, 0x110000)])).encode()
            row += [x + 3 for x in b[: rng.randint(1, 4)]]
            row += rng.choice([[], [], [rng.randrange(len(tok))], [0, 1], [0xFF + 3], [0x80 + 3]])
        pairs.append([row, tok.decode(row, skip_special_tokens=True)])
    return pairs


def hold_published(out, seen, every):
    """Ends if T5's tokenizer.json, as published, gives other ids than its
    spiece.model, so that golden.json holds for both."""
    import tokenizers

    data = gzip.decompress((pathlib.Path(out).parent / "t5_tokenizer.json.gz").read_bytes())
    tok = tokenizers.Tokenizer.from_str(data.decode())
    tok.no_truncation()
    tok.no_padding()
    if [e.ids for e in tok.encode_batch(seen, add_special_tokens=False)] != list(every):
        sys.exit("tokenizer.json and spiece.model differ")
    print("tokenizer.json and spiece.model agree")


def ids(out, *names):
    import tempfile

    import transformers

    seen = [t.replace(b"\0", b" ").decode("utf-8", "replace") for t in read_texts(out)]
    for name in names or FOLDERS:
        with tempfile.TemporaryDirectory() as tmp:
            tok = load(out, name, pathlib.Path(tmp) / name)
            every = tok(seen, add_special_tokens=False)["input_ids"]
            all_ids, all_text, sums, count = hashlib.sha256(), hashlib.sha256(), bytearray(), 0
            for row in every:
                part = varint(len(row)) + b"".join(map(varint, row))
                all_ids.update(part)
                sums += hashlib.sha256(part).digest()[:2]
                count += len(row)
                text = tok.decode(row, skip_special_tokens=True).encode()
                all_text.update(varint(len(text)) + text)
            golden = {
                "made_by": f"transformers {transformers.__version__}",
                "texts": len(seen),
                "ids": count,
                "vocab_size": len(tok),
                "ids_sha256": all_ids.hexdigest(),
                "decoded_sha256": all_text.hexdigest(),
            }
            if tok.is_fast:
                golden |= structure(tok)
            else:
                golden["decodes"] = decodes(tok)
            if name == "t5":
                hold_published(out, seen, every)
            golden["sums"] = base64.b64encode(sums).decode()
        (pathlib.Path(out) / name / "golden.json").write_text(json.dumps(golden, ensure_ascii=False) + "\n", "utf-8")
        print(f"{name}: {len(tok)} ids known, {len(seen)} texts, {count} ids")


WORDS = ["<pad>", "</s>", "<unk>", "<s>", *sentinels(3), "<both>", "<left>", "<word>", "Word", "film", "[X]", "<sep>", "new york", "<ctrl>", "→", "a", "the "]


def drawn_files(rng, is_bytes):
    """tokenizer_config.json and what may lie beside it, with tokens of all kinds."""

    def drawn(content):
        t = {"content": content} | {k: rng.random() < 0.3 for k in ["lstrip", "rstrip", "single_word", "normalized"]}
        return t | ({"special": rng.random() < 0.5} if rng.random() < 0.5 else {})

    def named(kind):
        out = {}
        for role, content in {**NAMES, "bos_token": "<s>", "cls_token": "<left>"}.items():
            r = rng.random()
            if r < 0.5:
                out[role] = content if r < 0.3 else kind | drawn(content)
        return out

    config = named({"__type": "AddedToken"})
    n = rng.choice([None, 0, 3, 3, 3])
    if n is not None:
        config["extra_ids"] = n
    extra = sentinels(n if n is not None else 125 if is_bytes else 100) + rng.sample(WORDS, rng.randint(0, 4))
    match rng.randrange(10):
        case 0 | 1 | 2:
            config["additional_special_tokens"] = extra
        case 3 | 4:
            config["extra_special_tokens"] = extra
        case 5:
            config["additional_special_tokens"] = None
        case 6:
            config["extra_special_tokens"] = {}
    end = 259 if is_bytes else 1500
    if rng.random() < 0.5:
        ids = rng.sample(range(3 if is_bytes else 8), rng.randint(0, 3)) + [end + i for i in range(rng.randint(0, 3))]
        own = dict(enumerate(["<pad>", "</s>", "<unk>"])) if is_bytes else {}
        config["added_tokens_decoder"] = {str(i): drawn(own.get(i, w)) for i, w in zip(ids, rng.sample(WORDS, len(ids)))}
    if is_bytes:
        config["tokenizer_class"] = "ByT5Tokenizer"
    files = {"tokenizer_config.json": config}
    if rng.random() < 0.5:
        files["special_tokens_map.json"] = named({}) | ({"additional_special_tokens": extra} if rng.random() < 0.4 else {})
    if rng.random() < 0.3:
        files["added_tokens.json"] = {w: end + i for i, w in enumerate(rng.sample(WORDS, 2))}
    return files


def settings(out):
    import tempfile

    import transformers

    transformers.logging.set_verbosity_error()
    rng = random.Random(23)
    texts = ["".join(rng.choice(WORDS + [" ", "  ", "x", "\u3000", "é"]) for _ in range(rng.randint(1, 8))) for _ in range(80)]
    spiece = gzip.decompress((pathlib.Path(out) / "symbols/spiece.model.gz").read_bytes())
    cases = []
    for i in range(120):
        files = drawn_files(rng, i % 2 == 1)
        with tempfile.TemporaryDirectory() as tmp:
            folder = pathlib.Path(tmp)
            for name, content in files.items():
                (folder / name).write_text(json.dumps(content), "utf-8")
            if i % 2 == 0:
                (folder / "spiece.model").write_bytes(spiece)
            kind = transformers.T5Tokenizer if i % 2 == 0 else transformers.ByT5Tokenizer
            case = {"bytes": i % 2 == 1, "files": files}
            try:
                tok = kind.from_pretrained(folder)
                case["ids"] = tok(texts, add_special_tokens=False)["input_ids"]
                case["ends"] = tok(["<pad>", "</s>"], add_special_tokens=False)["input_ids"]
            except ValueError as e:
                case["error"] = str(e)[:100]
        cases.append(case)
    write_gz(pathlib.Path(out) / "settings.json.gz", json.dumps({"texts": texts, "cases": cases}, separators=(",", ":")).encode())
    print(f"{len(cases)} settings, {sum('ids' in c for c in cases)} of them good, {len(texts)} texts")


if __name__ == "__main__":
    {"texts": texts, "train": train, "ids": ids, "settings": settings}[sys.argv[1]](*sys.argv[2:])
