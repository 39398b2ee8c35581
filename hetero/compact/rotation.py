"""Rotations of a space, after which few coordinates, or their signs, say nearly as much as all.

No rotation is centred. A student's last layer is linear and its output is then scaled to length one; a rotation folds
into that layer exactly, while a mean that is subtracted *after* the scaling does not. Nor would cosines stay what they
were: ``x.y`` does not change under a rotation, ``(x - m).(y - m)`` is something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

from hetero.adapters.adapter import unit
from hetero.data.embeddings.mapped import Vectors
from hetero.errors import InputError
from hetero.geometry.sample import sampled

ROWS = 1 << 16
"""Most vectors that a rotation is fitted to: a seeded sample of more."""
_CHUNK = 4096
_ITERATIONS = 50


@dataclass(frozen=True)
class Rotation:
    """A rotation, or its leading columns.

    Attributes:
        kind: ``pca`` or ``itq``.
        matrix: float32 [d, c], orthonormal columns.
    """

    kind: Literal["pca", "itq"]
    matrix: Float32[np.ndarray, "d c"]

    def __call__(self, vectors: Float32[np.ndarray, "n d"], dimension: int) -> Float32[np.ndarray, "n k"]:
        """Rotate vectors, keep their first coordinates, and scale them to length one.

        Args:
            vectors: float32 [n, d].
            dimension: Number of coordinates to keep.

        Raises:
            InputError: When a vector has no direction there.
        """
        return unit(vectors @ self.matrix[:, :dimension])


def principal_rotation(vectors: Vectors) -> Rotation:
    """Fit a rotation to the principal directions around zero, largest first.

    These are the eigenvectors of ``mean x x'``. No other ``k`` directions keep more of the vectors' inner products
    (Eckart and Young, Psychometrika 1936).

    Args:
        vectors: float32 [n, d], unit vectors; read in parts.
    """
    _, directions = np.linalg.eigh(_second_moment(sampled(vectors, ROWS)))
    directions = directions[:, ::-1]
    # Equal vectors give equal rotations: an eigenvector's sign is otherwise the library's choice.
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    return Rotation("pca", (directions * signs).astype(np.float32))


def quantisation_rotation(vectors: Vectors, dimension: int, *, seed: int = 0) -> Rotation:
    """Fit a rotation whose signs keep the most: iterative quantisation (ITQ; Gong and Lazebnik, CVPR 2011).

    After :func:`principal_rotation` the kept coordinates are rotated once more, so that they come near to their signs:
    ``|sign(V R) - V R|`` is minimised in turn over the signs and over R. V is centred, as in the paper; the rotation
    that is returned is not, and :class:`hetero.compact.codes.BinaryCodes` takes signs around the mean.

    Args:
        vectors: float32 [n, d], unit vectors; read in parts.
        dimension: Number of coordinates to keep.
        seed: Seed of the rotation to start with.
    """
    leading = principal_rotation(vectors).matrix[:, :dimension].astype(np.float64)
    sample = sampled(vectors, ROWS)
    coordinates = np.concatenate([sample[part] @ leading for part in _parts(len(sample))])
    coordinates -= coordinates.mean(axis=0)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, dimension)))[0]
    for _ in range(_ITERATIONS):
        left, _, right = np.linalg.svd(np.where(coordinates @ turn >= 0, 1.0, -1.0).T @ coordinates)
        turn = (left @ right).T
    return Rotation("itq", (leading @ turn).astype(np.float32))


def fitted(vectors: Vectors, dimension: int, kind: Literal["pca", "itq"]) -> Rotation:
    """Fit a rotation of either kind.

    Args:
        vectors: float32 [n, d], unit vectors.
        dimension: Number of coordinates that will be kept.
        kind: Kind of rotation.

    Raises:
        InputError: When there is nothing to fit it to, or the dimension is not below that of the vectors.
    """
    count, longest = vectors.shape
    if not 1 <= dimension < longest:
        raise InputError(f"dimensions: expected 1 to {longest - 1} for a space of {longest}, got {dimension}")
    if count < dimension:
        raise InputError(f"expected at least {dimension} vectors to find as many directions in, got {count}")
    return principal_rotation(vectors) if kind == "pca" else quantisation_rotation(vectors, dimension)


def _second_moment(vectors: Vectors) -> Float64[np.ndarray, "d d"]:
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for part in _parts(len(vectors)):
        chunk = vectors[part].astype(np.float64)
        total += chunk.T @ chunk
    return total / len(vectors)


def _parts(count: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, count, _CHUNK)]
