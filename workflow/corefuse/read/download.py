"""Public measured data on the user's machine: fetched on request, checked against its hash."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml

from corefuse.core.errors import InputError
from corefuse.core.files import atomic

HOST = "https://raw.githubusercontent.com"
TIMEOUT_S = 60


@dataclass(frozen=True)
class PublicFile:
    """One file of a public repository; ``target`` is its place in the data folder."""

    target: str
    repository: str
    revision: str
    path: str
    licence: str
    sha256: str

    def url(self, host: str = HOST) -> str:
        """Where it is."""
        return f"{host}/{self.repository}/{self.revision}/{quote(self.path)}"


def manifest(path: str | Path) -> list[PublicFile]:
    """Read ``resources/data.yaml``.

    Raises
    ------
    InputError
        An entry lacks a key.
    """
    try:
        return [
            PublicFile(
                f"{part['folder']}/{name}",
                part["repository"],
                part["revision"],
                file["path"],
                part["licence"],
                file["sha256"],
            )
            for part in yaml.safe_load(Path(path).read_text())
            for name, file in part["files"].items()
        ]
    except (KeyError, TypeError) as err:
        raise InputError(path, str(err), "missing key", "compare with the other entries") from None


def fetch(files: list[PublicFile], folder: Path, host: str = HOST) -> list[str]:
    """Download what is not there; one line per file says what was done.

    Raises
    ------
    InputError
        A file cannot be had, or is not the one of the manifest; files before it are kept.
    """
    return [f"{file.target}: {_fetch_one(file, folder, host)}" for file in files]


def _fetch_one(file: PublicFile, folder: Path, host: str) -> str:
    target = folder / file.target
    if target.exists():
        _check(file, target.read_bytes(), str(target), "remove it, then download again")
        return "there already"
    url = file.url(host)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            content = answer.read()
    except (urllib.error.URLError, TimeoutError) as err:
        problem = f"cannot be downloaded ({getattr(err, 'reason', err)})"
        raise InputError(url, file.target, problem, "get online, or put it there by hand") from None
    _check(file, content, url, "the public file has changed: look at it, then at the manifest")
    with atomic(target) as partial:
        partial.write_bytes(content)
    return f"from {file.repository} ({file.licence})"


def _check(file: PublicFile, content: bytes, where: str, fix: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise InputError(where, file.target, f"its sha256 is {found[:16]}..., not as expected", fix)
