"""One training process of PEFT prompt tuning, driven line by line, so that a caller can interleave it with another.

    python tools/reference/bench_peft.py --model DIR --dtype bfloat16 --threads 2

DIR is what make_model.py wrote. Standard output carries one JSON object a line: first, when the model is loaded,
{"ready": seconds, ...}; after every line "step" on standard input one training step is run and answered with
{"seconds": ..., "loss": ...}; at the end of input comes {"peak_rss_bytes": ..., ...} from the kernel's counters.

The step is what a user of PEFT would run: train mode, dropout as the configuration has it (0.1) unless --dropout says
otherwise, mean loss, the attention that transformers picks by itself, frozen weights in --dtype, the prompt in float32.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import Adafactor, T5ForConditionalGeneration, logging

import peft_model

OPTIMIZERS = {
    "adamw": lambda prompt: torch.optim.AdamW([prompt], lr=0.3, weight_decay=0.0),
    "adafactor": lambda prompt: Adafactor(
        [prompt], lr=0.3, weight_decay=1e-5, scale_parameter=False, relative_step=False, warmup_init=False
    ),
}


def memory():
    """Peak and present memory of this process in bytes, the present split into anonymous pages and mapped files."""
    read = lambda name: {
        line.split(":")[0]: int(line.split()[1]) * 1024
        for line in Path(f"/proc/self/{name}").read_text().splitlines()
        if line.endswith(" kB")
    }
    status, rollup = read("status"), read("smaps_rollup")
    return {
        "peak_rss_bytes": status["VmHWM"],
        "rss_bytes": rollup["Rss"],
        "anonymous_bytes": rollup["Anonymous"],
        "file_bytes": rollup["Rss"] - rollup["Anonymous"],
    }


def say(**fields):
    print(json.dumps(fields), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--optimizer", default="adamw", choices=OPTIMIZERS)
    parser.add_argument("--dropout", type=float, help="rate for every site; by default the configuration's")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    logging.disable_progress_bar()
    logging.set_verbosity_error()

    began = time.perf_counter()
    batches = load_file(args.model / "batches.safetensors")
    options = {} if args.dropout is None else {"dropout_rate": args.dropout}
    model = T5ForConditionalGeneration.from_pretrained(args.model, dtype=getattr(torch, args.dtype), **options)
    wrapped = peft_model.wrap(model, batches["prompt"]).train()
    prompt = peft_model.prompt_of(wrapped)
    optimizer = OPTIMIZERS[args.optimizer](prompt)
    say(
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

    pairs = list(zip(batches["input_ids"].long(), batches["labels"].long()))
    steps = 0
    for line in sys.stdin:
        if line.strip() != "step":
            raise SystemExit(f"unknown command {line.strip()!r}: want step")
        began = time.perf_counter()
        loss = peft_model.step(wrapped, optimizer, *pairs[steps % len(pairs)])
        say(seconds=time.perf_counter() - began, loss=loss)
        steps += 1
    say(**memory())


if __name__ == "__main__":
    main()
