"""The highest rate of float32 matrix products in PyTorch, and the versions of what the reference runs on.

    python tools/bench/peak.py THREADS '[[2048, 768, 3072], ...]' REPEATS

Prints one JSON object: {"peak": {"gflops", "shape", "library"}, "versions": {...}}.
"""

import json
import platform
import sys
import time
from importlib.metadata import version

import torch

threads, shapes, repeats = int(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
torch.manual_seed(0)
best = {"gflops": 0.0}
for m, k, n in shapes:
    left, right, product = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
    torch.mm(left, right, out=product)
    for _ in range(repeats):
        began = time.perf_counter()
        torch.mm(left, right, out=product)
        gflops = 2e-9 * m * k * n / (time.perf_counter() - began)
        if gflops > best["gflops"]:
            best = {"gflops": gflops, "shape": [m, k, n], "library": f"torch {torch.__version__}"}
versions = {name: version(name) for name in ("torch", "transformers", "peft")}
print(json.dumps({"peak": best, "versions": {"python": platform.python_version(), **versions}}))
