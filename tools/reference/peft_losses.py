"""Golden numbers for training: 20 AdamW steps of PEFT's prompt tuning, loss by loss.

    python tools/reference/peft_losses.py

Writes prompt/tune/testdata/golden/peft/<name>.safetensors for two of t5_graph.py's models and for the embedded tiny one.
"""

from pathlib import Path

import torch

import peft_model
import t5_model

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "prompt" / "tune" / "testdata" / "golden" / "peft"
GOLDEN = ROOT / "export" / "testdata" / "golden"
STEPS = 20

# name: (model folder, prompt length, rows, text length, target length, size of the first prompt, AdamW's settings)
RUNS = {
    "v1_0-2x2": (GOLDEN / "v1_0-2x2", 6, 4, 12, 4, 2.0, {"lr": 0.3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}),
    "v1_1-2x2": (GOLDEN / "v1_1-2x2", 6, 4, 12, 4, 2.0, {"lr": 0.3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}),
    "tiny": (ROOT / "models" / "tiny", 10, 8, 24, 3, 8.8, {"lr": 1.0, "betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": 0.0}),
}


def batches(vocab, rows, text, target, generator):
    """STEPS batches of random texts and targets of every length up to the longest, ending in EOS."""
    input_ids = torch.zeros(STEPS, rows, text, dtype=torch.int64)
    labels = torch.full((STEPS, rows, target), -100)
    for tensor, longest in ((input_ids, text), (labels, target)):
        for row in tensor.view(-1, longest):
            n = int(torch.randint(2, longest + 1, (), generator=generator))
            row[: n - 1] = torch.randint(3, vocab, (n - 1,), generator=generator)
            row[n - 1] = 1
    return input_ids, labels


def train(folder, dtype, prompt, input_ids, labels, settings):
    """The losses [STEPS], each before its step, and the prompt after the last."""
    wrapped = peft_model.wrap(t5_model.load(folder, dtype), prompt).to(dtype)
    peft_model.without_dropout(wrapped).train()
    optimizer = torch.optim.AdamW([peft_model.prompt_of(wrapped)], foreach=False, **settings)
    losses = [peft_model.step(wrapped, optimizer, *batch) for batch in zip(input_ids, labels)]
    return torch.tensor(losses), peft_model.prompt_of(wrapped).detach().float()


def main():
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    for seed, (name, (folder, length, rows, text, target, size, settings)) in enumerate(RUNS.items(), start=1):
        generator = torch.Generator().manual_seed(seed)
        config = t5_model.load(folder).config
        prompt = size * torch.randn(length, config.d_model, generator=generator)
        input_ids, labels = batches(config.vocab_size, rows, text, target, generator)
        losses, final = train(folder, torch.float32, prompt, input_ids, labels, settings)
        exact, _ = train(folder, torch.float64, prompt, input_ids, labels, settings)
        flat = [settings["lr"], *settings["betas"], settings["eps"], settings["weight_decay"]]
        tensors = {
            "settings": torch.tensor(flat, dtype=torch.float64),
            "prompt": prompt,
            "input_ids": input_ids,
            "attention_mask": (input_ids != 0).long(),
            "labels": labels,
            "losses": losses,
            "final_prompt": final,
        }
        t5_model.save(tensors, OUT / f"{name}.safetensors")
        drift = ((losses - exact).abs() / exact).max()
        print(f"{name}: loss {losses[0]:.4f} to {losses[-1]:.4f}; float64 takes the same way within {drift:.1e}")


if __name__ == "__main__":
    main()
