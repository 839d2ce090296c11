"""What exported graphs answer in onnxruntime, without a prompt: the batch of the checkpoint's golden numbers."""

import numpy as np
import onnxruntime
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForSeq2SeqLM


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def graphs(folder):
    """The encoder and the decoder without past of a fixture."""
    (encoder,) = folder.rglob("encoder_model*.onnx")
    (decoder,) = [path for path in folder.rglob("decoder_model*.onnx")]
    return encoder, decoder


def encode(path, batch):
    feeds = {name: batch[name] for name in ("input_ids", "attention_mask")}
    return session(path).run(["last_hidden_state"], feeds)[0]


def decode(path, batch, hidden):
    feeds = {
        "input_ids": batch["decoder_input_ids"],
        "encoder_attention_mask": batch["attention_mask"],
        "encoder_hidden_states": hidden,
    }
    decoder = session(path)
    rows, length = batch["attention_mask"].shape
    for node in decoder.get_inputs():
        if node.name.startswith("past_key_values"):
            _, heads, _, d_kv = node.shape
            past = 0 if ".decoder." in node.name else length
            feeds[node.name] = np.zeros((rows, heads, past, d_kv), np.float32)
        if node.name == "use_cache_branch":
            feeds[node.name] = np.array([False])
    wanted = {node.name for node in decoder.get_inputs()}
    return decoder.run(["logits"], {name: value for name, value in feeds.items() if name in wanted})[0]


# How far a graph's logits may be from PyTorch's float32, relative to the largest.
NEAR = {"fp32": 1e-5, "fp16": 1e-2, "fp16-traced": 1e-2, "int8": 0.3, "uint8": 0.3}


def check(fixture, checkpoint, batch, logits):
    """Holds the graph against the checkpoint itself in PyTorch."""
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint).float().eval()
    with torch.no_grad():
        want = model(**{name: torch.from_numpy(ids) for name, ids in batch.items()}).logits.numpy()
    error = np.abs(logits - want).max() / np.abs(want).max()
    print(f"{fixture.name:28} off from PyTorch's logits by {error:.1e}")
    if not error < NEAR[fixture.precision]:
        raise AssertionError(f"{fixture.name}: logits are off by {error}")


def record(fixture, folder, checkpoint):
    """Writes native.safetensors: input_ids, attention_mask, decoder_input_ids; last_hidden_state [B,S,d], logits [B,T,V]."""
    if not fixture.runs:
        return
    golden = load_file(checkpoint / "golden.safetensors")
    batch = {name: golden[name] for name in ("input_ids", "attention_mask", "decoder_input_ids")}
    encoder, decoder = graphs(folder)
    hidden = encode(encoder, batch)
    logits = decode(decoder, batch, hidden)
    check(fixture, checkpoint, batch, logits)
    out = {**batch, "last_hidden_state": hidden.astype(np.float32), "logits": logits.astype(np.float32)}
    path = folder / "native.safetensors"
    save_file({name: np.ascontiguousarray(value) for name, value in out.items()}, path)
    path.chmod(0o644)
