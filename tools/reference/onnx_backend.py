"""Packs the operator models of ONNX's backend tests for grad's TestBackend.

The onnx package makes them itself, a model and one set of inputs for each
case. What comes out is the file grad/testdata/backend/models.tar.gz, byte for
byte the same each time: one model a case, with the inputs as initializers
"example.<input>" and the operator that the case is about in its metadata.

Cases newer than opset 26 and version 13 of the format, which is what ONNX
Runtime 1.31 reads, are stamped with those where the operator was there already
and took the same node.

    python onnx_backend.py ../../grad/testdata/backend/models.tar.gz
"""

import gzip
import io
import sys
import tarfile

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
LIMIT = 64 << 10  # bytes of a model with its inputs


def is_float(value):
    return value.type.HasField("tensor_type") and value.type.tensor_type.elem_type in FLOATS


def operator(case):
    """The operator of a case; a case "_expanded…" is its function body."""
    if "_expanded" in case.name:
        return case.name[: case.name.index("_expanded")]
    node = case.model.graph.node[0]
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def runnable(model):
    """A copy, of opset 26 if the model is of a newer one and can be."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for opset in copy.opset_import:
        if opset.domain == "" and opset.version > 26:
            opset.version = 26
            copy.ir_version = min(copy.ir_version, 13)
    try:
        onnx.checker.check_model(copy, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        copy.CopyFrom(model)
    return copy


def pack(case, operators):
    model = runnable(case.model)
    name = operator(case)
    if name in operators:
        name = operators[name] + " expanded"
    model.metadata_props.add(key="operator", value=name)
    # Without a float output there is nothing to compute, only to refuse.
    if any(map(is_float, model.graph.output)):
        for value, x in zip(model.graph.input, case.data_sets[0][0], strict=True):
            if not value.type.HasField("tensor_type"):
                continue  # sequences and optional values
            t = TensorProto()
            t.CopyFrom(x if isinstance(x, TensorProto) else numpy_helper.from_array(np.asarray(x)))
            t.name = "example." + value.name
            model.graph.initializer.append(t)
    return model.SerializeToString(deterministic=True)


def main(path):
    cases = load_model_tests(kind="node")
    operators = {c.name: operator(c) for c in cases if "_expanded" not in c.name}
    counts = dict(cases=len(cases), kept=0, without_float_input=0, too_large=0)
    too_large = []
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for case in sorted(cases, key=lambda c: c.name):
            if not any(map(is_float, case.model.graph.input)):
                counts["without_float_input"] += 1
                continue
            data = pack(case, operators)
            if len(data) > LIMIT:
                counts["too_large"] += 1
                too_large.append(case.name)
                continue
            entry = tarfile.TarInfo(case.name + ".onnx")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
            counts["kept"] += 1
    with open(path, "wb") as f, gzip.GzipFile(filename="", fileobj=f, mode="wb", compresslevel=9, mtime=0) as z:
        z.write(raw.getvalue())
    print(f"onnx {onnx.__version__}, opset {onnx.defs.onnx_opset_version()}: {counts}")
    print("too large:", " ".join(too_large))


if __name__ == "__main__":
    main(sys.argv[1])
