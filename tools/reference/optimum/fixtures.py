"""The table of exported models: what is exported from which checkpoint, and how.

A name says it all: architecture, then what differs from Optimum's plain export at its default opset.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fixture:
    name: str
    arch: str  # the folder of export/testdata/arch that holds the checkpoint
    opset: int = 18
    era: str = "2025"  # which environment exports it: "2023", "2025" or "2026"
    exporter: str = "optimum"  # or torch.onnx's own: "torchscript", "dynamo"
    kind: str = "plain"  # "plain": encoder_model and decoder_model; "with-past": decoder_with_past_model too; "merged"
    precision: str = "fp32"  # "fp32", "fp16", "fp16-traced", "int8", "uint8"
    external: bool = False  # weights in X.onnx_data
    hub: bool = False  # as Transformers.js has it: graphs in onnx/, slimmed, precision in the file's name
    optimize: str = ""  # Optimum's level "O2", a session's level "basic", "extended", "all", or onnxruntime's script "t5"
    runs: bool = True  # on a processor: onnxruntime has no such kernel for RelativePositionBias


def _opsets():
    """T5 v1.0 and v1.1 at every opset. Below 14 today's transformers cannot be exported (it traces aten::triu)."""
    for arch in ("t5", "t5-v1_1"):
        for opset in (11, 12, 13):
            yield Fixture(f"{arch}-opset{opset}", arch, opset, era="2023")
        for opset in (14, 15, 16, 17, 18, 19, 20):
            yield Fixture(f"{arch}-opset{opset}", arch, opset)


FIXTURES = [
    *_opsets(),
    # the rest of the family
    Fixture("t5-11b", "t5-11b"),
    Fixture("flan-t5", "flan-t5"),
    Fixture("mt5", "mt5"),
    Fixture("umt5", "umt5"),
    Fixture("byt5", "byt5"),
    # what Optimum writes for generation
    Fixture("t5-with-past", "t5", kind="with-past"),
    Fixture("t5-merged", "t5", kind="merged"),
    Fixture("t5-v1_1-merged", "t5-v1_1", kind="merged"),
    Fixture("t5-merged-opset11", "t5", 11, era="2023", kind="merged"),
    Fixture("t5-v1_1-merged-opset13", "t5-v1_1", 13, era="2023", kind="merged"),
    Fixture("umt5-merged", "umt5", kind="merged"),
    # weights beside the graph
    Fixture("t5-v1_1-external", "t5-v1_1", external=True),
    Fixture("t5-merged-external", "t5", kind="merged", external=True),
    # float16 as PyTorch runs it: casts around the norms, a clamp after each layer
    Fixture("t5-v1_1-fp16-traced", "t5-v1_1", precision="fp16-traced"),
    # repositories made for Transformers.js
    Fixture("t5-hub", "t5", kind="merged", hub=True),
    Fixture("t5-hub-fp16", "t5", kind="merged", hub=True, precision="fp16"),
    Fixture("t5-v1_1-hub-fp16", "t5-v1_1", hub=True, precision="fp16"),
    Fixture("t5-hub-int8", "t5", kind="merged", hub=True, precision="int8"),
    Fixture("t5-v1_1-hub-int8", "t5-v1_1", hub=True, precision="int8"),
    Fixture("t5-v1_1-hub-uint8", "t5-v1_1", kind="merged", hub=True, precision="uint8"),
    # after onnxruntime's optimisers: Optimum's asks that d_model be a multiple of heads
    Fixture("t5-11b-optimized-O2", "t5-11b", optimize="O2"),
    Fixture("t5-optimized-basic", "t5", optimize="basic"),
    Fixture("t5-optimized-extended", "t5", optimize="extended"),
    Fixture("t5-v1_1-optimized-extended", "t5-v1_1", optimize="extended"),
    Fixture("t5-v1_1-optimized-all", "t5-v1_1", optimize="all"),
    Fixture("t5-v1_1-optimized-t5", "t5-v1_1", optimize="t5", runs=False),
    # what torch.onnx makes of today's transformers
    Fixture("t5-torchscript", "t5", era="2026", exporter="torchscript"),
    Fixture("t5-v1_1-torchscript", "t5-v1_1", era="2026", exporter="torchscript"),
    Fixture("t5-dynamo", "t5", 20, era="2026", exporter="dynamo"),
    Fixture("t5-v1_1-dynamo", "t5-v1_1", 20, era="2026", exporter="dynamo"),
]
