"""Makes a T5 v1.1 of published size with random weights, and batches for it, for benchmarks.

    python tools/reference/make_model.py small DIR

DIR gets config.json and model.safetensors (float32), which any T5 reader opens, and batches.safetensors: prompt [P,d],
input_ids [4,B,S] and labels [4,B,T] without padding. There is no tokenizer: the ids are random. A folder that is there
already is left as it is.
"""

import argparse
import os
import shutil
from pathlib import Path

import torch

import t5_model

# d_model, d_ff, heads, layers of each stack (google/t5-v1_1-*; d_kv 64 throughout)
SIZES = {"small": (512, 1024, 6, 8), "base": (768, 2048, 12, 12), "large": (1024, 2816, 16, 24)}
SEED = 1
BATCHES = 4


def config_of(size):
    d_model, d_ff, heads, layers = SIZES[size]
    return {
        **t5_model.BASE,
        "d_model": d_model,
        "d_kv": 64,
        "num_heads": heads,
        "d_ff": d_ff,
        "num_layers": layers,
        "num_decoder_layers": layers,
        "vocab_size": 32128,
        "feed_forward_proj": "gated-gelu",
        "relative_attention_num_buckets": 32,
        "tie_word_embeddings": False,
    }


def batches(config, args):
    """Random ids that end in EOS, every row of full length."""
    generator = torch.Generator().manual_seed(SEED)

    def tokens(length):
        ids = torch.randint(3, 32100, (BATCHES, args.batch, length), generator=generator, dtype=torch.int32)
        ids[..., -1] = 1
        return ids

    prompt = 2.0 * torch.randn(args.prompt, config["d_model"], generator=generator)
    return {"prompt": prompt, "input_ids": tokens(args.input), "labels": tokens(args.targets)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--prompt", type=int, default=100)
    parser.add_argument("--input", type=int, default=128)
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    config = config_of(args.size)
    if not args.dir.exists():
        unfinished = args.dir.with_name(args.dir.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        t5_model.write(unfinished, config, SEED, head=True)
        os.rename(unfinished, args.dir)
    t5_model.save(batches(config, args), args.dir / "batches.safetensors")


if __name__ == "__main__":
    main()
