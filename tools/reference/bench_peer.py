"""What the peers of the benchmark share: one process that holds a model and is driven line by line.

Standard output carries one JSON object a line: first, when the model is loaded, {"ready": seconds, ...}; after every line
that names a command its answer; at the end of input {"peak_rss_bytes": ..., ...} from the kernel's counters.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import logging


def parser(doc):
    """The options that all peers have."""
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, type=Path)
    p.add_argument("--batches", type=Path, help="file of batches; by default that in the model's folder")
    p.add_argument("--threads", type=int, default=2)
    return p


def prepare(args):
    """Sets PyTorch up and reads the batches: a dictionary of tensors, ids as int64."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    tensors = load_file(args.batches or args.model / "batches.safetensors")
    return {name: t if t.is_floating_point() else t.long() for name, t in tensors.items()}


def trim(ids, value=0):
    """Cuts the columns in which every row [B,S] is padding: a batch padded to its longest row."""
    return ids[:, : int((ids != value).sum(1).max())]


def say(**fields):
    print(json.dumps(fields), flush=True)


def serve(commands):
    """Answers each line by what its command returns, then says what memory it took."""
    for line in sys.stdin:
        command = commands.get(line.strip())
        if command is None:
            raise SystemExit(f"unknown command {line.strip()!r}: want {' or '.join(sorted(commands))}")
        say(**command())
    say(**memory())


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
