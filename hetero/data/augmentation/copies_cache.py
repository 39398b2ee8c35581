"""Changed copies of images in the cache: made once, and memory-mapped by every process that trains on them."""

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
    """The images, from the cache when they are there whole.

    Args:
        copied: Makes them.
        rows: All rows in order, as many at once as it is asked for.
        identity: Digest of everything that decides them but torch's version.
        cache: Where they are kept.

    Raises:
        InputError: When there is no room for them.
    """
    shape = tuple(copied.shape)

    def fill(folder: Path) -> None:
        array = new_array(folder, shape)
        for some in rows:
            array[some] = copied[some]
        array.flush()
        write_record(folder, DecodedRecord(len(copied), {}))

    key = digest([_FORMAT, identity, shape, str(torch.__version__)])
    return array_in(made_once(cache / "copies" / key[:24], lambda folder: kept_whole(folder, shape), fill))
