"""What exported graphs answer in onnxruntime, without a prompt: the batch of the checkpoint's golden numbers."""

import numpy as np
import onnxruntime
from safetensors.numpy import load_file, save_file


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


def record(fixture, folder, checkpoint):
    """Writes native.safetensors: input_ids, attention_mask, decoder_input_ids; last_hidden_state [B,S,d], logits [B,T,V]."""
    golden = load_file(checkpoint / "golden.safetensors")
    batch = {name: golden[name] for name in ("input_ids", "attention_mask", "decoder_input_ids")}
    encoder, decoder = graphs(folder)
    hidden = encode(encoder, batch)
    logits = decode(decoder, batch, hidden)
    out = {**batch, "last_hidden_state": hidden.astype(np.float32), "logits": logits.astype(np.float32)}
    path = folder / "native.safetensors"
    save_file({name: np.ascontiguousarray(value) for name, value in out.items()}, path)
    path.chmod(0o644)
