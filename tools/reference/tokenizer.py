"""Golden ids for package models: what Hugging Face's tokenizers makes of text.

    python tools/reference/tokenizer.py models/tiny/tokenizer.json models/testdata/tokenizer_tiny.json
    python tools/reference/tokenizer.py T5/tokenizer.json models/testdata/tokenizer_t5.json

Needs tokenizers and transformers; both must agree or nothing is written.
A text is given as bytes (base64), since some are not UTF-8. NUL becomes a
space and invalid UTF-8 becomes U+FFFD before the tokenizer sees it.
"""

import base64
import json
import random
import sys

import tokenizers
import transformers

PLAIN = """\
a gorgeous , witty , seductive movie .
it 's a charming and often affecting journey .
unflinchingly bleak and desperate
hide new secretions from the parental units
the cat sat on the mat
The Cat Sat On The Mat.
sentence: the film is strictly routine .
question: is the sky blue? passage: The sky is blue on a clear day.
mnli premise: A man is walking. hypothesis: A man is moving.
translate English to German: How old are you?
I can't, won't, shouldn't've; y'all're going, aren't you?
3.14159 is about 22/7, or 355/113 (1,000,000 times better)
$12.50 + 8% tax = ~$13.50 ... maybe?
e-mail me at someone@example.com or see http://example.com/a?b=c&d=e#f
antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis
UPPER lower MiXeD camelCase snake_case kebab-case SCREAMING_SNAKE
"double" 'single' “curly” ‘single curly’ «guillemets» „low“
one—two–three‒four―five-six‐seven
ellipsis… and ... and . . .
(parentheses) [brackets] {braces} <angles> |pipes| \\backslashes\\ /slashes/
#hashtag @mention ^caret ~tilde `backtick` *star* _under_
terrible great good bad negative positive yes no maybe true false
entailment not_entailment neutral contradiction equivalent not_equivalent
word""".split("\n")

SCRIPTS = """\
Größe Straße Äpfel Übermut naïve façade jalapeño Ångström smørrebrød
Les élèves français étudient l'œuvre à Noël.
¿Dónde está la biblioteca? ¡Aquí!
Быстрая коричневая лиса прыгает через ленивую собаку
Η γρήγορη καφέ αλεπού πηδάει
השועל החום המהיר קופץ
الثعلب البني السريع يقفز فوق الكلب الكسول
तेज़ भूरी लोमड़ी आलसी कुत्ते पर कूदती है
敏捷的棕色狐狸跳过懒狗。
素早い茶色の狐がのろまな犬を飛び越える
빠른 갈색 여우가 게으른 개를 뛰어넘습니다
สุนัขจิ้งจอกสีน้ำตาลกระโดด
Nhanh như cáo nâu nhảy qua chó lười
ﬁne ﬂow oﬃce Ⅳ ① ½ ² ³ ™ ℃ № ㎏ ㍿
ｆｕｌｌｗｉｄｔｈ　ＡＢＣ１２３！
e\u0301 vs \u00e9, n\u0303 vs \u00f1, A\u030a vs \u00c5, \u1100\u1161\u11a8 vs \uac01
Z\u0351\u036b\u0343a\u0324\u0322lg\u0348o\u0315 stacked marks
👍 😀😃😄 👨‍👩‍👧‍👦 👩🏽‍🚀 🏳️‍🌈 🇩🇪🇫🇷 ❤️ ☺ ✈︎
x² + y² = z², ∀x∈ℝ: √x ≥ 0 ⇒ ∑ᵢ aᵢ ≈ ∫f(x)dx
→ ← ↑ ↓ ⇔ ■ □ ▲ ● ★ ☆ ♪ ♫
▁ lower one eighth ▁block▁ ▁▁ twice
𝕳𝖊𝖑𝖑𝖔 𝓦𝓸𝓻𝓵𝓭 𝟙𝟚𝟛 𐍈 𠜎""".split("\n")

SPACES = [
    "", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u200b", "\ufeff", "\u2028", "\u2029", "\x0b\x0c", "\x85",
    " leading", "trailing ", "  two  spaces  inside  ", "tab\tinside", "line\nbreak", "line\r\nbreak", "\n\n\nblank lines\n\n",
    "no-break\u00a0space", "ideographic\u3000space", "zero\u200bwidth\u200cjoin\u200der", "\ufeffbyte order mark",
    "soft\u00adhyphen", "bell\x07 escape\x1b[0m delete\x7f", "\x01\x02\x03", "a\x01b", "line\u2028separator\u2029paragraph",
    "\u202eright to left override\u202c", "left\u200emark", "en\u2002em\u2003thin\u2009hair\u200a",
]

SPECIAL = [
    "</s>", "<pad>", "<unk>", "<extra_id_0>", "<extra_id_99>", "<extra_id_100>", "<s>", "</S>", "< /s>",
    "a </s> b", "a</s>b", "</s></s>", "<pad><pad> x <pad>", "text <extra_id_0> text <extra_id_1>", "<extra_id_0>.<extra_id_1>",
    "ignore this</s>and that", " </s> ", "</s", "/s>", "<unk> unknown", "<<extra_id_0>>", "\n<extra_id_5>\n", "▁</s>▁",
    "<extra_id_ 0>", "extra_id_0", "<0x41>", "<0x00>", "[CLS] [SEP] [MASK]", "<|endoftext|>",
]

BYTES = [
    b"\xff", b"\x80abc", b"abc\xc3", b"abc\xe2\x82", b"a\xf0\x9f\x98b", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xfe\xfe\xff\xff",
    b"caf\xe9 latin-1", b"mixed \xe2\x82\xac ok \xe2\x28\xa1 bad", b"\x00", b"a\x00b", b"\x00\x00lead", b"tail\x00", b"a \x00 b", b"nul\x00then\xffbad",
    "utf-16".encode("utf-16-le"), bytes(range(256)),
]

LONG = ["a" * 5000, "word " * 1000, "é" * 2000, "👍" * 500, "</s>" * 100, "x" + "\u0301" * 300, "▁" * 200, "the film " * 400 + "!", "." * 3000]


def made_up(n, seed):
    """Texts of random pieces of the others, so that borders meet borders."""
    rng = random.Random(seed)
    words = [w for line in PLAIN + SCRIPTS for w in line.split(" ")] + SPECIAL + [s for s in SPACES if s]
    for _ in range(n):
        yield "".join(rng.choice(words) + rng.choice(["", " ", " ", " ", "  ", ", "]) for _ in range(rng.randint(1, 12)))


def main(tokenizer_file, out):
    texts = [t.encode() for t in PLAIN + SCRIPTS + SPACES + SPECIAL] + BYTES
    texts += [t.encode() for t in LONG] + [t.encode() for t in made_up(170, 3)]
    plain = tokenizers.Tokenizer.from_file(tokenizer_file)
    plain.no_truncation()
    plain.no_padding()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=tokenizer_file)
    cases = []
    for text in texts:
        seen = text.replace(b"\0", b" ").decode("utf-8", "replace")
        ids = plain.encode(seen, add_special_tokens=False).ids
        if ids != fast(seen, add_special_tokens=False, truncation=False)["input_ids"]:
            sys.exit(f"tokenizers and transformers differ on {seen!r}")
        cases.append({"text": base64.b64encode(text).decode(), "ids": ids, "decoded": plain.decode(ids)})
    made_by = f"tokenizers {tokenizers.__version__}, transformers {transformers.__version__}"
    with open(out, "w", encoding="utf-8") as f:
        f.write('{"made_by": %s, "cases": [\n' % json.dumps(made_by))
        f.write(",\n".join(json.dumps(c, separators=(",", ":")) for c in cases))
        f.write("\n]}\n")
    print(f"{out}: {len(cases)} texts, {made_by}")


if __name__ == "__main__":
    main(*sys.argv[1:])
