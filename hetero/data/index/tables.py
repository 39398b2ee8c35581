"""Parquet and Arrow files as the package datasets writes them: a column of image files and one of labels.

An Arrow file that is not compressed holds each image's bytes as they are, so that they are read where they lie. The
pages of Parquet are compressed in blocks of many images; reading one would decompress all of them, so that the bytes
are copied beside the index once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from hetero.data.index.file_images import LARGEST_IMAGE, FileImages, label_text
from hetero.data.index.places import is_remote, opened
from hetero.data.parquet import parquet_file
from hetero.errors import InputError
from hetero.storage.unfinished import NO_ROOM

SUFFIXES = (".parquet", ".arrow")
_AT_ONCE = 256
_STARTS = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp"}


class _NotInFileError(Exception):
    """The bytes of some images do not lie in the file as they are."""


@dataclass(frozen=True)
class _Columns:
    """The columns of a table that are read.

    Attributes:
        image: Column of the image files.
        label: Column of the labels; empty without one.
        classes: Names of numbered labels; empty when labels are names themselves.
        split: Column of the splits; empty without one.
    """

    image: str
    label: str
    classes: tuple[str, ...]
    split: str

    def names(self) -> list[str]:
        return [name for name in dict.fromkeys((self.image, self.label, self.split)) if name]


def table_rows(path: str, shard: str, copy: Path, *, image: str, label: str) -> FileImages:
    """List the images of a Parquet or Arrow file.

    Args:
        path: Local path or URL.
        shard: Name of the file, which begins the names of its images.
        copy: Where the bytes of the images are copied to, if they cannot be read in the file.
        image: Column of the images; empty to find it.
        label: Column of the labels.

    Returns:
        The images; their offsets are those in ``copy`` where it was written.
    """
    rows = FileImages()
    if path.endswith(".arrow") and not is_remote(path):
        try:
            _read(path, shard, None, rows, image=image, label=label)
            return rows
        except _NotInFileError:
            rows = FileImages()
    _read(path, shard, copy, rows, image=image, label=label)
    return rows


def _read(path: str, shard: str, copy: Path | None, rows: FileImages, *, image: str, label: str) -> None:
    import pyarrow as pa

    try:
        with ExitStack() as stack:
            schema, batches, start, stop = _opened(path, stack)
            columns = _columns(schema, image, label)
            target = stack.enter_context(copy.open("xb")) if copy else None
            end = number = 0
            for batch in batches(columns.names()):
                data, ends = _bytes_of(batch.column(columns.image))
                if target is None:
                    if not (len(data) == 0 or start <= data.address < stop):
                        raise _NotInFileError
                    offsets = data.address - start + ends
                else:
                    target.write(memoryview(data)[int(ends[0]) : int(ends[-1])])
                    offsets, end = end + ends - ends[0], end + int(ends[-1] - ends[0])
                _add(rows, batch, columns, shard, memoryview(data), ends, offsets, number)
                number += batch.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise  # the copy does not fit, which says nothing of the file
        rows.report(f"it is not a whole {Path(path).suffix[1:]} file: {str(error)[:200]}")
    except InputError as error:
        rows.report(str(error))


def _opened(path: str, stack: ExitStack) -> tuple[Any, Any, int, int]:
    """Return the schema, a function that yields batches, and the addresses between which the mapped file lies."""
    import pyarrow as pa

    if path.endswith(".parquet"):
        source = stack.enter_context(opened(path)) if is_remote(path) else path
        file = stack.enter_context(parquet_file(source))
        return file.schema_arrow, lambda names: file.iter_batches(_AT_ONCE, columns=names), 0, 0
    if is_remote(path):
        stream = stack.enter_context(pa.PythonFile(stack.enter_context(opened(path)), mode="r"))
        start = stop = 0
    else:
        whole = stack.enter_context(pa.memory_map(path)).read_buffer()
        start, stop = whole.address, whole.address + whole.size
        stream = pa.BufferReader(whole)
    try:
        reader = pa.ipc.open_stream(stream)
    except pa.ArrowInvalid:
        file = pa.ipc.open_file(stream)
        return file.schema, lambda _: (file.get_batch(number) for number in range(file.num_record_batches)), start, stop
    return reader.schema, lambda _: iter(reader), start, stop


def _columns(schema: Any, image: str, label: str) -> _Columns:
    if repeated := [name for name, count in Counter(schema.names).items() if count > 1]:
        raise InputError(f"expected each column once, the table has several columns {', '.join(repeated)}")
    features = _features(schema)
    candidates = [name for name in schema.names if _holds_files(schema.field(name).type)]
    stated = [name for name in candidates if features.get(name, {}).get("_type") == "Image"]
    some = [image] if image else stated or candidates
    some = [name for name in ("image", "img") if name in some] if len(some) > 1 else some
    if len(some) != 1 or some[0] not in candidates:
        raise InputError(
            f"expected {f'a column {image!r}' if image else 'one column'} of image files (struct{{bytes, path}} or "
            f"binary), the table has {', '.join(candidates) or 'none'}; say which with image = under [data]"
        )
    numbered = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
    if label not in schema.names and (label != "label" or numbered):
        raise InputError(
            f"expected a column {label!r} of labels, the table has {', '.join(schema.names)}; "
            "say which with label = under [data]"
        )
    names = features.get(label, {}).get("names")
    classes = tuple(map(str, names)) if isinstance(names, list) else ()
    present = [name if name in schema.names else "" for name in (label, "split")]
    return _Columns(some[0], present[0], classes, present[1])


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """Return what the package datasets wrote about the columns."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {str(name): value for name, value in features.items() if isinstance(value, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _holds_files(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_files(kind.field("bytes").type)
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def _bytes_of(column: Any) -> tuple[Any, Int64[np.ndarray, " m"]]:
    """Return the buffer with the bytes of a column's images, and where each begins and the last ends."""
    import pyarrow as pa

    if pa.types.is_struct(column.type):
        column = column.flatten()[column.type.get_field_index("bytes")]
    if column.null_count:
        raise InputError(
            f"{column.null_count} of {len(column)} images have no bytes, maybe a path alone; write the data set with "
            "the images in it (datasets embeds them in Parquet, and with embed_external_files)"
        )
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        column = column.cast(pa.large_binary())
    column.validate(full=True)
    width = np.int64 if pa.types.is_large_binary(column.type) else np.int32
    _, ends, data = column.buffers()
    offsets = np.frombuffer(ends, width, len(column) + 1, column.offset * np.dtype(width).itemsize)
    return data if data is not None else pa.py_buffer(b""), offsets.astype(np.int64)


def _add(
    rows: FileImages,
    batch: Any,
    columns: _Columns,
    shard: str,
    data: memoryview,
    ends: Int64[np.ndarray, " m"],
    offsets: Int64[np.ndarray, " m"],
    number: int,
) -> None:
    labels: Iterator[object] = iter(batch.column(columns.label).to_pylist() if columns.label else ())
    splits: Iterator[object] = iter(batch.column(columns.split).to_pylist() if columns.split else ())
    for place in range(batch.num_rows):
        begin, end = int(ends[place]), int(ends[place + 1])
        pixels = data[begin:end]
        name = f"{shard}/{number + place:06}"
        if end - begin > LARGEST_IMAGE:
            rows.report(f"{name} takes {end - begin} bytes, more than the limit of {LARGEST_IMAGE}")
        rows.add(
            name + _extension(bytes(pixels[:4])),
            offset=int(offsets[place]),
            length=end - begin,
            content=hashlib.sha256(pixels).digest(),
            label=_label(next(labels, None), columns.classes, rows, name),
            split=rows.split_of(next(splits, None), name),
        )


def _label(value: object, classes: tuple[str, ...], rows: FileImages, name: str) -> str:
    # datasets writes -1 for no label.
    if not classes or not isinstance(value, int):
        return label_text(value)
    if value >= len(classes):
        rows.report(f"{name}: label {value}, and the table names {len(classes)} classes")
        return ""
    return classes[value] if value >= 0 else ""


def _extension(start: bytes) -> str:
    return next((extension for mark, extension in _STARTS.items() if start.startswith(mark)), "")
