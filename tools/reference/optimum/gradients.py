"""Gradients of the exported graphs by onnx-ad, which differentiates ONNX in Python and shares nothing with package grad.

    python gradients.py [NAME...]

Writes export/testdata/exported/<name>/onnx_ad.safetensors: for the encoder the gradient of sum(weight * last_hidden_state)
in inputs_embeds, for the decoder that of sum(weight * logits) in encoder_hidden_states, and for both together that of the
checkpoint's loss in its prompt; and onnx_ad.json, which says what had to be done to each graph before onnx-ad could
differentiate it, or what it could not do.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from onnx_ad import UnsupportedOperator, reverse
from safetensors.numpy import load_file, save_file

import embeds

OUT = Path(__file__).resolve().parents[3] / "export" / "testdata" / "exported"


def run(model, feeds, outputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    wanted = {value.name for value in session.get_inputs()}
    return session.run(outputs, {name: value for name, value in feeds.items() if name in wanted})


def adjoint(path, output, wrt, feeds):
    """Differentiates a graph: f(feeds, weight) gives the output and the gradient of sum(weight * output) in the input wrt.

    Also what had to be done to the graph first, and an encoder's table.
    """
    model, steps, table = embeds.prepare(path, output)
    find = lambda: reverse(model, inputs=[wrt], outputs=[output], layout="onnx")
    try:
        derived = find()
    except UnsupportedOperator as error:  # onnx's inference of shapes gives up in the older exports
        if "rank" not in str(error):
            raise
        embeds.declare_ranks(model, lambda probe, names: run(probe, feeds, names))
        steps.append("declared ranks, as seen in a run")
        derived = find()

    def call(feeds, weight):
        value, gradient = run(derived, {**feeds, f"adj_{output}": weight[..., None]}, [output, f"adj_{wrt}"])
        return value, gradient[..., 0]

    return call, steps, table


def encoder_feeds(embeddings, mask):
    return {"input_ids": np.zeros(mask.shape, np.int64), "attention_mask": mask, "inputs_embeds": embeddings}


def decoder_feeds(ids, mask, states):
    return {"input_ids": ids, "encoder_attention_mask": mask, "encoder_hidden_states": states}


def random_batch(golden, seed):
    """Random embeddings and states behind the mask of the checkpoint's batch, and random weights of the outputs."""
    random = np.random.default_rng(seed)
    draw = lambda *shape: random.standard_normal(shape).astype(np.float32)
    mask = prompted(golden["attention_mask"], golden["prompts"].shape[1])
    width, (rows, targets, tokens) = golden["prompts"].shape[2], golden["want.logits"].shape
    return {
        "inputs_embeds": draw(*mask.shape, width),
        "attention_mask": mask,
        "decoder_input_ids": golden["decoder_input_ids"],
        "encoder_hidden_states": draw(*mask.shape, width),
        "encoder_weight": draw(*mask.shape, width),
        "decoder_weight": draw(rows, targets, tokens),
    }


def prompted(mask, length):
    return np.concatenate([np.ones((len(mask), length), np.int64), mask], axis=1)


def prompt_gradient(encode, decode, table, golden):
    """The loss of the checkpoint's batch, summed over its labels, and its gradient in the prompt [1,P,d].

    The encoder's and the decoder's derivatives are joined here, as is the derivative of the loss: softmax less one-hot.
    """
    prompt, labels = golden["prompts"], golden["labels"]
    length = prompt.shape[1]
    text = table[golden["input_ids"]]
    mask = prompted(golden["attention_mask"], length)
    feeds = encoder_feeds(np.concatenate([prompt.repeat(len(text), 0), text], axis=1), mask)
    states, _ = encode(feeds, np.zeros((*mask.shape, text.shape[2]), np.float32))
    rest = decoder_feeds(golden["decoder_input_ids"], mask, states)
    logits, _ = decode(rest, np.zeros((*labels.shape, len(table)), np.float32))
    kept, rows = labels >= 0, np.indices(labels.shape)
    logs = logits - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True)) - logits.max(-1, keepdims=True)
    slope = np.exp(logs)
    slope[rows[0], rows[1], labels.clip(0)] -= 1
    _, from_states = decode(rest, slope * kept[..., None])
    _, from_inputs = encode(feeds, from_states)
    loss = -(logs[rows[0], rows[1], labels.clip(0)] * kept).sum(keepdims=True).reshape(1)
    return loss.astype(np.float32), from_inputs[:, :length].sum(0, keepdims=True)


def record(entry, seed):
    """Writes the gradients of one model and returns what is to be said of it."""
    folder = OUT / entry["name"]
    (encoder_path,), (decoder_path,) = folder.rglob("encoder_model*.onnx"), folder.rglob("decoder_model*.onnx")
    golden = load_file(OUT.parent / entry["golden"])
    io = random_batch(golden, seed)
    feeds = {
        "encoder": encoder_feeds(io["inputs_embeds"], io["attention_mask"]),
        "decoder": decoder_feeds(io["decoder_input_ids"], io["attention_mask"], io["encoder_hidden_states"]),
    }
    encode, encoder_steps, table = adjoint(encoder_path, "last_hidden_state", "inputs_embeds", feeds["encoder"])
    decode, decoder_steps, _ = adjoint(decoder_path, "logits", "encoder_hidden_states", feeds["decoder"])
    for name, call in (("encoder", encode), ("decoder", decode)):
        io[f"{name}_output"], io[f"{name}_grad"] = call(feeds[name], io[f"{name}_weight"])
    io["loss"], io["prompt_grad"] = prompt_gradient(encode, decode, table, golden)
    path = folder / "onnx_ad.safetensors"
    save_file({name: np.ascontiguousarray(value) for name, value in io.items()}, path)
    path.chmod(0o644)
    error = np.abs(io["prompt_grad"] - golden["want.grad"]).max() / np.abs(golden["want.grad"]).max()
    print(f"{entry['name']:28} prompt gradient off from transformers' by {error:.1e}", flush=True)
    return {"encoder": encoder_steps, "decoder": decoder_steps}


def main(names):
    entries = json.loads((OUT / "manifest.json").read_text())
    archs = sorted({entry["arch"] for entry in entries})  # the same numbers for all graphs of a checkpoint
    said_path = OUT / "onnx_ad.json"
    said = json.loads(said_path.read_text()) if said_path.exists() else {}
    for entry in entries:
        if names and entry["name"] not in names:
            continue
        try:
            said[entry["name"]] = {"prepared": record(entry, seed=archs.index(entry["arch"]))}
        except (UnsupportedOperator, onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented) as error:
            said[entry["name"]] = {"failed": str(error)}
            print(f"{entry['name']:28} {error}", flush=True)
    said_path.write_text(json.dumps(said, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
