"""Golden numbers for the whole T5 graph: PyTorch's losses, logits, gradients, scores and greedy ids.

    python tools/reference/t5_graph.py

Writes export/testdata/golden/<case>/: a model folder and, beside it, one .safetensors file a batch. README.md
describes every tensor. What starts with `want.` is computed in float64 and rounded; `f32.` is float32 throughout.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

import t5_model

OUT = Path(__file__).resolve().parents[2] / "export" / "testdata" / "golden"
# Coefficients of the z-loss: T5X's own, and one whose part in the gradient cannot be overlooked.
Z_LOSSES = {"sum_z1e-4": 1e-4, "sum_z1e-1": 1e-1}
GREEDY_STEPS = 8
DROPOUT_RATE = 0.25

V1_1 = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
# What transformers 5 writes for either kind: tying always claimed, scaling told apart.
SAVED_BY_V5 = {"tie_word_embeddings": True}

# name: (what config.json holds over t5_model.BASE, whether lm_head has its own matrix, the batches).
# v1_0-2x2 leaves every optional key out, as the first published T5s do.
CASES = {
    "v1_0-2x2": ({"num_layers": 2}, False, ("io", "long", "lengths", "dropout")),
    "v1_0-8x8": ({"num_layers": 8, "num_decoder_layers": 8, "feed_forward_proj": "relu"}, False, ("io",)),
    "v1_1-2x2": ({**V1_1, "num_layers": 2, "num_decoder_layers": 2}, True, ("io", "long", "lengths", "dropout")),
    "v1_1-8x8": ({**V1_1, "num_layers": 8, "num_decoder_layers": 8}, True, ("io",)),
    "v1_1-3x1": (
        {
            **V1_1,
            "num_layers": 3,
            "num_decoder_layers": 1,
            "relative_attention_num_buckets": 16,
            "relative_attention_max_distance": 24,
            "layer_norm_epsilon": 1e-3,
        },
        True,
        ("io", "long", "dropout"),
    ),
    "silu-1x1": (
        {**SAVED_BY_V5, "num_layers": 1, "feed_forward_proj": "gated-silu", "scale_decoder_outputs": False},
        True,
        ("io",),
    ),
    "gelu-1x1": (
        {**SAVED_BY_V5, "num_layers": 1, "feed_forward_proj": "gelu", "scale_decoder_outputs": True},
        False,
        ("io",),
    ),
}
# Cases small enough to keep the gradient of every weight too.
WEIGHT_GRADIENTS = ("v1_0-2x2", "v1_1-2x2")


# Batches: inputs of the graph, by its own names.

# text lengths [B] (the longest is S), target lengths [B] (the longest is T), prompt lengths [K], prompt of each row
BATCHES = {
    "io": ((11, 7, 3, 9), (4, 2, 5, 1), (5, 5), (0, 1, 1, 0)),
    "dropout": ((9, 4, 6), (3, 4, 2), (5, 5), (1, 0, 1)),
    "lengths": ((8, 3, 10, 6), (3, 4, 2, 1), (6, 2, 4), (0, 1, 2, 1)),
    # distances past 128 in the encoder and the decoder, where buckets saturate
    "long": ((150, 97), (140, 75), (4, 4), (1, 0)),
}


def batch(config, kind, seed):
    """Random inputs. Masked prompt rows and weights of ignored labels are random too: a graph that reads them shows."""
    texts, targets, prompt_lengths, prompt_index = BATCHES[kind]
    generator = torch.Generator().manual_seed(seed)
    rows, s, t, p = len(texts), max(texts), max(targets), max(prompt_lengths)

    def tokens(*shape):
        return torch.randint(3, config["vocab_size"], shape, generator=generator)

    io = {
        "input_ids": torch.zeros(rows, s, dtype=torch.int64),
        "attention_mask": torch.zeros(rows, s, dtype=torch.int64),
        "labels": torch.full((rows, t), -100),
        "label_weights": torch.rand(rows, t, generator=generator),
        "prompts": 2.0 * torch.randn(len(prompt_lengths), p, config["d_model"], generator=generator),
        "prompt_mask": torch.zeros(len(prompt_lengths), p, dtype=torch.int64),
        "prompt_index": torch.tensor(prompt_index),
    }
    for row, (text, target) in enumerate(zip(texts, targets)):
        io["input_ids"][row, :text] = torch.cat([tokens(text - 1), torch.tensor([1])])
        io["attention_mask"][row, :text] = 1
        io["labels"][row, :target] = torch.cat([tokens(target - 1), torch.tensor([1])])
    io["labels"][0, 1] = -100  # a hole inside a target: no loss there, and pad goes into the decoder after it
    for k, n in enumerate(prompt_lengths):
        io["prompt_mask"][k, p - n :] = 1

    # Three candidates a row, of one to three tokens and EOS; the rows come interleaved, as callers may send them.
    lengths = [(2 + (row + c) % 3) for c in range(3) for row in range(rows)]
    io["candidate_ids"] = torch.full((len(lengths), max(lengths)), -100)
    io["candidate_row"] = torch.tensor([row for _ in range(3) for row in range(rows)])
    for i, n in enumerate(lengths):
        io["candidate_ids"][i, :n] = torch.cat([tokens(n - 1), torch.tensor([1])])
    if kind == "dropout":
        io.update(dropout_masks(config, rows, p + s, t, generator))
    return io


def dropout_masks(config, rows, keys, targets, generator):
    """Masks as the graph multiplies them in: 0 or 1/(1-rate), one axis of 1 along the sequence."""
    encoder = config["num_layers"]
    decoder = config.get("num_decoder_layers", encoder)
    d, d_ff, heads = config["d_model"], config["d_ff"], config["num_heads"]
    shapes = {
        "dropout.hidden": (2 * encoder + 2 + 3 * decoder + 2, rows, 1, d),
        "dropout.ff": (encoder + decoder, rows, 1, d_ff),
        "dropout.encoder_attention": (encoder, rows, heads, 1, keys),
        "dropout.decoder_attention": (decoder, rows, heads, 1, targets),
        "dropout.cross_attention": (decoder, rows, heads, 1, keys),
    }
    return {
        name: (torch.rand(shape, generator=generator) >= DROPOUT_RATE).float() / (1 - DROPOUT_RATE)
        for name, shape in shapes.items()
    }


class Replay:
    """Stands in for torch.nn.functional.dropout and multiplies by the batch's masks in the order of the forward pass."""

    def __init__(self, io, encoder, decoder):
        stacks = {name: iter(io[name]) for name in io if name.startswith("dropout.")}
        sites = ["dropout.hidden"]
        sites += ["dropout.encoder_attention", "dropout.hidden", "dropout.ff", "dropout.hidden"] * encoder
        sites += ["dropout.hidden", "dropout.hidden"]
        sites += [
            "dropout.decoder_attention",
            "dropout.hidden",
            "dropout.cross_attention",
            "dropout.hidden",
            "dropout.ff",
            "dropout.hidden",
        ] * decoder
        sites += ["dropout.hidden"]
        self.masks = [next(stacks[site]) for site in sites]
        if any(next(stack, None) is not None for stack in stacks.values()):
            raise AssertionError("the batch has more dropout masks than the model has sites")

    def __enter__(self):
        self.stock, F.dropout = F.dropout, self.dropout
        return self

    def __exit__(self, *_):
        F.dropout = self.stock
        if self.masks:
            raise AssertionError(f"{len(self.masks)} dropout masks were not used")

    def dropout(self, x, p=0.5, training=True, inplace=False):
        mask = self.masks.pop(0).to(x.dtype)
        if mask.dim() != x.dim() or any(m not in (1, n) for m, n in zip(mask.shape, x.shape)):
            raise AssertionError(f"dropout mask {tuple(mask.shape)} meets {tuple(x.shape)}")
        return x * mask


# Truth.


def encode(model, io, prompts):
    """Encodes every row behind its own prompt without the prompt's padding: [(rows, hidden states, mask)]."""
    lengths = io["prompt_mask"].sum(1)[io["prompt_index"]]
    runs = []
    for n in lengths.unique():
        rows = (lengths == n).nonzero()[:, 0]
        prompt = prompts[io["prompt_index"][rows], prompts.shape[1] - n :]
        embeds = torch.cat([prompt, model.shared(io["input_ids"][rows])], dim=1)
        ones = torch.ones(len(rows), n, dtype=torch.int64)
        mask = torch.cat([ones, io["attention_mask"][rows]], dim=1)
        hidden = model.encoder(inputs_embeds=embeds, attention_mask=mask).last_hidden_state
        runs.append((rows, hidden, mask))
    return runs


def decode(model, runs, ids, rows_of=None):
    """Logits [N,T,V] of decoder ids [N,T]; rows_of [N] names the encoded row of each, by default the same."""
    if rows_of is None:
        rows_of = torch.arange(len(ids))
    logits = [None] * len(ids)
    for rows, hidden, mask in runs:  # one call a prompt length, so that equal prompts are one pass
        place = {row: i for i, row in enumerate(rows.tolist())}
        group = [i for i, row in enumerate(rows_of.tolist()) if row in place]
        places = [place[rows_of[i].item()] for i in group]
        result = model(
            encoder_outputs=(hidden[places],),
            attention_mask=mask[places],
            decoder_input_ids=ids[group],
            use_cache=False,
        ).logits
        for i, row in zip(group, result):
            logits[i] = row
    return torch.stack(logits)


def token_losses(logits, labels):
    """Negative log-likelihood and squared log Z of each token [B,T], 0 where the label is -100."""
    kept = labels >= 0
    log_z = logits.logsumexp(-1)
    picked = logits.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return (log_z - picked) * kept, log_z.square() * kept, kept


def training_numbers(model, io, dtype, weights=False):
    """Everything a training step is about, in one type."""
    prompts = io["prompts"].to(dtype).requires_grad_()
    runs = encode(model, io, prompts)
    logits = decode(model, runs, model._shift_right(io["labels"]))
    nll, z, kept = token_losses(logits, io["labels"])
    weighted = (nll * io["label_weights"].to(dtype)).sum()
    losses = {"mean": nll.sum() / kept.sum(), "weighted": weighted}
    losses |= {name: nll.sum() + coefficient * z.sum() for name, coefficient in Z_LOSSES.items()}
    out = {
        "encoder_hidden": place_hidden(runs, io),
        "logits": logits,
        "token_nll": nll,
        "example_nll": nll.sum(1),
        "example_logz2": z.sum(1),
        "token_hits": ((logits.argmax(-1) == io["labels"]) & kept).sum(1),
    }
    for name, loss in losses.items():
        out[f"loss.{name}"] = loss[None]
        out[f"grad.{name}"] = torch.autograd.grad(loss, prompts, retain_graph=True)[0]
    gradients = {}
    if weights:
        named = dict(model.named_parameters())
        values = torch.autograd.grad(losses["mean"], list(named.values()))
        gradients = {name: g for name, g in zip(named, values)}
    detach = lambda tensors: {name: t.detach() for name, t in tensors.items()}
    return detach(out), detach(gradients)


def place_hidden(runs, io):
    """Encoder states [B,P+S,d] where the padded graph has them; 0 at a padded prompt's masked places."""
    p, s, d = io["prompts"].shape[1], io["input_ids"].shape[1], io["prompts"].shape[2]
    placed = torch.zeros(len(io["input_ids"]), p + s, d, dtype=runs[0][1].dtype)
    for rows, hidden, _ in runs:
        placed[rows, p + s - hidden.shape[1] :] = hidden
    return placed


@torch.no_grad()
def answering_numbers(model, io, dtype):
    """Candidate scores and greedy ids, without dropout."""
    runs = encode(model, io, io["prompts"].to(dtype))
    candidates = io["candidate_ids"]
    logits = decode(model, runs, model._shift_right(candidates), io["candidate_row"])
    ids = torch.zeros(len(io["input_ids"]), 1, dtype=torch.int64)
    margin = torch.inf
    for _ in range(GREEDY_STEPS):
        last = decode(model, runs, ids)[:, -1]
        top = last.topk(2).values
        margin = min(margin, (top[:, 0] - top[:, 1]).min().item())
        ids = torch.cat([ids, last.argmax(-1, keepdim=True)], dim=1)
    if margin < 1e-3:
        raise AssertionError(f"greedy choice hangs on {margin}: take another seed")
    return {"candidate_logprob": -token_losses(logits, candidates)[0].sum(1), "greedy_ids": ids[:, 1:]}


def check_against_transformers(model, io, out):
    """The pieces above must add up to one plain call of T5ForConditionalGeneration."""
    embeds = torch.cat([io["prompts"][io["prompt_index"]], model.shared(io["input_ids"])], dim=1)
    mask = torch.cat([io["prompt_mask"][io["prompt_index"]], io["attention_mask"]], dim=1)
    whole = model(inputs_embeds=embeds, attention_mask=mask, labels=io["labels"])
    torch.testing.assert_close(out["logits"], whole.logits, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(out["loss.mean"][0], whole.loss, rtol=1e-5, atol=1e-6)


def to_disk(tensors, prefix=""):
    """Rounds float64 to float32 and makes every tensor storable."""
    narrow = lambda t: t.float() if t.is_floating_point() else t.to(torch.int64)
    return {prefix + name: narrow(t) for name, t in tensors.items()}


def main():
    torch.set_num_threads(1)
    for seed, (name, (extra, head, kinds)) in enumerate(CASES.items(), start=1):
        config = {**t5_model.BASE, **extra}
        t5_model.write(OUT / name, config, seed, head)
        for kind in kinds:
            io = batch(config, kind, seed=100 * seed + len(kind))
            write_batch(OUT / name, config, kind, io, weights=kind == "io" and name in WEIGHT_GRADIENTS)


def write_batch(folder, config, kind, io, weights):
    model = t5_model.load(folder, torch.float64)
    io["labels"][0, 0] = answering_numbers(model, io, torch.float64)["greedy_ids"][0, 0]  # so that one token is hit
    stored = to_disk(io)
    for prefix, dtype in (("f32.", torch.float32), ("want.", torch.float64)):
        model = t5_model.load(folder, dtype)
        if kind == "dropout":
            layers = (config["num_layers"], config.get("num_decoder_layers", config["num_layers"]))
            with Replay(io, *layers):
                out, _ = training_numbers(model.train(), io, dtype)
        else:
            out, gradients = training_numbers(model, io, dtype, weights)
            out.update(answering_numbers(model, io, dtype))
            if dtype == torch.float32:
                check_against_transformers(model, io, out)
        if weights and dtype == torch.float64:
            t5_model.save(to_disk(gradients), folder / "weight_grads.safetensors")
        stored.update(to_disk(out, prefix))
    for name in ("logits", "grad.mean"):
        report(f"{folder.name} {kind} {name}", stored["f32." + name], stored["want." + name])
    t5_model.save(stored, folder / f"{kind}.safetensors")


def report(label, got, want):
    """One line: how large the numbers are and how far plain float32 is from the truth."""
    error = (got - want).abs().max() / want.abs().max()
    print(f"{label:28} max {want.abs().max():9.3g}  rms {want.square().mean().sqrt():9.3g}  float32 off by {error:.1e}")


if __name__ == "__main__":
    main()
