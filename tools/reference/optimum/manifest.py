"""manifest.json: what each fixture is and which versions of which tools wrote it."""

import dataclasses
import json
from importlib.metadata import PackageNotFoundError, version

TOOLS = ("optimum", "optimum-onnx", "transformers", "torch", "onnx", "onnxruntime", "onnxslim")


def versions():
    found = {}
    for tool in TOOLS:
        try:
            found[tool] = version(tool)
        except PackageNotFoundError:
            pass
    return found


def add(path, fixture, folder):
    """Puts the fixture's entry in its place by name."""
    entries = json.loads(path.read_text()) if path.exists() else []
    entry = {
        **dataclasses.asdict(fixture),
        "graphs": sorted(str(file.relative_to(folder)) for file in folder.rglob("*.onnx")),
        "versions": versions(),
    }
    entries = [e for e in entries if e["name"] != fixture.name] + [entry]
    path.write_text(json.dumps(sorted(entries, key=lambda e: e["name"]), indent=1) + "\n")
