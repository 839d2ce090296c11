"""Every architecture of the T5 family as a small random checkpoint, in every format that checkpoints come in.

    python tools/reference/architectures.py [NAME...]

Writes export/testdata/arch/<name>/: config.json, model.safetensors and golden.safetensors, and in folders beside them
the same weights in other formats. README.md describes all of it. The truth is computed in float64 and rounded.
"""

import json
import logging
import shutil
import sys
from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file
from transformers import T5Config
from transformers.activations import ACT2CLS

import t5_graph
import t5_model

OUT = Path(__file__).resolve().parents[2] / "export" / "testdata" / "arch"

# Sizes: heads times d_kv (12) is not d_model (16), and layers differ from heads.
SIZES = {
    "d_model": 16,
    "d_kv": 4,
    "num_heads": 3,
    "d_ff": 24,
    "num_layers": 2,
    "vocab_size": 96,
}
# What concerns one key of the configuration needs no more than this.
SMALL = {"d_model": 12, "d_kv": 4, "num_heads": 2, "d_ff": 16, "num_layers": 1, "vocab_size": 32}

# config.json as the first published T5s have it: what is the class's default is not there.
FIRST = {
    "architectures": ["T5WithLMHeadModel"],
    "decoder_start_token_id": 0,
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "layer_norm_epsilon": 1e-6,
    "model_type": "t5",
    "n_positions": 512,
    "output_past": True,
    "pad_token_id": 0,
    "relative_attention_num_buckets": 32,
}
# As T5 v1.1 and all that came of it.
SECOND = {
    **FIRST,
    "architectures": ["T5ForConditionalGeneration"],
    "feed_forward_proj": "gated-gelu",
    "num_decoder_layers": 2,
    "tie_word_embeddings": False,
}
# What transformers 4.2x adds when it saves.
DERIVED = {"dense_act_fn": "gelu_new", "is_gated_act": True, "torch_dtype": "float32", "transformers_version": "4.23.1"}
SMALL_SECOND = {**SECOND, **SMALL, "num_decoder_layers": 1}


def without(config, *keys):
    return {key: value for key, value in config.items() if key not in keys}


def saved_by_5(config):
    """The same config.json as transformers 5 writes it: tying always claimed, scaling told apart."""
    return json.loads(T5Config(**config).to_json_string())


# name: (config.json, whether lm_head is a matrix of its own, whether the head's input is scaled by d_model^-0.5)
FAMILY = {
    "t5": ({**FIRST, **SIZES}, False, True),
    # the proportions of T5 11b: heads and feed-forward far wider than the stream
    "t5-11b": ({**FIRST, **SIZES, "d_model": 8, "d_kv": 8, "num_heads": 8, "d_ff": 128}, False, True),
    "t5-v1_1": ({**SECOND, **SIZES}, True, False),
    "t5-lm-adapt": ({**SECOND, **SIZES, "dropout_rate": 0.0}, True, False),
    "flan-t5": ({**SECOND, **SIZES, **DERIVED, "num_heads": 5}, True, False),
    "mt5": (
        {
            **SECOND,
            **SIZES,
            "architectures": ["MT5ForConditionalGeneration"],
            "model_type": "mt5",
            "tokenizer_class": "T5Tokenizer",
        },
        True,
        False,
    ),
    "umt5": (
        {
            **SECOND,
            **SIZES,
            **DERIVED,
            "architectures": ["UMT5ForConditionalGeneration"],
            "model_type": "umt5",
            "scalable_attention": True,
            "relative_attention_max_distance": 128,
        },
        True,
        False,
    ),
    # ByT5: three times as many layers in the encoder; 384 rows for bytes and sentinels
    "byt5": (
        {
            **SECOND,
            **SIZES,
            "num_layers": 3,
            "num_decoder_layers": 1,
            "vocab_size": 384,
            "tokenizer_class": "ByT5Tokenizer",
        },
        True,
        False,
    ),
}

# How config.json may say, or fail to say, which matrix is the head and whether its input is scaled.
HEADS = {
    "tied-unscaled": ({**SMALL_SECOND, "tie_word_embeddings": True, "scale_decoder_outputs": False}, False, False),
    "untied-scaled": ({**SMALL_SECOND, "tie_word_embeddings": True, "scale_decoder_outputs": True}, True, True),
    # transformers 5 ties what says it is not tied but has no head
    "untied-headless": (SMALL_SECOND, False, False),
    # early transformers 5 claimed tying and did not speak of scaling
    "untied-claimed": ({**SMALL_SECOND, "tie_word_embeddings": True}, True, False),
    "t5-saved-by-5": (saved_by_5({**FIRST, **SMALL}), False, True),
    "t5-v1_1-saved-by-5": (saved_by_5(SMALL_SECOND), True, False),
    "umt5-tied": (without({**SMALL_SECOND, "model_type": "umt5"}, "tie_word_embeddings"), False, True),
    # what mT5 and UMT5 leave out is not what T5 leaves out
    "mt5-defaults": (
        without({**SMALL_SECOND, "model_type": "mt5"}, "tie_word_embeddings", "feed_forward_proj", "num_decoder_layers"),
        True,
        False,
    ),
    # the activation in its own key, which wins
    "derived-act": ({**SMALL_SECOND, **DERIVED, "dense_act_fn": "silu"}, True, False),
    # one name only for the embedding, and not the usual one (MADLAD-400)
    "aliased": (SMALL_SECOND, True, False),
}

# Every activation of transformers that has no weights of its own (activations.py, ACT2FN).
ACTIVATIONS = (
    "gelu gelu_10 gelu_accurate gelu_fast gelu_new gelu_python gelu_python_tanh gelu_pytorch_tanh hardswish laplace"
    " leaky_relu linear mish quick_gelu relu relu2 relu6 sigmoid silu sqrtsoftplus swish tanh"
    " gated-relu gated-silu gated-gelu_fast gated-quick_gelu gated-relu2"
).split()
assert set(ACT2CLS) - {"prelu", "xielu"} <= set(ACTIVATIONS), "transformers knows more activations"
ACTS = {f"act-{name}": ({**SMALL_SECOND, "feed_forward_proj": name}, True, False) for name in ACTIVATIONS}
# Those that are something else further out.
FAR = ("act-gelu_10", "act-hardswish", "act-relu6", "act-sqrtsoftplus")

CASES = {**FAMILY, **HEADS, **ACTS}


def batch(config, seed):
    """Three rows: texts of 9, 5 and 7 tokens padded on the right, targets of 5, 3 and 4, four prompt vectors."""
    generator = torch.Generator().manual_seed(seed)
    texts, targets, p = (9, 5, 7), (5, 3, 4), 4
    rows, s, t = len(texts), max(texts), max(targets)
    io = {
        "input_ids": torch.zeros(rows, s, dtype=torch.int64),
        "attention_mask": torch.zeros(rows, s, dtype=torch.int64),
        "labels": torch.full((rows, t), -100),
        "label_weights": torch.ones(rows, t),
        "prompts": 2.0 * torch.randn(1, p, config["d_model"], generator=generator),
        "prompt_mask": torch.ones(1, p, dtype=torch.int64),
        "prompt_index": torch.zeros(rows, dtype=torch.int64),
    }

    def tokens(n):
        return torch.cat([torch.randint(3, config["vocab_size"], (n - 1,), generator=generator), torch.tensor([1])])

    for row, (text, target) in enumerate(zip(texts, targets)):
        io["input_ids"][row, :text] = tokens(text)
        io["attention_mask"][row, :text] = 1
        io["labels"][row, :target] = tokens(target)
    io["labels"][0, 1] = -100  # a hole: no loss there, and the decoder reads padding after it
    return io


# Where transformers 5.23 scales the head though no such model was ever trained so; transformers 4 went by
# tie_word_embeddings alone. 5.23 ties UMT5 in name always, and scales what is tied in name.
MISREAD = ("umt5", "umt5/float16", "umt5/bfloat16", "umt5/mixed", "untied-claimed")


def load(name, config, scaled, dtype):
    """The model as its files mean it."""
    model = t5_model.load(OUT / name, dtype)
    key = {"t5": "scale_decoder_outputs", "umt5": "tie_word_embeddings"}.get(config["model_type"])
    if name in MISREAD:
        setattr(model.config, key, scaled)
    if scaled != (key is not None and getattr(model.config, key)):  # MT5 never scales
        raise AssertionError(f"{name}: transformers scales the head: {not scaled}")
    return model


def numbers(model, io, dtype):
    """Logits [B,T,V], loss [1] summed over the labels, and its gradient in the prompt [1,P,d]."""
    prompts = io["prompts"].to(dtype).requires_grad_()
    logits = t5_graph.decode(model, t5_graph.encode(model, io, prompts), model._shift_right(io["labels"]))
    nll, _, kept = t5_graph.token_losses(logits, io["labels"])
    loss = nll.sum()
    (gradient,) = torch.autograd.grad(loss, prompts)
    if dtype == torch.float32:
        t5_graph.check_against_transformers(model, io, {"logits": logits, "loss.mean": loss[None] / kept.sum()})
    return {"logits": logits.detach(), "loss": loss[None].detach(), "grad": gradient}


def golden(path, model, io):
    """Writes the batch and the truth, and says how far plain float32 is from it. model(dtype) loads the model."""
    truth, plain = (
        t5_graph.to_disk(numbers(model(dtype), io, dtype), "want.") for dtype in (torch.float64, torch.float32)
    )
    io = {**io, "decoder_input_ids": model(torch.float32)._shift_right(io["labels"])}
    t5_model.save({**t5_graph.to_disk(io), **truth}, path)
    for name in ("want.logits", "want.grad"):
        t5_graph.report(f"{path.parent.relative_to(OUT.parent)} {name}", plain[name], truth[name])


def rounded(model, folder, config, dtype, keep=()):
    """The same weights in half precision, but for those of the layers named in keep; returns the files' weights."""
    weights = {
        key: weight if any(f".{part}." in key for part in keep) else weight.to(dtype)
        for key, weight in load_file(model / "model.safetensors").items()
    }
    folder.mkdir()
    named = {"torch_dtype": str(dtype).removeprefix("torch.")}
    (folder / "config.json").write_text(json.dumps({**config, **named}, indent=2) + "\n")
    t5_model.save(weights, folder / "model.safetensors", {"format": "pt"})


class NumberedStorages:
    """The older format names and sorts storages by their addresses; here by when they are first seen.

    A file is then the same whenever it is written.
    """

    def __enter__(self):
        address, seen = torch.UntypedStorage._cdata, {}
        number = lambda storage: 10**14 + seen.setdefault(address.__get__(storage), len(seen))
        torch.UntypedStorage._cdata = property(number)

    def __exit__(self, *_):
        del torch.UntypedStorage._cdata


def formats(name, config, scaled, io):
    """Writes the model's weights in the other formats that T5s are published in, each a model folder of its own."""
    folder = OUT / name
    half = {
        "float16": (torch.float16, ()),
        "bfloat16": (torch.bfloat16, ()),
        "mixed": (torch.float16, ("wo",)),  # as transformers saves what it loaded in float16: wo stays float32
    }
    for kind, (dtype, keep) in half.items():
        rounded(folder, folder / kind, config, dtype, keep)
        golden(folder / kind / "golden.safetensors", lambda dtype: load(f"{name}/{kind}", config, scaled, dtype), io)

    model = load(name, config, scaled, torch.float32)
    state = model.state_dict()  # with every name of a tied matrix
    place = lambda kind: (folder / kind).mkdir() or folder / kind
    shard = sum(p.nbytes for p in model.parameters()) // 3
    model.save_pretrained(place("sharded"), max_shard_size=shard)  # config.json as transformers 5 writes it
    (folder / "sharded" / "generation_config.json").unlink()
    torch.save(state, place("bin") / "pytorch_model.bin")
    save_torch_state_dict(state, place("bin-sharded"), max_shard_size=shard, safe_serialization=False)
    if config["architectures"] == FIRST["architectures"]:  # a table that the first T5s were saved with and none reads
        key = "decoder.block.0.layer.{}Attention.relative_attention_bias.weight"
        state[key.format("1.EncDec")] = state[key.format("0.Self")].clone()
    with NumberedStorages():
        torch.save(state, place("bin-old") / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    for kind in ("bin", "bin-sharded", "bin-old"):
        shutil.copy(folder / "config.json", folder / kind)


def write(name, seed):
    config, head, scaled = CASES[name]
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    t5_model.write(folder, config, seed, head)
    weights = load_file(folder / "model.safetensors")
    if name in ACTS:
        for key in weights:
            if ".wi" in key:
                weights[key] *= 5 if name in FAR else 2
        t5_model.save(weights, folder / "model.safetensors", {"format": "pt"})
    io = batch(config, seed=1000 + seed)
    golden(folder / "golden.safetensors", lambda dtype: load(name, config, scaled, dtype), io)
    if name == "aliased":
        weights["decoder.embed_tokens.weight"] = weights.pop("shared.weight")
        t5_model.save(weights, folder / "model.safetensors", {"format": "pt"})


    if name in FAMILY:
        formats(name, config, scaled, io)


def main(names):
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # of formats that are wanted here
    for seed, name in enumerate(CASES, start=1):
        if not names or name in names:
            write(name, seed)


if __name__ == "__main__":
    main(sys.argv[1:])
