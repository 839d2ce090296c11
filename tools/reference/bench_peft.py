"""One training process of PEFT prompt tuning, driven line by line, so that a caller can interleave it with another.

    python tools/reference/bench_peft.py --model DIR --dtype bfloat16 --threads 2

DIR is what make_model.py wrote. bench_peer.py has the protocol: every line "step" on standard input is one training step,
answered with {"seconds": ..., "loss": ...}.

The step is what a user of PEFT would run: train mode, dropout as the configuration has it (0.1) unless --dropout says
otherwise, mean loss, the attention that transformers picks by itself, frozen weights in --dtype, the prompt in float32.
A batch is padded to its longest row, as transformers' DataCollatorForSeq2Seq does, or to --max-length, as PEFT's own example
of prompt tuning does (examples/conditional_generation/peft_prompt_tuning_seq2seq.ipynb: padding="max_length").
"""

import time

import torch
from transformers import Adafactor, T5ForConditionalGeneration

import bench_peer
import peft_model

OPTIMIZERS = {
    "adamw": lambda prompt, rate: torch.optim.AdamW([prompt], lr=rate, weight_decay=0.0),
    "adafactor": lambda prompt, rate: Adafactor(
        [prompt], lr=rate, weight_decay=1e-5, scale_parameter=False, relative_step=False, warmup_init=False
    ),
}


def main():
    parser = bench_peer.parser(__doc__)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--optimizer", default="adamw", choices=OPTIMIZERS)
    parser.add_argument("--rate", type=float, default=0.3, help="learning rate")
    parser.add_argument("--dropout", type=float, help="rate for every site; by default the configuration's")
    parser.add_argument("--max-length", type=int, help="pad every input to this length; by default to the longest of the batch")
    args = parser.parse_args()

    began = time.perf_counter()
    batches = bench_peer.prepare(args)
    options = {} if args.dropout is None else {"dropout_rate": args.dropout}
    model = T5ForConditionalGeneration.from_pretrained(args.model, dtype=getattr(torch, args.dtype), **options)
    wrapped = peft_model.wrap(model, batches["prompt"]).train()
    prompt = peft_model.prompt_of(wrapped)
    optimizer = OPTIMIZERS[args.optimizer](prompt, args.rate)
    bench_peer.say(
        ready=time.perf_counter() - began,
        dtype=args.dtype,
        threads=args.threads,
        optimizer=args.optimizer,
        dropout=model.config.dropout_rate,
        attention=model.config._attn_implementation,
        batch=list(batches["input_ids"].shape[1:]),
        targets=batches["labels"].shape[2],
        prompt=list(prompt.shape),
        torch=torch.__version__,
    )

    pairs = list(zip(batches["input_ids"], batches["labels"]))
    steps = 0

    def pad(ids):
        ids = bench_peer.trim(ids)
        return ids if args.max_length is None else torch.nn.functional.pad(ids, (0, args.max_length - ids.shape[1]))

    def step():
        nonlocal steps
        ids, labels = pairs[steps % len(pairs)]
        began = time.perf_counter()
        loss = peft_model.step(wrapped, optimizer, pad(ids), bench_peer.trim(labels, -100))
        steps += 1
        return {"seconds": time.perf_counter() - began, "loss": loss}

    bench_peer.serve({"step": step})


if __name__ == "__main__":
    main()
