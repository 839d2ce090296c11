"""Fills and uses the Hugging Face cache with huggingface_hub, for tools/hub, which serves the hub
that HF_ENDPOINT names and compares what Python and softprompt make of one cache.

    hub_cache.py snapshot REPO REVISION...        snapshot_download of whole revisions
    hub_cache.py files REPO REVISION FILE...      hf_hub_download of files, as transformers' from_pretrained does
    hub_cache.py scan                             what scan_cache_dir says, an error if it warns
    hub_cache.py lock FILE                        holds a lock from the line "locked" until standard input ends

The first two print, for each file, its SHA-256, its path in the snapshot and the snapshot's folder name.
"""

import hashlib
import sys
from pathlib import Path

from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download
from huggingface_hub.utils import WeakFileLock


def show(path: Path, snapshot: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(digest, snapshot.name, path.relative_to(snapshot).as_posix(), sep="\t")


def snapshot(repo: str, *revisions: str) -> None:
    for revision in revisions:
        folder = Path(snapshot_download(repo, revision=revision))
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                show(path, folder)


def files(repo: str, revision: str, *names: str) -> None:
    for name in names:
        path = Path(hf_hub_download(repo, name, revision=revision))
        show(path, path.parents[name.count("/")])


def scan() -> None:
    info = scan_cache_dir()
    if info.warnings:
        sys.exit(f"scan_cache_dir warns: {info.warnings}")
    for repo in sorted(info.repos, key=lambda r: r.repo_id):
        for revision in sorted(repo.revisions, key=lambda r: r.commit_hash):
            print(repo.repo_id, revision.commit_hash, ",".join(sorted(revision.refs)), len(revision.files), revision.size_on_disk, sep="\t")


def lock(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(path):
        print("locked", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    {"snapshot": snapshot, "files": files, "scan": scan, "lock": lock}[sys.argv[1]](*sys.argv[2:])
