"""PEFT's prompt tuning on a classification task, to compare softprompt with: same start, same batches, same settings.

    python tools/reference/peft_sst2.py --model DIR --plan PLAN.safetensors... --out peft.json
    python tools/reference/peft_sst2.py --model DIR --data DIR --seeds 5 --out peft.json

A plan fixes everything that is not the training itself; `go run ./tools/compare` writes it and
README.md describes it. Without plans the script draws its own from the files of SST-2, one for each seed.

AdamW on the mean loss over the batch's labels, float32, dropout 0. The prompt kept is the one with the best accuracy on
the held-out training examples, the start included, by rank classification; of equals the one with the lower loss, which
is how softprompt chooses. Its predictions for the development set go into the JSON, example by example, for a paired
bootstrap.
"""

import argparse
import csv
import json
import sys
import time
from pathlib import Path

import torch
from safetensors import safe_open
from tokenizers import Tokenizer

import peft_model
import t5_model

TENSORS = (
    "prompt",
    "input_ids",
    "labels",
    "held_input_ids",
    "held_label",
    "dev_input_ids",
    "dev_label",
    "candidates",
)
SETTINGS = ("lr", "betas", "eps", "weight_decay", "eval_every")


def read_plan(path):
    """The tensors and settings of a plan file."""
    with safe_open(path, "pt") as f:
        missing = set(TENSORS) - set(f.keys()) | set(SETTINGS) - set(f.metadata() or {})
        if missing:
            raise SystemExit(f"{path}: the plan lacks {', '.join(sorted(missing))}")
        plan = {name: f.get_tensor(name) for name in TENSORS}
        settings = f.metadata()
    plan = {name: t if t.is_floating_point() else t.long() for name, t in plan.items()}
    adamw = {
        "lr": float(settings["lr"]),
        "betas": tuple(float(b) for b in settings["betas"].split(",")),
        "eps": float(settings["eps"]),
        "weight_decay": float(settings["weight_decay"]),
    }
    return plan, adamw, int(settings["eval_every"])


def draw_plan(args, seed):
    """A plan of the script's own: random held-out examples, an order for each epoch, sampled vocabulary as prompt."""
    tokenizer = Tokenizer.from_file(str(Path(args.model) / "tokenizer.json"))
    generator = torch.Generator().manual_seed(seed)

    def encode(text):
        return tokenizer.encode(text, add_special_tokens=False).ids[: args.max_input - 1] + [1]

    def read(name):
        with open(Path(args.data) / name, newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
        return [args.template.format(sentence=row["sentence"]) for row in rows], [int(row["label"]) for row in rows]

    texts, gold = read("train.tsv")
    order = torch.randperm(len(texts), generator=generator).tolist()
    held, train = order[: args.held], order[args.held :]
    needed, drawn = args.steps * args.batch, []
    while len(drawn) < needed:
        drawn += [train[i] for i in torch.randperm(len(train), generator=generator).tolist()]
    drawn = drawn[:needed]
    candidates = pad([encode(word) for word in args.words.split(",")], -100)
    dev_texts, dev_gold = read("dev.tsv")
    embeddings = t5_model.load(args.model).shared.weight.detach()
    rows = torch.randperm(min(5000, len(embeddings)), generator=generator)[: args.length]
    plan = {
        "prompt": embeddings[rows].clone(),
        "input_ids": pad([encode(texts[i]) for i in drawn], 0).view(args.steps, args.batch, -1),
        "labels": candidates[torch.tensor([gold[i] for i in drawn])].view(args.steps, args.batch, -1),
        "held_input_ids": pad([encode(texts[i]) for i in held], 0),
        "held_label": torch.tensor([gold[i] for i in held]),
        "dev_input_ids": pad([encode(text) for text in dev_texts], 0),
        "dev_label": torch.tensor(dev_gold),
        "candidates": candidates,
    }
    adamw = {"lr": args.lr, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": args.weight_decay}
    return plan, adamw, args.eval_every


def pad(rows, value):
    """Lists of ids as one tensor, padded on the right."""
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def trim(ids, value=0):
    """Cuts the columns in which every row is padding; the relative bias makes that exact."""
    return ids[:, : int((ids != value).sum(1).max())]


@torch.no_grad()
def rank(wrapped, input_ids, candidates, rows=64):
    """The log-probability [N,C] of each candidate, its EOS included, for each text."""
    model, prompt = wrapped.base_model, peft_model.prompt_of(wrapped)
    wrapped.eval()
    result = torch.empty(len(input_ids), len(candidates))
    by_length = (input_ids != 0).sum(1).argsort()
    for part in by_length.split(rows):
        ids = trim(input_ids[part])
        embeds = torch.cat([prompt.expand(len(ids), -1, -1), model.shared(ids)], dim=1)
        mask = torch.cat([torch.ones(len(ids), len(prompt)), (ids != 0).float()], dim=1)
        hidden = model.encoder(inputs_embeds=embeds, attention_mask=mask).last_hidden_state
        scores = []
        for candidate in candidates:
            labels = candidate[candidate != -100].expand(len(ids), -1)
            decoder_ids = model._shift_right(labels)
            out = model(encoder_outputs=(hidden,), attention_mask=mask, decoder_input_ids=decoder_ids, use_cache=False)
            scores.append(out.logits.log_softmax(-1).gather(-1, labels[..., None]).sum((1, 2)))
        result[part] = torch.stack(scores, dim=1)
    wrapped.train()
    return result


def accuracy(scores, gold):
    """The share of texts whose likeliest candidate is the gold one; the first of equals counts."""
    return 100 * (scores.argmax(1) == gold).double().mean().item()


def train(folder, plan, adamw, eval_every):
    """Trains one prompt; returns what goes into the JSON."""
    wrapped = peft_model.without_dropout(peft_model.wrap(t5_model.load(folder), plan["prompt"])).train()
    prompt = peft_model.prompt_of(wrapped)
    optimizer = torch.optim.AdamW([prompt], **adamw)
    start = accuracy(rank(wrapped, plan["dev_input_ids"], plan["candidates"]), plan["dev_label"])
    steps, losses, held = len(plan["input_ids"]), [], []
    best, best_step, best_prompt = (-1.0, 0.0), 0, None

    def look(step):
        nonlocal best, best_step, best_prompt
        scores = rank(wrapped, plan["held_input_ids"], plan["candidates"])
        gold = plan["held_label"]
        held.append([step, accuracy(scores, gold)])
        now = (held[-1][1], scores.double().gather(1, gold[:, None]).mean().item())
        if now > best:
            best, best_step, best_prompt = now, step, prompt.detach().clone()

    began = time.monotonic()
    look(0)
    for i in range(steps):
        losses.append(peft_model.step(wrapped, optimizer, trim(plan["input_ids"][i]), trim(plan["labels"][i], -100)))
        if (i + 1) % eval_every and i + 1 != steps:
            continue
        look(i + 1)
        recent = losses[-eval_every:]
        print(f"  step {i + 1} loss {sum(recent) / len(recent):.4f} held-out {held[-1][1]:.2f}", file=sys.stderr)
    seconds = time.monotonic() - began
    with torch.no_grad():
        prompt.copy_(best_prompt)
    scores = rank(wrapped, plan["dev_input_ids"], plan["candidates"])
    return {
        "start_accuracy": start,
        "dev_accuracy": accuracy(scores, plan["dev_label"]),
        "best_step": best_step,
        "held_accuracy": held,
        "losses": losses,
        "seconds": seconds,
        "predictions": scores.argmax(1).tolist(),
        "gold": plan["dev_label"].tolist(),
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="Hugging Face folder of a T5")
    parser.add_argument("--out", required=True, help="JSON to write")
    parser.add_argument("--plan", nargs="+", default=[], help="plans of softprompt, one for each seed")
    parser.add_argument("--threads", type=int, default=2)
    own = parser.add_argument_group("plans of the script's own")
    own.add_argument("--data", help="folder with SST-2's train.tsv and dev.tsv")
    own.add_argument("--seeds", type=int, default=5)
    own.add_argument("--template", default="{sentence}")
    own.add_argument("--words", default="terrible,great", help="label words of class 0, 1, ...")
    own.add_argument("--length", type=int, default=20, help="prompt length")
    own.add_argument("--steps", type=int, default=400)
    own.add_argument("--batch", type=int, default=32)
    own.add_argument("--lr", type=float, default=1.0)
    own.add_argument("--weight-decay", type=float, default=0.0)
    own.add_argument("--held", type=int, default=500, help="held-out training examples")
    own.add_argument("--eval-every", type=int, default=50)
    own.add_argument("--max-input", type=int, default=128)
    args = parser.parse_args()
    if not args.plan and not args.data:
        parser.error("give --plan or --data")
    return args


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    runs = []
    for seed, path in enumerate(args.plan or [None] * args.seeds):
        plan, adamw, eval_every = read_plan(path) if path else draw_plan(args, seed)
        run = {"plan": path, "seed": seed, **train(args.model, plan, adamw, eval_every)}
        runs.append(run)
        print(
            f"{path or f'seed {seed}'}: {run['start_accuracy']:.2f} before, {run['dev_accuracy']:.2f} after "
            f"{run['best_step']} steps ({run['seconds']:.0f} s for {len(run['losses'])})"
        )
    mean = sum(run["dev_accuracy"] for run in runs) / len(runs)
    print(f"mean of {len(runs)}: {mean:.2f}")
    Path(args.out).write_text(json.dumps({"mean_dev_accuracy": mean, "runs": runs}) + "\n")


if __name__ == "__main__":
    main()
