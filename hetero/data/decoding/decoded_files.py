"""The files of one decoded set in the cache: ``images.npy``, and ``decoded.json`` with the digests of its chunks.

Whenever an array is opened, all of it is checked, on all cores: if half of it were lost in a crash, or zeroed by a
failing disk, another model would be trained without notice. The check takes about a second for one gigabyte and core.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
from collections.abc import Generator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from hetero.data.decoding.grey import DeepGrey
from hetero.data.decoding.parallel import in_parallel
from hetero.errors import InputError
from hetero.files import write_json
from hetero.schema import parse_file, record
from hetero.storage.unfinished import NO_ROOM

_ARRAY, _RECORD = "images.npy", "decoded.json"
_CHUNK = 16 << 20


@record
class DecodedRecord:
    """The content of ``decoded.json``.

    Attributes:
        images: Rows of the array that are used.
        unreadable: Reasons of the other images, by position in the listing.
        grey: Values of the grey files of more than 8 bits.
        chunks: SHA-256 of each chunk of the array's file; empty when no array is kept.
    """

    images: int
    unreadable: dict[str, str]
    grey: DeepGrey | None = None
    chunks: tuple[str, ...] = ()


def record_in(directory: Path) -> DecodedRecord:
    """Read the record.

    Raises:
        IntegrityError: When the file is not a valid record.
    """
    return parse_file(DecodedRecord, directory / _RECORD)


def write_record(directory: Path, entry: DecodedRecord) -> None:
    """Write the record, with the digests of the array if there is one."""
    entry = replace(entry, chunks=_chunks(directory / _ARRAY))
    write_json(directory / _RECORD, asdict(entry))


def new_array(directory: Path, shape: tuple[int, ...]) -> UInt8[np.memmap, "n h w 3"]:
    """Create a memory-mapped array, with its space on the disk reserved.

    Raises:
        OSError: When there is not enough space; writing to the map would then end the process.
    """
    array = np.lib.format.open_memmap(directory / _ARRAY, "w+", np.uint8, shape)
    with (directory / _ARRAY).open("r+b") as stream:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), array.offset, array.nbytes)
        else:
            # macOS has no such call, so zeros are written to reserve the space.
            stream.seek(array.offset)
            for start in range(0, array.nbytes, _CHUNK):
                stream.write(bytes(min(_CHUNK, array.nbytes - start)))
    return array


@contextlib.contextmanager
def room_explained(cache: Path, shape: tuple[int, ...]) -> Generator[None]:
    """Turn an error about missing space for decoded images of this shape into advice.

    Raises:
        InputError: Instead of an OSError about space.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise InputError(
            f"{cache} has no room for {math.prod(shape) / 1e9:.3g} GB of decoded images ({error.strerror}); make some, "
            "set HETERO_CACHE to another place, or lower decoded_limit_gb to decode whenever images are read"
        ) from None


def array_in(directory: Path) -> UInt8[np.ndarray, "n h w 3"]:
    """Open the array, memory-mapped."""
    return np.load(directory / _ARRAY, mmap_mode="r", allow_pickle=False)


def kept_whole(directory: Path, shape: tuple[int, ...] | None) -> bool:
    """Return True if a decoded set exists and is undamaged; warn when it is damaged.

    Args:
        directory: The set's folder.
        shape: Shape of the array; None when no array is kept.
    """
    if not directory.exists():
        return False
    try:
        entry = record_in(directory)
        if shape is None or (entry.chunks == _chunks(directory / _ARRAY) and array_in(directory).shape == shape):
            return True
    except (OSError, ValueError, InputError):
        pass
    logging.getLogger(__name__).warning("%s is damaged; making it again", directory)
    return False


def _chunks(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return ()

    def sha256_at(start: int) -> str:
        with path.open("rb") as stream:
            stream.seek(start)
            return hashlib.sha256(stream.read(_CHUNK)).hexdigest()

    starts: Sequence[int] = range(0, path.stat().st_size, _CHUNK)
    return tuple(in_parallel(sha256_at, starts))
