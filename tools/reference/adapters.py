"""Adapter folders and what the SST-2 adapter of DePT makes of a T5.

    python tools/reference/adapters.py

Writes to prompt/testdata/adapters: peft-prompt-tuning, peft-p-tuning and peft-multitask, small folders that PEFT itself
saved, adept, a folder as the code of ADePT saves it (none is published), and forward.safetensors: the published SST-2
adapter of DePT on a T5 of its width, by the authors' forward pass on transformers' model. The model's weights follow from a formula that
export/adapter_test.go has as well, so that none need be kept.
"""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from peft import MultitaskPromptTuningConfig, PromptEncoderConfig, PromptTuningConfig, TaskType, get_peft_model

import t5_model

OUT = Path(__file__).resolve().parents[2] / "prompt" / "testdata" / "adapters"
GOLDEN = OUT.parents[2] / "export" / "testdata" / "golden"
MAX_LENGTH = 256  # --max_length of the published runs: inputs are padded to it


def saved_by_peft():
    for name, config in {
        "peft-prompt-tuning": PromptTuningConfig(task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=3),
        "peft-p-tuning": PromptEncoderConfig(task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=3, encoder_hidden_size=8),
        "peft-multitask": MultitaskPromptTuningConfig(
            task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=3, num_tasks=1, num_ranks=2, prompt_tuning_init="RANDOM"
        ),
    }.items():
        torch.manual_seed(1)
        model = get_peft_model(t5_model.load(GOLDEN / "v1_0-2x2", torch.float32), config)
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            (OUT / name).mkdir(parents=True, exist_ok=True)
            for file in ("adapter_config.json", "adapter_model.safetensors"):
                shutil.copyfile(Path(folder) / file, OUT / name / file)
        config = json.loads((OUT / name / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = "google-t5/t5-small"  # not where it lay here
        (OUT / name / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def adept():
    """utils/save_and_load.py of ADePT: A [d,r], a [r], B [r,d], b [d] of the network beside the prompt."""
    generator = torch.Generator().manual_seed(2)
    draw = lambda *shape: torch.randn(*shape, generator=generator)
    names = {"A": (4, 2), "a": (2,), "B": (2, 4), "b": (4,)}
    tensors = {"prompt_embeddings": draw(3, 4)} | {f"prompt_encoder.lora_embedding_{n}": draw(*s) for n, s in names.items()}
    (OUT / "adept").mkdir(parents=True, exist_ok=True)
    torch.save(tensors, OUT / "adept" / "adapter_model.bin")
    config = {
        "base_model_name_or_path": "t5-base", "peft_type": "PROMPT_TUNING_LORAX", "task_type": "SEQ_2_SEQ_LM",
        "num_virtual_tokens": 3, "num_transformer_submodules": 1, "token_dim": 4, "r": 2, "lora_alpha": 8, "max_length": 256,
    }
    (OUT / "adept" / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def uniform(seed, n):
    """n numbers in [-1,1): SplitMix64 of seed·2^32 + i, its upper 24 bits."""
    with np.errstate(over="ignore"):
        x = np.arange(n, dtype=np.uint64) + np.uint64(seed << 32) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def base():
    """A T5 v1.0 of the adapter's width, d_model 768 and 12 heads of 64, with two layers a stack.

    The k-th weight in the order of names has uniform(k+1, …) times a bound by what it is: 1 + 0.3·u for norms, 1.5·u for the
    embedding, u for position biases, and √3/√inputs · u for matrices, a quarter of that for q.
    """
    config = json.loads((GOLDEN / "v1_0-2x2" / "config.json").read_text())
    config |= {"vocab_size": 300, "d_model": 768, "d_kv": 64, "d_ff": 512, "num_heads": 12}
    weights = {}
    for k, (name, like) in enumerate(sorted(t5_model.random_weights(config, 0, False).items())):
        u = uniform(k + 1, like.numel()).reshape(like.shape)
        if "layer_norm" in name:
            u = 1 + 0.3 * u
        elif name == "shared.weight":
            u = 1.5 * u
        elif "relative_attention_bias" not in name:
            u = u * (3 / u.shape[1]) ** 0.5 / (4 if name.endswith(".q.weight") else 1)
        weights[name] = torch.from_numpy(u.astype(np.float32))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        t5_model.save(weights, Path(folder) / "model.safetensors", {"format": "pt"})
        return t5_model.load(Path(folder), torch.float64)


def forward():
    """peft_model.py and tuners/prompt_tuning_lora.py of DePT, PeftModelForSeq2SeqLM.forward and PromptEmbedding."""
    folder = OUT / "dept-sst2"
    config = json.loads((folder / "adapter_config.json").read_text())
    t = {n: x.double().cpu() for n, x in torch.load(folder / "adapter_model.bin", map_location="cpu", weights_only=True).items()}
    scaling = config["lora_alpha"] / config["r"] ** 0.5
    rng = np.random.default_rng(5)
    rows = [7, 23, 256]  # tokens, end-of-sequence included; the last one fills max_length
    ids = np.zeros((len(rows), MAX_LENGTH), np.int64)
    for row, n in zip(ids, rows):
        row[: n - 1], row[n - 1] = rng.integers(3, 300, n - 1), 1
    input_ids, labels = torch.from_numpy(ids), torch.tensor([[40, 1], [7, 1], [123, 1]])
    mask = (input_ids != 0).long()
    model = base()
    with torch.no_grad():
        inputs_embeds = model.shared(input_ids)
        # every position of the padded input gets its row of the table
        inputs_embeds = inputs_embeds + scaling * (t["prompt_encoder.lora_embedding_A"] @ t["prompt_encoder.lora_embedding_B"])
        prompts = t["prompt_embeddings"].expand(len(rows), -1, -1)
        inputs_embeds = torch.cat((prompts, inputs_embeds), dim=1)
        prefix = torch.ones(len(rows), config["num_virtual_tokens"], dtype=mask.dtype)
        logits = model(inputs_embeds=inputs_embeds, attention_mask=torch.cat((prefix, mask), dim=1), labels=labels).logits
    scores = logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0].sum(1)
    t5_model.save(
        {"input_ids": input_ids, "attention_mask": mask, "labels": labels, "logits": logits.float(), "log_probability": scores.float()},
        OUT / "forward.safetensors",
    )
    print("log-probabilities of the answers:", " ".join(f"{s:.4f}" for s in scores.tolist()))


def main():
    torch.set_num_threads(1)
    saved_by_peft()
    adept()
    forward()


if __name__ == "__main__":
    main()
