"""A small text tower for a space that has none: a ridge from the words and letters of texts to the cloud's vectors.

Images stay where they are and the texts are led to them, as in "LiT: zero-shot transfer with locked-image text tuning"
(arXiv 2111.07991), with a linear tower in place of a network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from hetero.errors import InputError

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_FEWEST = 2
_TRIPLE = 3


@dataclass(frozen=True)
class FittedTower:
    """An affine map from the parts of a text, its words and letter triples, to a space.

    Attributes:
        parts: The parts that it knows, sorted.
        rarity: float64 [p], weight of each part: the rarer among the texts of the fit, the more.
        weights: float64 [p, d].
        centre: float64 [d], the vector of a text of which it knows no part, before it has length one.
        penalty: The ridge's penalty.
    """

    parts: tuple[str, ...]
    rarity: Float64[np.ndarray, " p"]
    weights: Float64[np.ndarray, "p d"]
    centre: Float64[np.ndarray, " d"]
    penalty: float

    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "t d"]:
        """Return float32 [t, d], unit vectors of texts."""
        vectors = _rows(texts, self.parts, self.rarity) @ self.weights + self.centre
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def fit_tower(
    texts: Sequence[str], vectors: Float32[np.ndarray, "t d"], penalties: Sequence[float] = PENALTIES
) -> FittedTower:
    """Fit a text tower to a space.

    Args:
        texts: Texts in any case; their parts are compared in small letters.
        vectors: float32 [t, d], for each text the vector where it belongs: the mean of the images that it describes.
        penalties: Penalties to choose from, by the error of each text when it is left out.

    Raises:
        InputError: For fewer than two texts.
    """
    if len(texts) < _FEWEST:
        raise InputError(
            f"expected texts of at least {_FEWEST} classes or images to fit a text tower, got {len(texts)}"
        )
    counts = Counter(part for text in texts for part in _parts_of(text))
    parts = tuple(sorted(counts))
    rarity = np.log(len(texts) / np.array([counts[part] for part in parts]))
    rows, centre = _rows(texts, parts, rarity), vectors.mean(axis=0, dtype=np.float64)
    values, axes = np.linalg.eigh(rows @ rows.T)
    turned = axes.T @ (vectors - centre)
    penalty = min(penalties, key=lambda penalty: _left_out_error(values, axes, turned, penalty))
    return FittedTower(parts, rarity, rows.T @ (axes @ (turned / (values + penalty)[:, None])), centre, penalty)


def _left_out_error(
    values: Float64[np.ndarray, " t"],
    axes: Float64[np.ndarray, "t t"],
    turned: Float64[np.ndarray, "t d"],
    penalty: float,
) -> float:
    """Return the mean squared error of each text under the ridge without it, in closed form (Allen's PRESS)."""
    inverse = 1 / (values + penalty)
    errors = axes @ (turned * inverse[:, None]) / ((axes**2) @ inverse)[:, None]
    return float((errors**2).sum(axis=1).mean())


def _parts_of(text: str) -> set[str]:
    small = text.lower()
    return {*small.split(), *(f"~{small[at : at + _TRIPLE]}" for at in range(len(small) - _TRIPLE + 1))}


def _rows(texts: Sequence[str], parts: Sequence[str], rarity: Float64[np.ndarray, " p"]) -> Float64[np.ndarray, "t p"]:
    """Return the parts of each text, weighed by rarity, as rows of length one; zeros for a text without known parts."""
    place = {part: column for column, part in enumerate(parts)}
    rows = np.zeros((len(texts), len(parts)))
    for row, text in enumerate(texts):
        for part in _parts_of(text) & place.keys():
            rows[row, place[part]] = rarity[place[part]]
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
