"""Changed copies of images in the cache: computed once, and memory-mapped by every process that trains on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from hetero.data.decoding.cache import made_once
from hetero.data.decoding.decoded_files import DecodedRecord, array_in, kept_whole, new_array, write_record
from hetero.data.images import Images
from hetero.files import digest

_FORMAT = "hetero/copies/1"


def kept_copies(
    copied: Images, rows: Sequence[Int64[np.ndarray, " b"]], *, identity: str, cache: Path
) -> UInt8[np.ndarray, "n h w 3"]:
    """Return the images from the cache, where they are stored first if necessary.

    Args:
        copied: Computes the images.
        rows: All rows in order, in the chunks in which they are computed.
        identity: Digest of everything that decides the images, except torch's version.
        cache: Folder that keeps them.

    Raises:
        InputError: When the disk has no room for them.
    """
    shape = tuple(copied.shape)

    def fill(folder: Path) -> None:
        array = new_array(folder, shape)
        for chunk in rows:
            array[chunk] = copied[chunk]
        array.flush()
        write_record(folder, DecodedRecord(len(copied), {}))

    key = digest([_FORMAT, identity, shape, str(torch.__version__)])
    return array_in(made_once(cache / "copies" / key[:24], lambda folder: kept_whole(folder, shape), fill))
