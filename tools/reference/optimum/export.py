"""Exports the random checkpoints of export/testdata/arch with Hugging Face's own exporter.

    python export.py [NAME...]

Writes export/testdata/exported/<name>/ for every fixture of fixtures.py that belongs to this environment: the graphs
and what stands beside them in a real repository, and native.safetensors, what the graphs answer in onnxruntime.
"""

import logging
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

import convert
import manifest
import native
from fixtures import FIXTURES

DATA = Path(__file__).resolve().parents[3] / "export" / "testdata"
OUT = DATA / "exported"

# What a repository holds beside the graphs.
BESIDE = ("config.json", "tokenizer.json", "tokenizer_config.json")

# The graphs of each kind; a merged decoder does without the others.
PARTS = {
    "plain": ("encoder_model", "decoder_model"),
    "with-past": ("encoder_model", "decoder_model", "decoder_with_past_model"),
    "merged": ("encoder_model", "decoder_model_merged"),
}


def clear(folder):
    """Removes what this script writes; the golden numbers beside it come from elsewhere."""
    for path in [*folder.rglob("*.onnx"), *folder.rglob("*.onnx_data"), *(folder / name for name in BESIDE)]:
        path.unlink(missing_ok=True)


def make(fixture, folder):
    """Exports in a scratch folder and takes over what the fixture keeps.

    The checkpoint is named from its parent, since config.json may say where it was.
    """
    os.chdir(DATA / "arch")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        convert.export(fixture, Path(fixture.arch), scratch)
        clear(folder)
        graphs = folder / "onnx" if fixture.hub else folder
        graphs.mkdir(parents=True, exist_ok=True)
        for name in BESIDE:
            if (scratch / name).exists():
                shutil.copyfile(scratch / name, folder / name)
        suffix = convert.SUFFIX[fixture.precision] if fixture.hub else ""
        for part in PARTS[fixture.kind]:
            for file in (f"{part}{suffix}.onnx", f"{part}{suffix}.onnx_data"):
                if (scratch / file).exists():
                    shutil.copyfile(scratch / file, graphs / file)


def main(names):
    os.umask(0o022)
    for fixture in FIXTURES:
        if fixture.era != convert.ERA or names and fixture.name not in names:
            continue
        folder = OUT / fixture.name
        make(fixture, folder)
        native.record(fixture, folder, DATA / "arch" / fixture.arch)
        manifest.add(OUT / "manifest.json", fixture, folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{fixture.name:28} {size / 1024:6.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
