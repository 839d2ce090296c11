"""Fills and uses the Hugging Face cache with huggingface_hub, for tools/hub, which serves the hub
that HF_ENDPOINT names and compares what Python and softprompt make of one cache.

    hub_cache.py snapshot REPO REVISION...        snapshot_download of whole revisions
    hub_cache.py files REPO REVISION FILE...      hf_hub_download of files, as transformers' from_pretrained does
    hub_cache.py scan                             what scan_cache_dir says, an error if it warns
    hub_cache.py share REPO                       moves its large files to the store that repositories share, as Xet downloads do
    hub_cache.py lock FILE                        holds a lock from the line "locked" until standard input ends

The first two print, for each file, its SHA-256, its path in the snapshot and the snapshot's folder name.
"""

import hashlib
import sys
from pathlib import Path

from huggingface_hub import constants, hf_hub_download, scan_cache_dir, snapshot_download
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import WeakFileLock
from huggingface_hub.utils._shared_blobs import publish_blob_to_shared_store


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


def share(repo: str) -> None:
    cache = Path(constants.HF_HUB_CACHE)
    for blob in sorted((cache / repo_folder_name(repo_id=repo, repo_type="model") / "blobs").iterdir()):
        if len(blob.name) == 64:  # by its SHA-256, which stands for Xet's own hash here
            size = blob.stat().st_size
            if not publish_blob_to_shared_store(blob_path=str(blob), xet_hash=blob.name, cache_dir=cache, expected_size=size):
                sys.exit(f"{blob} was not moved to the shared store")
            print(blob.name, blob.readlink(), size, sep="\t")


def lock(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(path):
        print("locked", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    {"snapshot": snapshot, "files": files, "scan": scan, "share": share, "lock": lock}[sys.argv[1]](*sys.argv[2:])
