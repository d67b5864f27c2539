"""Finished results, kept beside the run's files under the digest of what decided them.

Snakemake deletes the outputs of a job before it starts the job, whatever the reason for the job is.
An expensive result therefore has a second name, a hard link that costs no space, in the folder
``kept`` beside it: ``<name>-<digest of the request>-<hash of the contents>``. A job that finds the
result of its own request there takes it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from glob import escape
from pathlib import Path

from corefuse.core import files

FOLDER = "kept"


def keep(path: Path, request: str) -> None:
    """Give a finished file its second name, under the digest of its request."""
    name = _folder(path) / f"{path.stem}-{request}-{hash_of(path)}{path.suffix}"
    if not name.exists():
        link(path, name)


def take(path: Path, request: str) -> bool:
    """Put the file that was kept for this request in its place; whether there is one.

    A file whose contents have changed since is removed.
    """
    for found in _folder(path).glob(f"{escape(path.stem)}-{request}-*{path.suffix}"):
        if found.stem.endswith(hash_of(found)):
            link(found, path)
            os.utime(path)  # made now, as far as Snakemake is concerned
            return True
        found.unlink()
    return False


def has_any(path: Path) -> bool:
    """Whether a file of this name has been kept, for whatever request."""
    return any(_folder(path).glob(f"{escape(path.stem)}-*{path.suffix}"))


def link(source: Path, target: Path) -> None:
    """Make a hard link, atomically; a copy on file systems that have no links."""
    with files.atomic(target) as partial:
        try:
            os.link(source, partial)
        except OSError:
            shutil.copyfile(source, partial)


def hash_of(path: str | Path, digits: int = 16) -> str:
    """The first digits of the sha256 of a file's contents."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:digits]


def _folder(path: Path) -> Path:
    return path.parent / FOLDER
