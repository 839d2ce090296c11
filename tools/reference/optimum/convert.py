"""How a checkpoint becomes ONNX graphs: Optimum's exporter, then what others do to its graphs."""

import os

import transformers
from optimum.exporters.onnx import main_export

# The environment that this runs in.
ERA = "2023" if transformers.__version__.startswith("4.3") else "2025"

# Transformers.js's names of precisions.
SUFFIX = {"fp32": "", "fp16": "_fp16", "int8": "_quantized", "uint8": "_uint8"}


def export(fixture, checkpoint, out):
    """Writes the fixture's graphs into the folder out, under the names of Transformers.js."""
    task = "text2text-generation" + ("" if fixture.kind == "plain" else "-with-past")
    if fixture.external:
        os.environ["FORCE_ONNX_EXTERNAL_DATA"] = "1"
    try:
        main_export(str(checkpoint), output=str(out), task=task, opset=fixture.opset, do_validation=False)
    finally:
        os.environ.pop("FORCE_ONNX_EXTERNAL_DATA", None)
