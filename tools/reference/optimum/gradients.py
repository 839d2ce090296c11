"""Gradients of the exported graphs by onnx-ad, which differentiates ONNX in Python and shares nothing with package grad.

    python gradients.py [NAME...]

Writes export/testdata/exported/<name>/onnx_ad.safetensors: for the encoder the gradient of sum(weight * last_hidden_state)
in inputs_embeds, for the decoder that of sum(weight * logits) in encoder_hidden_states; and onnx_ad.json, which says what
had to be done to each graph before onnx-ad could differentiate it, and what it could not do.
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
PROMPT = 4  # vectors before the text


def run(model, feeds, outputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    wanted = {value.name for value in session.get_inputs()}
    return session.run(outputs, {name: value for name, value in feeds.items() if name in wanted})


def differentiate(model, wrt, feeds, weight, steps):
    """The output, and the gradient of sum(weight * output) in the input wrt."""
    (output,) = [value.name for value in model.graph.output]
    find = lambda: reverse(model, inputs=[wrt], outputs=[output], layout="onnx")
    try:
        adjoint = find()
    except UnsupportedOperator as error:  # onnx's inference of shapes gives up in the older exports
        if "rank" not in str(error):
            raise
        embeds.declare_ranks(model, lambda probe, names: run(probe, feeds, names))
        steps.append("declared ranks, as seen in a run")
        adjoint = find()
    value, gradient = run(adjoint, {**feeds, f"adj_{output}": weight[..., None]}, [output, f"adj_{wrt}"])
    return value, gradient[..., 0]


def batch(folder, seed):
    """Random embeddings behind the mask of the checkpoint's batch, a prompt in front; random weights of the outputs."""
    native = load_file(folder / "native.safetensors")
    random = np.random.default_rng(seed)
    draw = lambda *shape: random.standard_normal(shape).astype(np.float32)
    rows, length, width = native["last_hidden_state"].shape
    mask = np.concatenate([np.ones((rows, PROMPT), np.int64), native["attention_mask"]], axis=1)
    return {
        "inputs_embeds": draw(rows, PROMPT + length, width),
        "attention_mask": mask,
        "decoder_input_ids": native["decoder_input_ids"],
        "encoder_hidden_states": draw(rows, PROMPT + length, width),
        "encoder_weight": draw(rows, PROMPT + length, width),
        "decoder_weight": draw(*native["logits"].shape),
    }


def encoder(path, io):
    model, steps = embeds.prepare(path, "last_hidden_state")
    feeds = {
        "input_ids": np.zeros(io["attention_mask"].shape, np.int64),
        "attention_mask": io["attention_mask"],
        "inputs_embeds": io["inputs_embeds"],
    }
    return steps, *differentiate(model, "inputs_embeds", feeds, io["encoder_weight"], steps)


def decoder(path, io):
    model, steps = embeds.prepare(path, "logits")
    feeds = {
        "input_ids": io["decoder_input_ids"],
        "encoder_attention_mask": io["attention_mask"],
        "encoder_hidden_states": io["encoder_hidden_states"],
    }
    return steps, *differentiate(model, "encoder_hidden_states", feeds, io["decoder_weight"], steps)


def record(folder, seed):
    """Writes the gradients of one model and returns what is to be said of it."""
    (encoder_path,) = folder.rglob("encoder_model*.onnx")
    (decoder_path,) = folder.rglob("decoder_model*.onnx")
    io, said = batch(folder, seed), {}
    for name, path, find in (("encoder", encoder_path, encoder), ("decoder", decoder_path, decoder)):
        try:
            steps, value, gradient = find(path, io)
        except Exception as error:
            said[name] = {"failed": f"{type(error).__name__}: {error}"[:500]}
            continue
        said[name] = {"prepared": steps}
        io[f"{name}_output"], io[f"{name}_grad"] = value, gradient
    path = folder / "onnx_ad.safetensors"
    save_file({name: np.ascontiguousarray(value) for name, value in io.items()}, path)
    path.chmod(0o644)
    return said


def main(names):
    entries = json.loads((OUT / "manifest.json").read_text())
    report_path = OUT / "onnx_ad.json"
    report = json.loads(report_path.read_text()) if report_path.exists() else {}
    archs = sorted({entry["arch"] for entry in entries})  # the same numbers for all graphs of a checkpoint
    for entry in entries:
        if not entry["runs"] or names and entry["name"] not in names:
            continue
        said = record(OUT / entry["name"], seed=archs.index(entry["arch"]))
        report[entry["name"]] = said
        print(entry["name"], json.dumps(said), flush=True)
    report_path.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
