"""Golden images in ``goldens.safetensors``: as rows of the retrieval images where they are among these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetero.errors import IntegrityError

ROWS = "golden_rows"
_STORED = {"golden_images": "retrieval_images", "golden_embeddings": "retrieval_student"}


def without_copies(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Replace golden images and embeddings by their rows among the retrieval images, if each of them has one."""
    rows = [_row(tensors, place) for place in range(len(tensors["golden_images"]))]
    if None in rows:
        return dict(tensors)
    return {name: array for name, array in tensors.items() if name not in _STORED} | {ROWS: np.array(rows, np.int64)}


def with_copies(tensors: Mapping[str, NDArray[Any]], *, what: str) -> dict[str, NDArray[Any]]:
    """Undo :func:`without_copies`; bundles of earlier versions hold copies.

    Raises:
        IntegrityError: If a row is none of the retrieval images.
    """
    if ROWS not in tensors:
        return dict(tensors)
    rows, rest = tensors[ROWS], {name: array for name, array in tensors.items() if name != ROWS}
    least = min((len(rest[name]) if name in rest and rest[name].ndim else 0) for name in _STORED.values())
    if rows.dtype != np.int64 or rows.ndim != 1 or not ((rows >= 0) & (rows < least)).all():
        raise IntegrityError(f"{what}: {ROWS} must be rows of the retrieval images")
    if copies := [name for name in _STORED if name in rest]:
        raise IntegrityError(f"{what}: holds {ROWS} and {copies[0]}")
    return rest | {name: rest[source][rows] for name, source in _STORED.items()}


def _row(tensors: Mapping[str, NDArray[Any]], place: int) -> int | None:
    """Return the first retrieval row with a golden image's pixels and vector."""
    image, vector = tensors["golden_images"][place], tensors["golden_embeddings"][place]
    same = np.flatnonzero((tensors["retrieval_student"] == vector).all(axis=1)).tolist()
    return next((row for row in same if np.array_equal(tensors["retrieval_images"][row], image)), None)
