"""Opening Parquet files, of which nobody knows who wrote them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hetero.errors import InputError

_ENDING = 8
"""Bytes after a footer: its length, and Parquet's mark."""
_LONGEST_TEXT = 1 << 20
"""Most bytes of a value in the statistics of a page, which lie outside the footer."""


def parquet() -> Any:
    """Import pyarrow's reader and writer of Parquet.

    Raises:
        InputError: When pyarrow is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"Parquet files need pyarrow ({error}); install the extra: pip install 'hetero[data]'"
        ) from None
    return pyarrow.parquet


def parquet_file(source: Any) -> Any:
    """Open a Parquet file within limits: no list in its footer has more items than the footer has bytes.

    Without limits a few bytes of a footer have pyarrow make room for a million columns.

    Args:
        source: A path, or a binary file that can be sought, of whatever class a store has.

    Returns:
        A ``pyarrow.parquet.ParquetFile``, to be closed.

    Raises:
        ValueError: When it is no Parquet file, or cut off; pyarrow's errors are of this kind, too.
        OSError: When it cannot be read.
    """
    if isinstance(source, (str, Path)):
        with Path(source).open("rb") as stream:
            length = _footer_length(stream)
    else:
        length = _footer_length(source)
        source.seek(0)
    texts = max(length, _LONGEST_TEXT)
    return parquet().ParquetFile(source, thrift_string_size_limit=texts, thrift_container_size_limit=length)


def _footer_length(stream: Any) -> int:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _ENDING))
    ending = stream.read()
    length = int.from_bytes(ending[:4], "little")
    if not 0 < length <= size - _ENDING:
        raise ValueError(f"its footer would take {length} of {size} bytes")
    return length
