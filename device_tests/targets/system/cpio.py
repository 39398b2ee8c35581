"""Writing cpio archives of the kind ``newc``, which Linux unpacks as its first file system.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of Linux. Written here since device nodes and owners
of files cannot be made on disk without root.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass

_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class ArchiveEntry:
    """One file, owned by root.

    Attributes:
        mode: Type and permissions, as in ``stat``.
        content: A file's content, or the target of a link; empty for others.
        device: Major and minor number of a device node.
    """

    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory() -> ArchiveEntry:
    """Return a directory that everybody may read."""
    return ArchiveEntry(stat.S_IFDIR | 0o755)


def file(content: bytes, *, program: bool = False) -> ArchiveEntry:
    """Return a file that everybody may read, and start if it is a program."""
    return ArchiveEntry(stat.S_IFREG | (0o755 if program else 0o644), content)


def link(to: str) -> ArchiveEntry:
    """Return a symbolic link."""
    return ArchiveEntry(stat.S_IFLNK | 0o777, to.encode())


def console() -> ArchiveEntry:
    """Return ``/dev/console``: without it, the first program has no output."""
    return ArchiveEntry(stat.S_IFCHR | 0o600, device=(5, 1))


def archive(entries: Mapping[str, ArchiveEntry]) -> bytes:
    """Return the archive of entries by path, without a leading slash; missing parent directories are added."""
    folders = {parent for path in entries for parent in _parents(path)} - set(entries)
    every = {**{path: directory() for path in folders}, **entries}
    packed = [_member(number, path, every[path]) for number, path in enumerate(sorted(every), start=1)]
    return b"".join([*packed, _member(0, _TRAILER, ArchiveEntry(0))])


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _member(number: int, path: str, entry: ArchiveEntry) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, *entry.device, len(name), 0)
    head = b"070701" + b"".join(b"%08x" % value for value in fields) + name
    return _padded(head) + _padded(entry.content)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)
