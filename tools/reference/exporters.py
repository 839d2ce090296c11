"""T5s as PyTorch's own exporters write them from transformers 5, without Optimum.

    python tools/reference/exporters.py

Writes export/exported/testdata/<name>/: encoder_model.onnx, decoder_model.onnx and config.json, from the checkpoints
of export/testdata/arch. Needs onnxscript 0.7.2 beside requirements.txt.
"""

import shutil
from pathlib import Path

import onnx
import torch
from torch.export import Dim
from transformers import T5ForConditionalGeneration

ROOT = Path(__file__).resolve().parents[2] / "export"
OUT = ROOT / "exported" / "testdata"

# name: architecture, attention of transformers, the newer exporter of the two
FIXTURES = {
    "torchscript-sdpa": ("t5-v1_1", "sdpa", False),
    "dynamo": ("t5", "eager", True),  # the exporter cannot follow sdpa's layout on a processor
}


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
            encoder_outputs=(encoder_hidden_states,),
            use_cache=False,
        ).logits


def export(module, path, inputs, output, lengths, dynamo):
    """Exports a module whose inputs are free in their first two axes."""
    sizes = {name: Dim(name) for name in ["B", *lengths.values()]}
    options = {"input_names": list(inputs), "output_names": [output], "dynamo": dynamo}
    if dynamo:
        options["dynamic_shapes"] = tuple({0: sizes["B"], 1: sizes[lengths[name]]} for name in inputs)
        options["external_data"] = False
    else:
        options["dynamic_axes"] = {name: {0: "B", 1: lengths[name]} for name in inputs}
        options["opset_version"] = 18
    torch.onnx.export(module, tuple(inputs.values()), path, **options)
    model = onnx.load(path)
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    for node in model.graph.node:  # where the exporter was called from
        node.ClearField("doc_string")
        del node.metadata_props[:]
    onnx.save(model, path)


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for name, (arch, attention, dynamo) in FIXTURES.items():
        source, folder = ROOT / "testdata" / "arch" / arch, OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        model = T5ForConditionalGeneration.from_pretrained(source, attn_implementation=attention).eval()
        ids = torch.randint(2, model.config.vocab_size, (2, 7))
        mask = torch.ones_like(ids)
        mask[1, 5:] = 0
        states = model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.detach()
        export(
            Encoder(model),
            folder / "encoder_model.onnx",
            {"input_ids": ids, "attention_mask": mask},
            "last_hidden_state",
            {"input_ids": "S", "attention_mask": "S"},
            dynamo,
        )
        export(
            Decoder(model),
            folder / "decoder_model.onnx",
            {"encoder_attention_mask": mask, "input_ids": ids[:, :4], "encoder_hidden_states": states},
            "logits",
            {"encoder_attention_mask": "S", "input_ids": "T", "encoder_hidden_states": "S"},
            dynamo,
        )
        shutil.copyfile(source / "config.json", folder / "config.json")


if __name__ == "__main__":
    main()
