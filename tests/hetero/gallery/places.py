"""Where the stores of the contract's tests are, and vectors for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hetero.space import EmbeddingSpace

DIMENSION = 16
V1 = EmbeddingSpace.define(defined_by="a", name="fashion", version="1", dimension=DIMENSION)
V2 = EmbeddingSpace.define(defined_by="b", name="fashion", version="2", dimension=24)


def vectors(count: int, *, seed: int = 0, space: EmbeddingSpace = V1) -> np.ndarray:
    """Unit vectors, float32 [count, d]."""
    drawn = np.random.default_rng(seed).normal(size=(count, space.dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def names(count: int) -> list[str]:
    return [f"item {number}" for number in range(count)]


def embedded(folder: Path) -> str:
    pytest.importorskip("usearch", reason="needs the extra gallery")
    return f"usearch:{folder / 'gallery'}"


def embedded_in_bytes(folder: Path) -> str:
    return f"{embedded(folder)}?precision=int8"


PLACES: dict[str, Callable[[Path], str]] = {"usearch": embedded, "usearch-int8": embedded_in_bytes}
"""Name of a store -> a new address for it."""


@pytest.fixture(params=PLACES)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield PLACES[request.param](tmp_path)
