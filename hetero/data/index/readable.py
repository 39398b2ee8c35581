"""The images of an index that can be decoded, for data of which some cannot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from hetero.data.decoding.cache import made_once
from hetero.data.decoding.decode import UnreadableImageError, decode_bytes, decoding_key
from hetero.data.decoding.parallel import in_parallel
from hetero.data.index.columns import Column, mapped
from hetero.data.index.image_index import ImageIndex
from hetero.data.index.read import IndexReader, row_chunks
from hetero.data.sources.rows import LEFT_OUT, Rows
from hetero.errors import IntegrityError
from hetero.files import digest, sha256_bytes
from hetero.preprocessing import Preprocessing

_FILE = "unreadable.npy"


def without_unreadable_rows(index: ImageIndex, rows: Rows, preprocessing: Preprocessing, cache: Path) -> Rows:
    """Leave out images that cannot be decoded; every image is decoded once to find them, and the answer is kept.

    Args:
        index: The images.
        rows: Their splits.
        preprocessing: Preparation of the images.
        cache: Folder that keeps which ones cannot be decoded.

    Raises:
        InputError: When those that are left are too few to train or test on.
    """
    used = np.flatnonzero(rows.splits != LEFT_OUT)
    key = digest([index.fingerprint(), sha256_bytes(used.tobytes()), decoding_key(preprocessing)])

    def make(folder: Path) -> None:
        column = Column(folder / _FILE, np.int64)
        for part in in_parallel(unreadable, row_chunks(used), progress=f"decoding {rows.name}", unit="batch"):
            column.append(part)
        column.close()

    def unreadable(chunk: Int64[np.ndarray, " b"]) -> Sequence[int]:
        bad: list[int] = []
        for row, data in zip(chunk.tolist(), IndexReader(index).read(chunk), strict=True):
            try:
                decode_bytes(data, "", preprocessing, index.box(row))
            except UnreadableImageError:
                bad.append(row)
        return bad

    directory = made_once(cache / "unreadable" / key[:24], _is_whole, make)
    bad = mapped(directory / _FILE)
    if not len(bad):
        return rows
    result = rows.moved(np.asarray(bad), None, f"{len(bad)} unreadable images skipped of {len(used)}")
    result.require_classes()
    return result


def _is_whole(directory: Path) -> bool:
    try:
        return mapped(directory / _FILE).dtype == np.int64
    except IntegrityError:
        return False
