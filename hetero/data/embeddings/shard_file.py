"""One shard: a Parquet file with the columns ``name`` and ``embedding``, whose vectors can be mapped into memory.

The column ``embedding`` (a list of fixed size, float16 or float32) is written plain, uncompressed and as one page. So
every Parquet reader reads it, and its values lie at the end of the page as one array, which is mapped without a copy.

Before the file's footer, where readers look at nothing, lie two digests: of all before the page, and of that digest
with the footer. They are compared before pyarrow reads either, because it ends the process at some damaged footers.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from jaxtyping import Float, Float32

from hetero.data.parquet import parquet, parquet_file
from hetero.errors import InputError, IntegrityError
from hetero.files import canonical_json
from hetero.foreign import strict_json
from hetero.space import EmbeddingSpace

SCHEMA = "hetero/embedding-shard/1"
MOST_ROWS = 20_000
"""Parquet writers begin a new page after so many rows, unless told otherwise."""
Dtype = Literal["float16", "float32"]
_NAME, _EMBEDDING = "name", "embedding"
_PAGE = (1 << 31) - 1
_HEADER = 64
"""Bytes that hold the header of a page without statistics."""
_ENDING = 8
"""Bytes after a footer: its length, and Parquet's mark."""
_DIGEST = 32


def shard_bytes(
    vectors: Float32[np.ndarray, "n d"], names: Sequence[str], space: EmbeddingSpace, *, dtype: Dtype
) -> bytes:
    """Return a shard; equal content gives equal bytes with one version of pyarrow.

    Args:
        vectors: float32 [n, d], n at most :data:`MOST_ROWS`.
        names: One a row.
        space: The space of the vectors, which goes into the file's metadata.
        dtype: Type in the file.
    """
    pq = parquet()
    import pyarrow as pa

    assert len(vectors) == len(names) <= MOST_ROWS
    values = np.ascontiguousarray(vectors, np.dtype(dtype).newbyteorder("<"))
    row = pa.list_(pa.field("element", pa.from_numpy_dtype(values.dtype), nullable=False), values.shape[1])
    schema = pa.schema(
        [pa.field(_NAME, pa.string(), nullable=False), pa.field(_EMBEDDING, row, nullable=False)],
        metadata={"hetero": canonical_json({"schema": SCHEMA, "space": space.to_dict()})},
    )
    rows = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=row)
    stream = pa.BufferOutputStream()
    pq.write_table(
        pa.table([pa.array(list(names), pa.string()), rows], schema=schema),
        stream,
        row_group_size=max(1, len(values)),
        compression={_NAME: "zstd", f"{_EMBEDDING}.list.element": "none"},
        use_dictionary=False,
        write_statistics=[_NAME],
        write_page_checksum=True,
        data_page_size=_PAGE,
        write_batch_size=max(1, values.size),
    )
    return _sealed(stream.getvalue().to_pybytes())


@dataclass(frozen=True)
class Shard:
    """A shard whose vectors are read when they are needed. Open one with :meth:`open`.

    Attributes:
        path: The file.
        rows: Number of vectors.
        space: The space of the vectors.
        dtype: Their type in the file.
        offset: Place of the first value in the file, in bytes.
        page: Place of the page that they end, and its length, in bytes.
        checksum: CRC-32 of the page.
        head: SHA-256 of all before the page.
    """

    path: Path
    rows: int
    space: EmbeddingSpace
    dtype: Dtype
    offset: int
    page: tuple[int, int]
    checksum: int
    head: bytes

    @classmethod
    def open(cls, path: Path) -> Shard:
        """Read a shard's metadata.

        Raises:
            IntegrityError: When it is damaged, or another program wrote it.
        """
        with path.open("rb") as stream:
            head = _head_digest(stream, path)
            try:
                file = parquet_file(stream)
                return _opened(path, file.metadata, file.schema_arrow, stream, head)
            except (InputError, MemoryError):
                raise
            except Exception as error:  # anybody can write the digests, and what they seal may be anything
                raise IntegrityError(f"{path} is damaged: {type(error).__name__}: {error}") from None

    @cached_property
    def vectors(self) -> Float[np.ndarray, "n d"]:
        """[n, d] in the file's type, mapped into memory once they are known to be those that were written.

        Raises:
            IntegrityError: When they are not.
        """
        self._require_whole()
        shape = (self.rows, self.space.dimension)
        return np.memmap(self.path, np.dtype(self.dtype).newbyteorder("<"), "r", self.offset, shape)

    def names(self) -> list[str]:
        """Read the name of each row.

        Raises:
            IntegrityError: When they are not what was written.
        """
        with self.path.open("rb") as stream:
            if hashlib.sha256(stream.read(self.page[0])).digest() != self.head:
                raise IntegrityError(f"{self.path} is damaged: its names are not those that were written")
            names = parquet_file(stream).read(columns=[_NAME])[_NAME].to_pylist()
        if len(names) != self.rows or not all(isinstance(name, str) for name in names):
            raise IntegrityError(f"{self.path} is damaged: expected {self.rows} names")
        return names

    def _require_whole(self) -> None:
        start, length = self.page
        with self.path.open("rb") as stream:
            stream.seek(start)
            if zlib.crc32(stream.read(length)) != self.checksum:
                raise IntegrityError(f"{self.path} is damaged: its vectors are not those that were written")


def _sealed(data: bytes) -> bytes:
    """Put the two digests before the footer."""
    import pyarrow as pa

    chunk = parquet().ParquetFile(pa.BufferReader(data)).metadata.row_group(0).column(1)
    end = chunk.data_page_offset + chunk.total_compressed_size
    length, _ = _page_header(data[chunk.data_page_offset : chunk.data_page_offset + _HEADER])
    footer = len(data) - _ENDING - int.from_bytes(data[-_ENDING:-4], "little")
    head = hashlib.sha256(data[: end - length]).digest()
    return data[:footer] + head + hashlib.sha256(head + data[footer:]).digest() + data[footer:]


def _head_digest(stream: BinaryIO, path: Path) -> bytes:
    """Return the digest of all before the page, once the footer is known to be what was written.

    Raises:
        IntegrityError: When it is not.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _ENDING))
    ending = stream.read()
    length = int.from_bytes(ending[:4], "little") + _ENDING
    stream.seek(max(0, size - length - 2 * _DIGEST))
    sealed = stream.read(2 * _DIGEST)
    if hashlib.sha256(sealed[:_DIGEST] + stream.read()).digest() != sealed[_DIGEST:]:
        raise IntegrityError(
            f"{path} is damaged, or another program wrote it: expected a shard as `hetero embed` writes it"
        )
    stream.seek(0)
    return sealed[:_DIGEST]


def _opened(path: Path, footer: Any, schema: Any, stream: BinaryIO, head: bytes) -> Shard:
    what = f"the metadata 'hetero' of {path}"
    description = cast("dict[str, Any]", strict_json(schema.metadata[b"hetero"], what=what))
    if description["schema"] != SCHEMA:
        raise InputError(f"{path}: expected a shard of version {SCHEMA}, got {description['schema']}")
    space = EmbeddingSpace.from_dict(description["space"], what=f"the space in {path}")
    dtype: Dtype = "float16" if footer.schema.column(1).physical_type == "FIXED_LEN_BYTE_ARRAY" else "float32"
    chunk = footer.row_group(0).column(1)
    stream.seek(chunk.data_page_offset)
    length, checksum = _page_header(stream.read(_HEADER))
    end = chunk.data_page_offset + chunk.total_compressed_size
    size = footer.num_rows * space.dimension * np.dtype(dtype).itemsize
    is_inside = chunk.data_page_offset >= 0 and end <= stream.seek(0, os.SEEK_END)
    if not is_inside or not 0 < end - length - chunk.data_page_offset <= _HEADER or not 0 <= size <= length:
        raise IntegrityError(f"{path} is damaged: its vectors are not where they were written")
    return Shard(path, footer.num_rows, space, dtype, end - size, (end - length, length), checksum, head)


def _page_header(header: bytes) -> tuple[int, int]:
    """Return a data page's length and CRC-32 from its header; zeros where it is none.

    The header is Thrift's compact protocol: four integers, each after a byte that says so, are the kind of the page,
    its length, its length when compressed, and its checksum.
    Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift (PageHeader).
    """
    numbers: list[int] = []
    place = 0
    for _ in range(4):
        if header[place : place + 1] != b"\x15":
            return 0, 0
        place, value = place + 1, 0
        for shift in range(0, 35, 7):
            if place == len(header):
                return 0, 0
            byte = header[place]
            place, value = place + 1, value | (byte & 0x7F) << shift
            if byte < 0x80:
                break
        numbers.append((value >> 1) ^ -(value & 1))
    kind, length, compressed, checksum = numbers
    return (0, 0) if kind or length != compressed else (length, checksum & 0xFFFFFFFF)
