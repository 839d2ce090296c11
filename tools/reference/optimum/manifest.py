"""manifest.json: what each fixture is and which versions of which tools wrote it."""

import dataclasses
import json
from importlib.metadata import PackageNotFoundError, version

TOOLS = ("optimum", "optimum-onnx", "transformers", "torch", "onnx", "onnxruntime", "onnxslim", "onnxscript")


def versions():
    found = {}
    for tool in TOOLS:
        try:
            found[tool] = version(tool)
        except PackageNotFoundError:
            pass
    return found


def golden(fixture):
    """Where the truth is, from this folder's parent: float16 graphs hold the checkpoint's weights rounded, and what
    transformers runs in float16 keeps wo in float32."""
    if fixture.precision in ("int8", "uint8"):
        return f"exported/{fixture.name}/golden.safetensors"
    kind = {"fp32": "", "fp16": "float16/", "fp16-traced": "mixed/"}[fixture.precision]
    return f"arch/{fixture.arch}/{kind}golden.safetensors"


def add(path, fixture, folder):
    """Puts the fixture's entry in its place by name."""
    entries = json.loads(path.read_text()) if path.exists() else []
    entry = {
        **dataclasses.asdict(fixture),
        "graphs": sorted(str(file.relative_to(folder)) for file in folder.rglob("*.onnx")),
        "golden": golden(fixture),
        "versions": versions(),
    }
    entries = [e for e in entries if e["name"] != fixture.name] + [entry]
    path.write_text(json.dumps(sorted(entries, key=lambda e: e["name"]), indent=1) + "\n")
