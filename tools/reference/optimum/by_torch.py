"""Exports by torch.onnx alone, of what today's transformers compute. Optimum does not work with them yet.

TorchScript traces their default attention (SDPA); the newer exporter cannot, and gets the eager one.
"""

import onnx
import torch
from transformers import AutoModelForSeq2SeqLM
from transformers.modeling_outputs import BaseModelOutput


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.encoder = model.encoder

    def forward(self, input_ids, attention_mask):
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class Decoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, encoder_attention_mask, input_ids, encoder_hidden_states):
        return self.model(
            attention_mask=encoder_attention_mask,
            decoder_input_ids=input_ids,
            encoder_outputs=BaseModelOutput(encoder_hidden_states),
            use_cache=False,
        ).logits


def export(checkpoint, out, opset, dynamo):
    """Writes encoder_model.onnx, decoder_model.onnx and config.json, under Optimum's names of inputs and outputs."""
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint, attn_implementation="eager" if dynamo else "sdpa").eval()
    model.config.save_pretrained(out)
    rows, length, targets = 3, 7, 5
    ids, mask = torch.full((rows, length), 5), torch.ones(rows, length, dtype=torch.int64)
    states = torch.ones(rows, length, model.config.d_model)
    encoder = {"input_ids": ids, "attention_mask": mask}
    decoder = {"encoder_attention_mask": mask, "input_ids": ids[:, :targets], "encoder_hidden_states": states}
    write(out / "encoder_model.onnx", Encoder(model), encoder, "last_hidden_state", opset, dynamo)
    write(out / "decoder_model.onnx", Decoder(model), decoder, "logits", opset, dynamo)


def write(path, module, inputs, output, opset, dynamo):
    names = {0: "batch_size", 1: "encoder_sequence_length"}
    axes = {name: {**names, 1: "decoder_sequence_length"} if output == "logits" and name == "input_ids" else names for name in inputs}
    if dynamo:
        options = {"dynamic_shapes": tuple({axis: torch.export.Dim(n) for axis, n in axes[name].items()} for name in inputs)}
    else:
        options = {"dynamic_axes": axes}
    options |= {"opset_version": opset, "dynamo": dynamo, "external_data": False}
    torch.onnx.export(module, tuple(inputs.values()), path, input_names=list(inputs), output_names=[output], **options)
    model = onnx.load(path)
    for node in model.graph.node:  # where in which file each was traced
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (model.graph, *model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        del value.metadata_props[:]
    onnx.save(model, path)
