"""A cheap look at a path: names, first and last bytes. Nothing is parsed, unpickled or read as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

_PART = 1 << 16
"""Most bytes that are read at either end of a text, or of a safetensors header."""
_MOST_FILES = 64
_MOST_FOLDERS = 256
_IMAGES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"BM", b"\x00\x00\x00\x0cjP")


@dataclass(frozen=True)
class Look:
    """What a path shows at first sight.

    Attributes:
        path: Path of a file, a directory or nothing.
    """

    path: Path

    @cached_property
    def is_directory(self) -> bool:
        """True if it is a directory."""
        return self.path.is_dir()

    @cached_property
    def ends(self) -> bytes:
        """The first and the last bytes of a file; empty for anything else."""
        return _ends(self.path, 0, None)

    @cached_property
    def start(self) -> bytes:
        """The first 64 bytes of a file."""
        return self.ends[:64]

    @cached_property
    def header(self) -> bytes:
        """The first and the last bytes of a safetensors file's header; empty for anything else."""
        length = int.from_bytes(self.start[:8], "little")
        if self.start[8:9] != b"{" or length > self.path.stat().st_size - 8:
            return b""
        return _ends(self.path, 8, 8 + length)

    @cached_property
    def is_image(self) -> bool:
        """True if a file begins as images do."""
        start = self.start
        return start.startswith(_IMAGES) or start[8:12] == b"WEBP" or start[4:12] == b"ftypavif"

    @cached_property
    def holds_images(self) -> bool:
        """True if an image is among the first files of a directory and of those below."""
        return any(Look(path).is_image for path in islice(_files(self.path), _MOST_FILES))

    def has(self, name: str, mark: bytes = b"") -> bool:
        """Return True if a directory holds a file of this name, with these bytes near its beginning or end."""
        path = self.path / name
        return path.is_file() and mark in (_ends(path, 0, None) if mark else b"")

    def says(self, *marks: bytes) -> bool:
        """Return True if each of these bytes stands near the beginning or the end of a file."""
        return all(mark in self.ends for mark in marks)


def _ends(path: Path, first: int, last: int | None) -> bytes:
    """Return up to :data:`_PART` bytes from ``first`` on, and as many before ``last``, the file's end if None."""
    try:
        if not path.is_file():  # a pipe would block
            return b""
        with path.open("rb") as stream:
            last = stream.seek(0, os.SEEK_END) if last is None else last
            stream.seek(first)
            begin = stream.read(min(_PART, last - first))
            stream.seek(max(last - _PART, first + len(begin)))
            return begin + stream.read(max(0, last - stream.tell()))
    except OSError:
        return b""


def _files(folder: Path) -> Iterator[Path]:
    """Yield files of a folder and of those below, of a bounded number of them; what cannot be read is passed over."""
    waiting = [folder]
    for _ in range(_MOST_FOLDERS):
        if not waiting:
            return
        try:
            with os.scandir(waiting.pop()) as entries:
                found = sorted(islice(entries, _MOST_FILES), key=lambda entry: entry.name)
        except OSError:
            continue
        yield from (Path(entry.path) for entry in found if entry.is_file())
        below = [entry for entry in found if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)]
        waiting += [Path(entry.path) for entry in reversed(below)]
