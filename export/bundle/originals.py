"""Original image files of a bundle's queries: what an application decodes and resizes itself. Imports no torch.

They lie in the bundle as ``originals/<row>.png`` or ``.jpg``, where the row is that of ``retrieval_images``, whose
pixels are what the contract makes of them.
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
    """``png``, ``jpg``, or nothing for other files: only these two are read by every platform."""
    return next((name for name, start in _STARTS.items() if content.startswith(start)), "")


def write_originals(bundle: Path, originals: Mapping[int, bytes]) -> None:
    """Write each original into the bundle's directory."""
    for row, content in originals.items():
        write_bytes(bundle / FOLDER / f"{row:06d}.{kind(content)}", content)


def original_rows(paths: Mapping[str, Path], images: int) -> dict[int, Path]:
    """Which retrieval image each original belongs to, ascending.

    Args:
        paths: The bundle's files by their path in it; others than originals are passed over.
        images: Number of retrieval images.

    Raises:
        IntegrityError: For a name that is not a row, a row twice, or content that is not what the name says.
    """
    rows: dict[int, Path] = {}
    problems: list[str] = []
    for name, path in sorted(paths.items()):
        if not name.startswith(f"{FOLDER}/"):
            continue
        found = _PATH.fullmatch(name)
        if found is None or int(found[1]) >= images or int(found[1]) in rows:
            problems.append(f"{name}: expected one .png or .jpg for each of some rows below {images}")
            continue
        with path.open("rb") as stream:
            if kind(stream.read(8)) != found[2]:
                problems.append(f"{name}: is not a {found[2]} file")
        rows[int(found[1])] = path
    if problems:
        raise IntegrityError(f"the files below {FOLDER} are not sound:", problems)
    return rows


def pack(originals: Mapping[int, bytes]) -> dict[str, NDArray[Any]]:
    """Originals as arrays for a safetensors file; nothing for none."""
    if not originals:
        return {}
    return {
        "originals.rows": np.array(list(originals), np.int64),
        "originals.ends": np.cumsum([len(content) for content in originals.values()], dtype=np.int64),
        "originals.bytes": np.frombuffer(b"".join(originals.values()), np.uint8),
    }


def unpack(tensors: Mapping[str, NDArray[Any]]) -> dict[int, bytes]:
    """What :func:`pack` packed."""
    if "originals.rows" not in tensors:
        return {}
    ends = tensors["originals.ends"].tolist()
    content = tensors["originals.bytes"].tobytes()
    spans = zip([0, *ends[:-1]], ends, strict=True)
    return {
        row: content[start:stop] for row, (start, stop) in zip(tensors["originals.rows"].tolist(), spans, strict=True)
    }


def original_problems(originals: Mapping[int, bytes], images: int) -> list[str]:
    """What is wrong with originals that are to go into a bundle."""
    outside = [row for row in originals if not 0 <= row < images]
    other = [row for row, content in originals.items() if not kind(content)]
    problems = [f"originals: rows {outside[:5]} are outside the {images} images"] if outside else []
    return problems + ([f"originals: those of rows {other[:5]} are neither PNG nor JPEG"] if other else [])
