"""Golden numbers of the int8 models of export/testdata/exported: transformers with the weights that their graphs hold.

    python tools/reference/quantised.py

A graph quantised for ONNX Runtime keeps each weight in 7 or 8 bits with a scale, under names that say nothing of
Hugging Face's. Which is which is found here by likeness to the weights of the checkpoint, not by following the graph:
that is what our own reading of it is held against. Run it after the graphs are written.
"""

import json

import onnx
import torch
from onnx import AttributeProto, numpy_helper
from safetensors.torch import load_file

import architectures

OUT = architectures.OUT.parent / "exported"


def tensors(path):
    """Every initializer of a file and of the branches in it, by name."""
    found, graphs = {}, [onnx.load(path).graph]
    for graph in graphs:
        for tensor in graph.initializer:
            found[tensor.name] = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for node in graph.node:
            graphs += [a.g for a in node.attribute if a.type == AttributeProto.GRAPH]
    return found


def widened(path):
    """The quantised weights of a file in float32; per channel, the scale belongs to the last axis."""
    found, end = tensors(path), "_quantized"
    names = [name.removesuffix(end) for name in found if name.endswith(end)]
    return [(found[n + end].float() - found[n + "_zero_point"].float()) * found[n + "_scale"] for n in names]


def likeness(weight, candidates):
    """The candidate that is this weight but for rounding."""
    near = lambda c: (c - weight).abs().max() / weight.abs().max()
    best = min((c for c in candidates if c.shape == weight.shape), key=near, default=None)
    return best if best is not None and near(best) < 0.03 else None


def weights_of(folder, model):
    """What stands in the graphs for each weight of the model that was quantised."""
    (encoder,), (decoder,) = folder.rglob("encoder_model*.onnx"), folder.rglob("decoder_model*.onnx")
    held = {"encoder": widened(encoder), "decoder": widened(decoder)}
    found = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        if weight.dim() == 1 or "embed_tokens" in name:
            continue
        candidates = held["encoder" if name.startswith(("encoder.", "shared.")) else "decoder"]
        table = name == "shared.weight" or "relative_attention_bias" in name
        found[name] = likeness(weight, candidates if table else [c.T for c in candidates if c.dim() == 2])
    if found["lm_head.weight"] is None:  # a tied head is multiplied in float32
        del found["lm_head.weight"]
    lost = [name for name, weight in found.items() if weight is None]
    if lost or not torch.equal(likeness(model.shared.weight, held["decoder"]), found["shared.weight"]):
        raise AssertionError(f"{folder}: not found: {lost or 'the same embedding in both files'}")
    return found


@torch.no_grad()
def load(entry, dtype):
    config, _, scaled = architectures.CASES[entry["arch"]]
    model = architectures.load(entry["arch"], config, scaled, dtype)
    found = weights_of(OUT / entry["name"], model)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())  # no longer the embedding, if it was
    for name, weight in found.items():
        model.get_parameter(name).copy_(weight)
    return model


def main():
    torch.set_num_threads(1)
    inputs = ("input_ids", "attention_mask", "labels", "label_weights", "prompts", "prompt_mask", "prompt_index")
    for entry in json.loads((OUT / "manifest.json").read_text()):
        if entry["precision"] in ("int8", "uint8"):
            stored = load_file(architectures.OUT / entry["arch"] / "golden.safetensors")
            io = {name: stored[name] for name in inputs}
            architectures.golden(OUT / entry["name"] / "golden.safetensors", lambda dtype: load(entry, dtype), io)


if __name__ == "__main__":
    main()
