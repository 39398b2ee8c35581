"""Tar shards as the package webdataset writes them: files that share a name up to its first dot are one sample.

    000001.jpg  000001.cls        000002.jpg  000002.json       photos/000003.png  photos/000003.txt

The image is a ``.jpg``, ``.jpeg``, ``.png`` or ``.webp``. The label is the text in ``.cls``, else the field of
``.json`` (which may name a split too), else the text in ``.txt``. Nothing is unpacked: members that are links, or have
absolute or upward paths, are skipped. Images are read later at their offset, so the archive must not be compressed.
Source of the format: https://github.com/webdataset/webdataset
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import RawIOBase
from typing import Any

from hetero.data.index.file_images import LARGEST_IMAGE, LARGEST_LABEL, FileImages, label_text
from hetero.data.index.places import ByteFile
from hetero.data.sources.walk import printable, reserved
from hetero.errors import InputError
from hetero.foreign import strict_json

IMAGES = ("jpg", "jpeg", "png", "webp")
_LABELS = ("cls", "json", "txt")
_SAMPLE = re.compile(r"((?:.*/|)[^./][^./]*)\.([^/]*)")
_BLOCK = tarfile.BLOCKSIZE
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


class DamagedTarError(InputError):
    """A tar shard that is cut off or no tar archive."""


def tar_rows(stream: ByteFile, shard: str, *, label: str, with_contents: bool) -> FileImages:
    """List the images of a shard.

    Args:
        stream: The shard, seekable.
        shard: Name of the shard, which begins the names of its images.
        label: Field of ``.json`` members that holds the label.
        with_contents: True to read every image for its digest; otherwise image bytes are skipped.
    """
    rows = FileImages()
    size = stream.seek(0, 2)
    sample = _Sample("")
    try:
        for member in _members(stream, size):
            place = _place(member, rows)
            if place is None:
                continue
            key, kind = place
            if key != sample.key:
                sample.add_to(rows, shard, label)
                sample = _Sample(key)
            sample.take(kind, member, stream, rows, with_contents=with_contents)
        sample.add_to(rows, shard, label)
    except DamagedTarError as error:
        rows.report(str(error))
    return rows


def _members(stream: ByteFile, size: int) -> Iterator[tarfile.TarInfo]:
    """Yield the members, of which none is kept; refuse an archive that does not end as archives do."""
    stream.seek(0)
    if stream.read(8).startswith(_COMPRESSED):
        raise DamagedTarError("it is compressed, so its images cannot be read one by one; unpack it to a plain .tar")
    stream.seek(0)
    try:
        with tarfile.open(fileobj=_Bounded(stream), mode="r:") as archive:
            end = -1
            while (member := archive.next()) is not None:
                if archive.offset <= end or member.size < 0:
                    raise DamagedTarError(f"the member at byte {member.offset} leads backwards")
                end = archive.offset
                if member.offset_data + member.size > size and member.isreg():
                    raise DamagedTarError(
                        f"{printable(member.name)} would end at byte {member.offset_data + member.size}, "
                        f"and the file has {size}: it was cut off"
                    )
                yield member
                archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue] - else all of them stay in memory
            end = archive.offset
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
        raise DamagedTarError(f"it is not a whole tar archive: {error}") from None
    stream.seek(end)
    block = stream.read(_BLOCK)
    if block != bytes(_BLOCK):
        # tarfile takes a damaged header for the end.
        reason = "a damaged header" if len(block) == _BLOCK else "no end of an archive: it was cut off"
        raise DamagedTarError(f"at byte {end} there is {reason}")


def _place(member: tarfile.TarInfo, rows: FileImages) -> tuple[str, str] | None:
    """Return key and kind of a member; None for one that is skipped, which is counted."""
    if member.isdir():
        return None
    name = printable(member.name).removeprefix("./")
    parts = name.split("/")
    match = _SAMPLE.fullmatch(name)
    hidden = next(filter(None, map(reserved, parts)), "")
    kind = match[2].lower() if match else ""
    if not member.isreg() or member.issparse():
        rows.passed_over.add("no plain file", name)
    elif name.startswith("/") or ".." in parts:
        rows.passed_over.add("a path that leads out of the archive", name)
    elif hidden:
        rows.passed_over.add(hidden, name)
    elif not match or kind not in (*IMAGES, *_LABELS):
        rows.passed_over.add_extension(f".{kind}" if kind else "", name)
    else:
        return match[1], kind
    return None


@dataclass
class _Sample:
    """The members of one key that follow each other."""

    key: str
    image: tuple[str, int, int, bytes] | None = None
    texts: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def take(
        self, kind: str, member: tarfile.TarInfo, stream: ByteFile, rows: FileImages, *, with_contents: bool
    ) -> None:
        most = LARGEST_IMAGE if kind in IMAGES else LARGEST_LABEL
        name = printable(member.name)
        if member.size > most:
            rows.report(f"{name} takes {member.size} bytes, more than the limit of {most}")
        elif kind not in IMAGES:
            self.texts[kind] = _read(stream, member)
        elif self.image is not None:
            rows.passed_over.add("a second image of a sample", name)
        else:
            content = hashlib.sha256(_read(stream, member)).digest() if with_contents else b""
            self.image = (kind, member.offset_data, member.size, content)

    def add_to(self, rows: FileImages, shard: str, label: str) -> None:
        if self.image is None:
            return
        kind, offset, length, content = self.image
        where, record = f"{self.key}.json", dict[str, Any]()
        if "json" in self.texts:
            try:
                value = strict_json(self.texts["json"], what=where)
            except InputError as error:
                rows.report(str(error))
                value = {}
            record = value if isinstance(value, dict) else {}
        labels = (_text(self.texts.get("cls")), label_text(record.get(label)), _text(self.texts.get("txt")))
        rows.add(
            f"{shard}/{self.key}.{kind}",
            offset=offset,
            length=length,
            content=content,
            label=next(filter(None, labels), ""),
            split=rows.split_of(record.get("split"), where),
        )


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "backslashreplace").strip()


def _read(stream: ByteFile, member: tarfile.TarInfo) -> bytes:
    stream.seek(member.offset_data)
    return stream.read(member.size)


class _Bounded(RawIOBase):
    """A stream that reads little at once, since a header may state that its continuation takes the whole file."""

    def __init__(self, stream: ByteFile) -> None:
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= LARGEST_LABEL:
            raise tarfile.ReadError(f"a header claims {size} bytes, more than the limit of {LARGEST_LABEL}")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
