"""Vectors for the galleries of benchmarks: which photos are left out, and what the rotation keeps."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gallery_vectors import DIMENSION, DemoVectors, like_the_demo


def unit(count: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.fixture
def demo() -> DemoVectors:
    designs = ("openmoji", "noto", "line")
    trained = [f"{emoji}/{design}{copy}" for copy in ("", "#1") for emoji in "abcd" for design in designs]
    tested = [f"{emoji}/{design}" for emoji in "xy" for design in designs]
    return DemoVectors(unit(30, 0), (*trained, *tested), unit(6, 1), tuple(tested))


def test_photos_in_the_designs_of_queries_are_left_out_and_no_others(demo: DemoVectors) -> None:
    assert demo.gallery_without({"noto"}) == [*range(24), 24, 26, 27, 29]
    assert demo.gallery_without({"noto", "openmoji"}) == [*range(24), 26, 29]


def test_vectors_like_the_demos_keep_its_angles_in_more_dimensions(demo: DemoVectors) -> None:
    blocks, queries = like_the_demo(demo, 50, seed=0)
    drawn = np.concatenate(list(blocks))
    assert drawn.shape == (50, DIMENSION) and queries.shape == (4, DIMENSION)
    assert np.allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-5)
    # Those that ask are the two designs of which the gallery has no photo of these emoji.
    asked = demo.student[[0, 1, 3, 4]]
    assert np.allclose(queries @ queries.T, asked @ asked.T, atol=1e-5)
    # All lie in the eight dimensions of the demo's, turned: queries of the same turn reach the whole of each.
    everything = np.vstack([drawn, queries])
    assert np.linalg.matrix_rank(everything, tol=1e-3) == 8
