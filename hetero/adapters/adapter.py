"""The interface of an adapter: a frozen map from vectors of one space to unit vectors of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.lengths import lengths, scaled


@runtime_checkable
class Adapter(Protocol):
    """A fitted map."""

    def __call__(self, vectors: Float32[np.ndarray, "n s"]) -> Float32[np.ndarray, "n t"]:
        """Map float32 [n, s] of the source space to float32 [n, t], unit vectors of the target space."""
        ...

    def arrays(self) -> Mapping[str, NDArray[np.float32]]:
        """Return all arrays of the adapter, by the names of its constructor's parameters."""
        ...


def unit(vectors: Float[np.ndarray, "n t"]) -> Float32[np.ndarray, "n t"]:
    """Scale vectors to length one.

    Raises:
        InputError: When a vector is zero or not finite.
    """
    length = lengths(vectors)
    if lost := int((~(length > 0) | ~np.isfinite(length)).sum()):
        raise InputError(f"{lost} of {len(vectors)} vectors have no direction after the adapter; are they finite?")
    return scaled(vectors, length)


def require_pairs(source: Float[np.ndarray, "n s"], target: Float[np.ndarray, "m t"]) -> None:
    """Refuse vectors that an adapter cannot be fitted to.

    Raises:
        InputError: When they are not pairs, too few, or not finite.
    """
    if len(source) != len(target) or len(source) < 2:
        raise InputError(
            f"an adapter is fitted to two vectors each of at least two images: got {len(source)} of the source and "
            f"{len(target)} of the target space"
        )
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise InputError("an adapter is fitted to finite vectors: some values are infinite or not a number")
