"""What lies below a folder: every file with its mode and content, and every folder."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.crash_points.case import Counted

FOLDER = "folder"


@dataclass(frozen=True)
class Snapshot:
    """Paths below a folder.

    Attributes:
        content: Path -> digest of what counts of a file, :data:`FOLDER`, or where a link leads.
        identity: Path -> which file it is and when it was written.
    """

    content: dict[str, str]
    identity: dict[str, tuple[int, int]]

    def below(self, unit: str) -> dict[str, str]:
        """The part that is a path, or lies below it; folders without a file count for nothing."""
        start = f"{unit}/"
        return {
            path: digest
            for path, digest in self.content.items()
            if digest != FOLDER and (path == unit or path.startswith(start))
        }


def snapshot(folder: Path, counted: Mapping[str, Counted]) -> Snapshot:
    """Look at everything below a folder."""
    content: dict[str, str] = {}
    identity: dict[str, tuple[int, int]] = {}
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(place, name)
            about, key = path.lstat(), path.relative_to(folder).as_posix()
            identity[key] = about.st_ino, about.st_mtime_ns
            content[key] = _content(path, about, key, counted)
    return Snapshot(content, identity)


def matching(path: str, patterns: tuple[str, ...]) -> str:
    """The part of a path, from its start, that a pattern describes; empty without one. A star stays in a folder."""
    parts = path.split("/")
    for pattern in patterns:
        asked = pattern.split("/")
        if len(parts) >= len(asked) and all(map(fnmatchcase, parts, asked)):
            return "/".join(parts[: len(asked)])
    return ""


def _content(path: Path, about: os.stat_result, key: str, counted: Mapping[str, Counted]) -> str:
    if stat.S_ISLNK(about.st_mode):
        return f"link to {path.readlink()}"
    if stat.S_ISDIR(about.st_mode):
        return FOLDER
    pattern = next((one for one in counted if matching(key, (one,))), None)
    data = counted[pattern](path) if pattern else path.read_bytes()
    return f"{stat.S_IMODE(about.st_mode):o} {hashlib.sha256(data).hexdigest()}"
