"""Reading safetensors files of unknown origin: everything is checked against limits before anything is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hetero.errors import InputError, IntegrityError
from hetero.foreign import strict_json

_WIDTHS = {"U8": 1, "F32": 4, "I64": 8}
_DTYPES = {"U8": np.uint8, "F32": np.float32, "I64": np.int64}
_HEADER_LIMIT = 1 << 20
_METADATA = "__metadata__"


@dataclass(frozen=True)
class Header:
    """A checked safetensors header.

    Attributes:
        shapes: Shape of each tensor.
        dtypes: Type of each tensor: ``U8``, ``F32`` or ``I64``.
        metadata: Free text entries.
    """

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    metadata: Mapping[str, str]


def read_header(path: Path, *, limit: int = _HEADER_LIMIT) -> Header:
    """Read and check a header: its size, every type and shape, and that the data match it exactly.

    Args:
        path: A regular file.
        limit: Limit on the header's size in bytes.

    Raises:
        IntegrityError: If anything is wrong.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > size - 8:
            raise IntegrityError(f"{path.name} is not a safetensors file, or was cut off: {size} bytes are too few")
        if length > limit:
            raise IntegrityError(f"{path.name}: its header takes {length} bytes, more than the limit of {limit}")
        value = strict_json(stream.read(length), what=f"the header of {path.name}")
    if not isinstance(value, dict):
        raise IntegrityError(f"{path.name}: its header is not a JSON object")
    entries = cast("dict[str, Any]", value)
    metadata = entries.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise IntegrityError(f"{path.name}: its metadata must map text to text")
    spans = {name: _span(entry, f"{path.name}: tensor {name[:100]!r}") for name, entry in entries.items()}
    _require_contiguous(sorted(spans.values()), size - 8 - length, path.name)
    return Header(
        shapes={name: tuple(entry["shape"]) for name, entry in entries.items()},
        dtypes={name: entry["dtype"] for name, entry in entries.items()},
        metadata=cast("dict[str, str]", metadata),
    )


def read_tensors(path: Path, *, limit: int = _HEADER_LIMIT) -> tuple[dict[str, NDArray[Any]], Mapping[str, str]]:
    """Load every tensor of a file, after :func:`read_header` found nothing wrong, and its metadata.

    Raises:
        InputError: If there is no such file.
        IntegrityError: If it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise InputError(f"expected a safetensors file at {path}, found none")
    header = read_header(path, limit=limit)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise IntegrityError(f"{path.name} cannot be loaded: {error}") from None
    return tensors, header.metadata


def _span(entry: Any, what: str) -> tuple[int, int]:
    if not isinstance(entry, dict) or set(cast("dict[str, Any]", entry)) != {"dtype", "shape", "data_offsets"}:
        raise IntegrityError(f"{what}: expected dtype, shape and data_offsets")
    width = _WIDTHS.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if width is None:
        raise IntegrityError(
            f"{what}: expected one of the types {', '.join(_WIDTHS)}, got {str(entry['dtype'])[:40]!r}"
        )
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _naturals(shape) or not _naturals(offsets) or len(shape) > 8 or len(offsets) != 2:
        raise IntegrityError(f"{what}: shape and data_offsets must be lists of whole numbers")
    if offsets[1] - offsets[0] != math.prod(shape) * width:
        raise IntegrityError(f"{what}: its shape does not fit the bytes that it takes")
    return offsets[0], offsets[1]


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**48 for item in cast("list[Any]", value))


def _require_contiguous(spans: list[tuple[int, int]], size: int, name: str) -> None:
    end = 0
    for first, last in spans:
        if first != end:
            raise IntegrityError(f"{name}: its tensors overlap or leave gaps")
        end = last
    if end != size:
        raise IntegrityError(f"{name}: its tensors take {end} bytes, the file holds {size}")


def require_tensors(
    tensors: Mapping[str, NDArray[Any]], expected: Mapping[str, tuple[str, tuple[int | str, ...]]], *, what: str
) -> dict[str, int]:
    """Compare tensors to expected types and shapes.

    Args:
        tensors: The tensors to check.
        expected: Type (``U8``, ``F32``, ``I64``) and shape of each; a text in a shape is a free size, which must
            be the same wherever that text stands.
        what: Names the file in the message.

    Returns:
        The free sizes.

    Raises:
        IntegrityError: With every missing, unknown and misshapen tensor.
    """
    problems = [f"{name}: missing" for name in expected if name not in tensors]
    problems += [f"{name[:100]}: unknown" for name in tensors if name not in expected]
    sizes: dict[str, int] = {}
    for name, (dtype, shape) in expected.items():
        if name not in tensors:
            continue
        tensor = tensors[name]
        if tensor.dtype != _DTYPES[dtype] or not _fits(tensor.shape, shape, sizes):
            sides = ", ".join(str(sizes.get(str(side), side)) for side in shape)
            problems.append(f"{name}: expected {dtype} [{sides}], got {tensor.dtype} {list(tensor.shape)}")
    if problems:
        raise IntegrityError(f"{what} does not hold what it should:", problems)
    return sizes


def _fits(actual: tuple[int, ...], expected: tuple[int | str, ...], sizes: dict[str, int]) -> bool:
    if len(actual) != len(expected):
        return False
    return all(
        (sizes.setdefault(side, size) if isinstance(side, str) else side) == size
        for size, side in zip(actual, expected, strict=True)
    )
