"""Read a lock file, as ``requirements.lock``: what pip installs with ``--require-hashes``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?P<options>(?:\s+--hash=\S+)*)$", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})(?!\S)")


@dataclass(frozen=True)
class Locked:
    """One entry.

    Attributes:
        version: The only one that is installed.
        sha256: Hexadecimal, of each file that may be.
    """

    version: str
    sha256: tuple[str, ...]


def read_lock(path: Path) -> dict[str, Locked]:
    """Read what a lock file names, by canonical name.

    Raises:
        ValueError: When something in it is neither an entry nor a comment.
    """
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    entries = [(line, _ENTRY.match(line)) for line in lines]
    if foreign := [line[:100] for line, entry in entries if entry is None]:
        raise ValueError(f"{path}: expected name==version with hashes, got {foreign}")
    return {
        str(canonicalize_name(entry["name"])): Locked(entry["version"], tuple(_HASH.findall(entry["options"])))
        for _, entry in entries
        if entry is not None
    }
