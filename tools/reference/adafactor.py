"""Golden numbers for the optimisers: T5X's Adafactor, and AdamW as PyTorch has it, over 50 steps.

    python tools/reference/adafactor.py

Writes grad/testdata/golden/{adafactor,adamw}.safetensors. The Adafactor is written out here in numpy from t5x/adafactor.py
(google-research/t5x), because T5X needs JAX and Flax of its day; AdamW is torch.optim.AdamW itself.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parents[2] / "grad" / "testdata" / "golden"
STEPS = 50
SEED_SCALE, SEED_PARAMETER = 0, 999

# Settings of prompt_tuning/configs/models/t5_1_1_prompt.gin and configs/runs/prompt_finetune.gin
# (google-research/prompt-tuning); the rest are T5X's defaults.
LEARNING_RATE = 0.3
WEIGHT_DECAY = 1e-5
DECAY_RATE = 0.8
CLIPPING_THRESHOLD = 1.0
EPSILON1 = 1e-30
MIN_DIM_SIZE_TO_FACTOR = 128

# shape, first step (1,100,000 is the one restored with the LM-adapted checkpoints), steps whose parameters are kept
ADAFACTOR_RUNS = [
    ((20, 64), 0, (1, 2, 5, 10, 20, 35, 50)),
    ((20, 64), 1_100_000, (1, 2, 5, 10, 20, 35, 50)),
    ((130, 136), 0, (1, 5, 20, 50)),
    ((130, 136), 1_100_000, (1, 5, 20, 50)),
    ((136, 130), 0, (50,)),  # the other axis is the longer one
]
# name: torch.optim.AdamW's settings
ADAMW_RUNS = {
    "decay": {"lr": 0.3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01},
    "plain": {"lr": 1e-3, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.0},
}


# Numbers that any language makes alike: README.md spells them out.


def bits(seed, n):
    """n words of 64 bits, splitmix64 of seed * 2^32 + index."""
    with np.errstate(over="ignore"):
        z = (np.uint64(seed) << np.uint64(32)) + np.arange(n, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(words):
    """[-0.5, 0.5) in steps of 2^-24, exact in float32."""
    return (words >> np.uint64(40)).astype(np.float32) * np.float32(2**-24) - np.float32(0.5)


def initial(shape):
    return np.float32(8) * uniform(bits(SEED_PARAMETER, np.prod(shape))).reshape(shape)


def gradient(step, shape):
    """The gradient of a step (from 1): scales by powers of two differ from step to step and row to row, 1/16 is zero."""
    words = bits(step, np.prod(shape))
    g = np.where(words % np.uint64(16) == 0, np.float32(0), uniform(words)).reshape(shape)
    step_scale = np.float32(2.0) ** np.float32(int(bits(SEED_SCALE, STEPS + 1)[step] % np.uint64(13)) - 8)
    row_scale = np.float32(2.0) ** (np.arange(shape[0]) % 5 - 2).astype(np.float32)
    return g * step_scale * row_scale[:, None]


# Adafactor.


def decay_rate(step):
    """Adafactor._decay_rate_pow, in float32: at 1,100,000 it is a handful of units in the last place below 1."""
    t = np.float32(step) + np.float32(1)
    return np.float32(1) - t ** np.float32(-DECAY_RATE)


def factored_dims(shape):
    """Adafactor._factored_dims: (d1, d0), the second longest axis and the longest, or None when either is short."""
    order = np.argsort(shape)
    if shape[order[-2]] < MIN_DIM_SIZE_TO_FACTOR:
        return None
    return int(order[-2]), int(order[-1])


def init_state(shape):
    """Adafactor.init_param_state: zeros."""
    dims = factored_dims(shape)
    if dims is None:
        return {"v": np.zeros(shape, np.float32)}
    d1, d0 = dims
    return {"v_row": np.zeros(shape[d1], np.float32), "v_col": np.zeros(shape[d0], np.float32)}


def apply(step, param, state, grad):
    """Adafactor.apply_param_gradient, without momentum and without scaling by the parameter; float32 throughout."""
    decay = decay_rate(step)
    mixing = np.float32(1) - decay
    grad_sqr = grad * grad + np.float32(EPSILON1)
    dims = factored_dims(param.shape)
    if dims is None:
        state = {"v": decay * state["v"] + mixing * grad_sqr}
        y = grad * state["v"] ** np.float32(-0.5)
    else:
        d1, d0 = dims
        v_row = decay * state["v_row"] + mixing * grad_sqr.mean(axis=d0)
        v_col = decay * state["v_col"] + mixing * grad_sqr.mean(axis=d1)
        state = {"v_row": v_row, "v_col": v_col}
        row_factor = (v_row / v_row.mean()) ** np.float32(-0.5)
        col_factor = v_col ** np.float32(-0.5)
        y = grad * np.expand_dims(row_factor, d0) * np.expand_dims(col_factor, d1)
    rms = np.sqrt(np.mean(y * y))
    y = y / np.maximum(np.float32(1), rms / np.float32(CLIPPING_THRESHOLD))
    return np.float32(1.0 - WEIGHT_DECAY) * param - np.float32(LEARNING_RATE) * y, state


def run_adafactor(shape, first_step, kept):
    param, state, params, clipped = initial(shape), init_state(shape), [], 0
    for i in range(STEPS):
        before = param
        param, state = apply(first_step + i, param, state, gradient(i + 1, shape))
        clipped += np.sqrt(np.mean((before - param) ** 2)) > 0.999 * LEARNING_RATE
        if i + 1 in kept:
            params.append(param)
    print(f"adafactor {shape} from {first_step}: {clipped} of {STEPS} updates clipped, param max {np.abs(param).max():.3g}")
    name = f"{shape[0]}x{shape[1]}.from{first_step}"
    out = {f"{name}.steps": np.array(kept), f"{name}.params": np.stack(params)}
    out.update({f"{name}.{key}": value for key, value in state.items()})
    return out


def run_adamw(name, settings, shape=(20, 64), kept=(1, 2, 5, 10, 20, 35, 50)):
    param = torch.nn.Parameter(torch.from_numpy(initial(shape)))
    optimizer = torch.optim.AdamW([param], foreach=False, **settings)
    params = []
    for step in range(1, STEPS + 1):
        param.grad = torch.from_numpy(gradient(step, shape))
        optimizer.step()
        if step in kept:
            params.append(param.detach().numpy().copy())
    state = optimizer.state[param]
    flat = [settings["lr"], *settings["betas"], settings["eps"], settings["weight_decay"]]
    return {
        f"{name}.settings": np.array(flat),
        f"{name}.steps": np.array(kept),
        f"{name}.params": np.stack(params),
        f"{name}.exp_avg": state["exp_avg"].numpy(),
        f"{name}.exp_avg_sq": state["exp_avg_sq"].numpy(),
    }


def write(name, tensors):
    """Adds what lets a reader check the generator of the numbers themselves."""
    for shape in [(20, 64)]:
        tensors[f"initial.{shape[0]}x{shape[1]}"] = initial(shape)
        tensors[f"gradients.{shape[0]}x{shape[1]}"] = np.stack([gradient(step, shape) for step in (1, 2, STEPS)])
    path = OUT / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, path)
    path.chmod(0o644)


def main():
    torch.set_num_threads(1)
    adafactor = {}
    for run in ADAFACTOR_RUNS:
        adafactor.update(run_adafactor(*run))
    for first in (0, 1_100_000):
        adafactor[f"decay_rate.from{first}"] = np.array([decay_rate(first + i) for i in range(STEPS)], np.float32)
    write("adafactor", adafactor)
    adamw = {}
    for name, settings in ADAMW_RUNS.items():
        adamw.update(run_adamw(name, settings))
    write("adamw", adamw)


if __name__ == "__main__":
    main()
