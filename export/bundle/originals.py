"""Original image files of a bundle's queries, for an application to decode and resize itself. Imports no torch.

They lie in the bundle as ``originals/<row>.png`` or ``.jpg``, where the row is that of ``retrieval_images``, which
contains the contract's pixels of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetero.errors import IntegrityError
from hetero.files import write_bytes

FOLDER = "originals"
_STARTS = {"png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8\xff"}
_PATH = re.compile(rf"{FOLDER}/([0-9]{{6}})\.(png|jpg)")


def kind(content: bytes) -> str:
    """Return ``png``, ``jpg``, or an empty text for other files: every platform reads only these two."""
    return next((name for name, start in _STARTS.items() if content.startswith(start)), "")


def write_originals(bundle: Path, originals: Mapping[int, bytes]) -> None:
    """Write each original into the bundle's directory."""
    for row, content in originals.items():
        write_bytes(bundle / FOLDER / f"{row:06d}.{kind(content)}", content)


def original_rows(paths: Mapping[str, Path], images: int) -> dict[int, Path]:
    """Return the retrieval rows of the originals, ascending.

    Args:
        paths: The bundle's files by their path in it; files other than originals are ignored.
        images: Number of retrieval images.

    Raises:
        IntegrityError: For a name that is not a row, a repeated row, or content that does not match the name.
    """
    rows: dict[int, Path] = {}
    problems: list[str] = []
    for name, path in sorted(paths.items()):
        if not name.startswith(f"{FOLDER}/"):
            continue
        match = _PATH.fullmatch(name)
        if match is None or int(match[1]) >= images or int(match[1]) in rows:
            problems.append(f"{name}: expected one .png or .jpg for each of some rows below {images}")
            continue
        with path.open("rb") as stream:
            if kind(stream.read(8)) != match[2]:
                problems.append(f"{name}: is not a {match[2]} file")
        rows[int(match[1])] = path
    if problems:
        raise IntegrityError(f"the files below {FOLDER} are not sound:", problems)
    return rows


def pack(originals: Mapping[int, bytes]) -> dict[str, NDArray[Any]]:
    """Return originals as arrays for a safetensors file; no arrays for no originals."""
    if not originals:
        return {}
    return {
        "originals.rows": np.array(list(originals), np.int64),
        "originals.ends": np.cumsum([len(content) for content in originals.values()], dtype=np.int64),
        "originals.bytes": np.frombuffer(b"".join(originals.values()), np.uint8),
    }


def unpack(tensors: Mapping[str, NDArray[Any]]) -> dict[int, bytes]:
    """Return the originals that :func:`pack` packed."""
    if "originals.rows" not in tensors:
        return {}
    ends = tensors["originals.ends"].tolist()
    content = tensors["originals.bytes"].tobytes()
    spans = zip([0, *ends[:-1]], ends, strict=True)
    return {
        row: content[start:stop] for row, (start, stop) in zip(tensors["originals.rows"].tolist(), spans, strict=True)
    }


def original_problems(originals: Mapping[int, bytes], images: int) -> list[str]:
    """Return the problems of originals that are to go into a bundle."""
    outside = [row for row in originals if not 0 <= row < images]
    other = [row for row, content in originals.items() if not kind(content)]
    problems = [f"originals: rows {outside[:5]} are outside the {images} images"] if outside else []
    return problems + ([f"originals: those of rows {other[:5]} are neither PNG nor JPEG"] if other else [])
