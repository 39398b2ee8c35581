"""Vectors of a gallery and queries for it: drawn near a subspace, or like those of the demo's models.

Both are of 256 dimensions. Near a subspace of 24, each vector is drawn by itself, and queries like it: no query has
neighbours nearer than chance gives it, which is harder than what a student asks.

Like the demo's, a vector is a sum of one of the cloud's and of random shares of the differences to its 16 nearest
(manifold Parzen windows, Vincent and Bengio 2002), so that as many as wanted lie as the cloud's do. Queries are the
student's own vectors of photos in two designs that neither model was trained on; the cloud's vectors of the same emoji
in the third design are among those drawn from, those of the queries themselves are not. A rotation into 256 dimensions
keeps all inner products.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float16, Float32

from hetero import load_embeddings, metrics

DIMENSION, SUBSPACE, NOISE, NEIGHBOURS = 256, 24, 0.1, 16
AT_ONCE, QUERIES = 10_000, 1_000
GALLERY_DESIGN = "line"


@dataclass(frozen=True)
class DemoVectors:
    """What a run of the demo knows.

    Attributes:
        cloud: float32 [n, d], the cloud's vectors of all photos.
        names: ``EMOJI/DESIGN`` of each, with ``#COPY`` where it is a changed copy.
        student: float32 [m, d], a student's vectors of test photos.
        asked: Their names.
    """

    cloud: Float32[np.ndarray, "n d"]
    names: tuple[str, ...]
    student: Float32[np.ndarray, "m d"]
    asked: tuple[str, ...]

    @classmethod
    def read(cls, run: Path, student: str) -> DemoVectors:
        """Read them from a finished run."""
        cloud = load_embeddings(run / "cloud" / "embeddings.safetensors")
        own = load_embeddings(run / "evaluation" / "vectors" / f"{student}.safetensors")
        return cls(np.asarray(cloud.embeddings), tuple(cloud.names), np.asarray(own.embeddings), tuple(own.names))

    def gallery_without(self, designs: set[str]) -> list[int]:
        """Return the rows of the cloud's vectors but for test photos in some designs."""
        left_out = {name for name in self.asked if design_of(name) in designs}
        return [row for row, name in enumerate(self.names) if name not in left_out]


def design_of(name: str) -> str:
    return name.rpartition("/")[2]


def emoji_of(name: str) -> str:
    return name.partition("/")[0]


def near_subspace(count: int, seed: int) -> Iterator[Float32[np.ndarray, "b d"]]:
    """Yield unit vectors in blocks; of another seed, they are queries."""
    axes = np.random.default_rng(0).normal(size=(SUBSPACE, DIMENSION)).astype(np.float32) / SUBSPACE**0.5
    generator = np.random.default_rng([1, seed])
    for size in _sizes(count):
        block = generator.standard_normal((size, SUBSPACE), np.float32) @ axes
        block += NOISE * generator.standard_normal((size, DIMENSION), np.float32)
        yield _unit(block)


def like_the_demo(
    vectors: DemoVectors, count: int, seed: int
) -> tuple[Iterator[Float32[np.ndarray, "b d"]], Float32[np.ndarray, "q d"]]:
    """Return unit vectors in blocks, and the queries."""
    designs = {design_of(name) for name in vectors.asked} - {GALLERY_DESIGN}
    base = vectors.cloud[vectors.gallery_without(designs)]
    asked = [design_of(name) in designs for name in vectors.asked]
    generator = np.random.default_rng([2, seed])
    rotation = np.linalg.qr(generator.normal(size=(DIMENSION, base.shape[1])))[0].T.astype(np.float32)
    near = metrics.search(base, base, NEIGHBOURS, exclude=np.arange(len(base))).rows

    def blocks() -> Iterator[Float32[np.ndarray, "b d"]]:
        for size in _sizes(count):
            rows = generator.integers(0, len(base), size)
            shares = generator.standard_normal((size, NEIGHBOURS), np.float32) / NEIGHBOURS**0.5
            differences = base[near[rows]] - base[rows][:, None]
            yield _unit((base[rows] + np.einsum("bn,bnd->bd", shares, differences)) @ rotation)

    return blocks(), _unit(vectors.student[asked] @ rotation)


def write(
    folder: Path, blocks: Iterator[Float32[np.ndarray, "b d"]], queries: Float32[np.ndarray, "q d"], k: int
) -> None:
    """Write vectors in float16, queries, and the rows of each query's nearest."""
    with (folder / "vectors").open("wb") as stream:
        for block in blocks:
            stream.write(block.astype(np.float16).tobytes())
    np.save(folder / "queries.npy", queries)
    everything = np.memmap(folder / "vectors", np.float16, "r").reshape(-1, DIMENSION)
    np.save(folder / "nearest.npy", metrics.search(queries, everything, k).rows)


def stored(folder: Path) -> Iterator[Float16[np.ndarray, "b d"]]:
    """Yield what was written in blocks; read, not mapped, so that it does not count as memory in use."""
    with (folder / "vectors").open("rb") as stream:
        while data := stream.read(AT_ONCE * DIMENSION * 2):
            yield np.frombuffer(data, np.float16).reshape(-1, DIMENSION)


def _sizes(count: int) -> Iterator[int]:
    for start in range(0, count, AT_ONCE):
        yield min(AT_ONCE, count - start)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
