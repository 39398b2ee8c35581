"""One shard: a Parquet file with the columns ``name`` and ``embedding``, whose vectors can be mapped into memory.

The column ``embedding`` (a list of fixed size, float16 or float32) is written plain, uncompressed and as one page. So
every Parquet reader reads it, and its values lie at the end of the page as one array, which is mapped without a copy.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32

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


def parquet() -> Any:
    """Import pyarrow's reader and writer of Parquet.

    Raises:
        InputError: When pyarrow is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"shards need pyarrow ({error}); install the extra: pip install 'hetero[data]'") from None
    return pyarrow.parquet


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
    return stream.getvalue().to_pybytes()


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
    """

    path: Path
    rows: int
    space: EmbeddingSpace
    dtype: Dtype
    offset: int
    page: tuple[int, int]
    checksum: int

    @classmethod
    def open(cls, path: Path) -> Shard:
        """Read a shard's metadata.

        Raises:
            InputError: When another program wrote the file, in another layout.
            IntegrityError: When it is damaged.
        """
        pq = parquet()
        import pyarrow as pa

        try:
            with path.open("rb") as stream:
                footer = pq.ParquetFile(stream)
                return _opened(path, footer.metadata, footer.schema_arrow, stream)
        except (OSError, pa.ArrowException) as error:
            raise IntegrityError(f"{path} is not a whole Parquet file: {error}") from None

    @cached_property
    def vectors(self) -> Float[np.ndarray, "n d"]:
        """[n, d] in the file's type, mapped into memory."""
        shape = (self.rows, self.space.dimension)
        return np.memmap(self.path, np.dtype(self.dtype).newbyteorder("<"), "r", self.offset, shape)

    def names(self) -> list[str]:
        """Read the name of each row."""
        pq = parquet()
        import pyarrow as pa

        try:
            return pq.read_table(self.path, columns=[_NAME], partitioning=None)[_NAME].to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise IntegrityError(f"{self.path}: its names cannot be read: {error}") from None

    def require_whole(self) -> None:
        """Read the vectors once and compare them with their checksum.

        Raises:
            IntegrityError: When they are not what was written.
        """
        start, length = self.page
        with self.path.open("rb") as stream:
            stream.seek(start)
            if zlib.crc32(stream.read(length)) != self.checksum:
                raise IntegrityError(f"{self.path} is damaged: its vectors are not those that were written")


def _opened(path: Path, footer: Any, schema: Any, stream: Any) -> Shard:
    import pyarrow as pa

    description = strict_json((schema.metadata or {}).get(b"hetero", b"{}"), what=f"the metadata 'hetero' of {path}")
    if not isinstance(description, dict) or description.get("schema") != SCHEMA:
        raise InputError(f"{path}: expected a shard as `hetero embed` writes it, got Parquet of another program")
    space = EmbeddingSpace.from_dict(description.get("space"), what=f"the space in {path}")
    values = schema.field(_EMBEDDING).type if _EMBEDDING in schema.names else None
    if values is None or not pa.types.is_fixed_size_list(values) or values.list_size != space.dimension:
        raise IntegrityError(f"{path}: expected a column {_EMBEDDING!r} of {space.dimension} numbers, got {values}")
    dtypes: dict[Any, Dtype] = {pa.float16(): "float16", pa.float32(): "float32"}
    dtype = dtypes.get(values.value_type)
    chunk = footer.row_group(0).column(1) if footer.num_row_groups == 1 else None
    if dtype is None or chunk is None or not _is_plain(chunk, footer.num_rows * space.dimension):
        raise _rewritten(path)
    stream.seek(chunk.data_page_offset)
    length, checksum = _page_header(stream.read(_HEADER), path)
    end = chunk.data_page_offset + chunk.total_compressed_size
    size = footer.num_rows * space.dimension * np.dtype(dtype).itemsize
    if not 0 < end - length - chunk.data_page_offset <= _HEADER or size > length:
        raise _rewritten(path)
    return Shard(path, footer.num_rows, space, dtype, end - size, (end - length, length), checksum)


def _is_plain(chunk: Any, values: int) -> bool:
    return (
        chunk.path_in_schema.startswith(f"{_EMBEDDING}.")
        and chunk.compression == "UNCOMPRESSED"
        and set(chunk.encodings) == {"PLAIN", "RLE"}
        and not chunk.has_dictionary_page
        and chunk.num_values == values
    )


def _page_header(header: bytes, path: Path) -> tuple[int, int]:
    """Return a data page's length and CRC-32 from its header.

    The header is Thrift's compact protocol: four integers, each after a byte that says so, are the kind of the page,
    its length, its length when compressed, and its checksum.
    Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift (PageHeader).
    """
    numbers: list[int] = []
    place = 0
    for _ in range(4):
        if header[place : place + 1] != b"\x15":
            raise _rewritten(path)
        place, value = place + 1, 0
        for shift in range(0, 35, 7):
            byte = header[place]
            place, value = place + 1, value | (byte & 0x7F) << shift
            if byte < 0x80:
                break
        numbers.append((value >> 1) ^ -(value & 1))
    kind, length, compressed, checksum = numbers
    if kind or length != compressed:
        raise _rewritten(path)
    return length, checksum & 0xFFFFFFFF


def _rewritten(path: Path) -> InputError:
    return InputError(
        f"{path}: another program wrote these shards again, in another layout, and they cannot be mapped; take the "
        "files that `hetero embed` wrote"
    )
