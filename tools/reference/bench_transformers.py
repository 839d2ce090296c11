"""One process that evaluates a prompt with transformers and PEFT, driven line by line as bench_peft.py is.

    python tools/reference/bench_transformers.py --model DIR --batches FILE --threads 2

FILE has prompt [P,d], input_ids [N,B,S] and candidates [C,T]. Each command goes over all batches, padded to their longest
row:

- rank: the log-probability of each candidate, one forward pass of the whole model for each, as is usual.
- rank-shared: the same with the encoder run once for all candidates.
- greedy: generate(num_beams=1, do_sample=False) for at most --max-tokens tokens.
"""

import time

import torch
from transformers import T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

import bench_peer
import peft_model


def log_probability(logits, labels):
    """The sum over a candidate's tokens of their log-probabilities: [B] from [B,T,V] and [B,T]."""
    logp = logits.log_softmax(-1).gather(2, labels.clamp(min=0)[..., None])[..., 0]
    return (logp * (labels != -100)).sum(1)


def rank(wrapped, ids, mask, candidates):
    scores = []
    for candidate in candidates:
        labels = candidate[candidate != -100].repeat(len(ids), 1)
        scores.append(log_probability(wrapped(input_ids=ids, attention_mask=mask, labels=labels).logits, labels))
    return torch.stack(scores, 1)


def rank_shared(wrapped, ids, mask, candidates):
    model, prompt = wrapped.base_model, peft_model.prompt_of(wrapped)
    rows, count = len(ids), len(candidates)
    embeds = torch.cat([prompt.expand(rows, -1, -1), model.shared(ids)], 1)
    mask = torch.cat([mask.new_ones(rows, len(prompt)), mask], 1)
    hidden = model.encoder(inputs_embeds=embeds, attention_mask=mask).last_hidden_state
    labels = candidates.repeat(rows, 1)
    logits = model(
        encoder_outputs=BaseModelOutput(hidden.repeat_interleave(count, 0)),
        attention_mask=mask.repeat_interleave(count, 0),
        labels=labels,
    ).logits
    return log_probability(logits, labels).view(rows, count)


def main():
    parser = bench_peer.parser(__doc__)
    parser.add_argument("--max-tokens", type=int, default=8)
    parser.add_argument("--words", type=int, required=True, help="ids of the tokenizer: those above are not written")
    args = parser.parse_args()

    began = time.perf_counter()
    batches = bench_peer.prepare(args)
    model = T5ForConditionalGeneration.from_pretrained(args.model, dtype=torch.float32)
    wrapped = peft_model.wrap(model, batches["prompt"]).eval()
    bench_peer.say(
        ready=time.perf_counter() - began,
        dtype="float32",
        threads=args.threads,
        optimizer="",
        dropout=0,
        attention=model.config._attn_implementation,
        batch=list(batches["input_ids"].shape[1:]),
        targets=batches["labels"].shape[2],
        prompt=list(batches["prompt"].shape),
        torch=torch.__version__,
    )
    inputs = [bench_peer.trim(ids) for ids in batches["input_ids"]]
    eos = model.config.eos_token_id
    options = {"max_new_tokens": args.max_tokens, "num_beams": 1, "do_sample": False}
    if args.words < model.config.vocab_size:
        options["suppress_tokens"] = list(range(args.words, model.config.vocab_size))

    def ranks(score):
        began = time.perf_counter()
        with torch.inference_mode():
            scores = [score(wrapped, ids, (ids != 0).long(), batches["candidates"]) for ids in inputs]
        return {"seconds": time.perf_counter() - began, "scores": torch.cat(scores).tolist()}

    def greedy():
        began = time.perf_counter()
        with torch.inference_mode():
            found = [wrapped.generate(input_ids=ids, attention_mask=(ids != 0).long(), **options) for ids in inputs]
        seconds = time.perf_counter() - began
        rows = [row[1:].tolist() for batch in found for row in batch]
        return {"seconds": seconds, "ids": [row[: row.index(eos)] if eos in row else row for row in rows]}

    bench_peer.serve({"rank": lambda: ranks(rank), "rank-shared": lambda: ranks(rank_shared), "greedy": greedy})


if __name__ == "__main__":
    main()
