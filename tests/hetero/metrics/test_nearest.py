from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.metrics import _reservoir
from hetero.metrics import nearest as search_module
from hetero.metrics.nearest import search
from tests.hetero.metrics.brute_force import ranked


def small_whole_numbers(rng: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    """Exact in float32, and full of ties."""
    return rng.integers(-2, 3, (rows, dimension)).astype(np.float32)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    queries=st.integers(1, 7),
    rows=st.integers(2, 40),
    share=st.floats(0, 1),
    excluding=st.booleans(),
    width=st.integers(1, 16),
    at_once=st.integers(1, 5),
)
def test_equals_sorting_all_scores(
    seed: int, queries: int, rows: int, share: float, excluding: bool, width: int, at_once: int
) -> None:
    rng = np.random.default_rng(seed)
    query, gallery = small_whole_numbers(rng, queries, 3), small_whole_numbers(rng, rows, 3)
    exclude = rng.integers(-1, rows, queries) if excluding else None
    k = max(1, round(share * (rows - excluding)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "_block_width", lambda k: width)
        patch.setattr(search_module, "_queries_at_once", lambda queries, k, width: at_once)
        patch.setattr(_reservoir, "MINIMUM_SLACK", 1)
        scores, found = search(query, gallery, k, exclude=exclude)
    for index in range(queries):
        expected = ranked(query[index], gallery, -1 if exclude is None else int(exclude[index]))[:k]
        assert list(zip(scores[index].tolist(), found[index].tolist(), strict=True)) == expected


def test_hand_computed() -> None:
    query = np.array([[1, 0], [0, 2]], np.float32)
    gallery = np.array([[0.5, 1], [3, -1], [0.5, 4]], np.float32)
    scores, rows = search(query, gallery, 2)
    assert scores.tolist() == [[3, 0.5], [8, 2]]
    assert rows.tolist() == [[1, 0], [2, 0]]  # rows 0 and 2 tie for the first query: the lower one comes first


def test_zeros_of_both_signs_tie() -> None:
    query = np.array([[1.0]], np.float32)
    gallery = np.array([[-0.0], [0.0], [-0.0], [1.0]], np.float32)
    scores, rows = search(query, gallery, 4)
    assert rows.tolist() == [[3, 0, 1, 2]]
    assert scores.tolist() == [[1, 0, 0, 0]]


@pytest.mark.parametrize("k", [1, 10, 700, 2999])
def test_many_blocks_and_real_widths(k: int) -> None:
    rng = np.random.default_rng(k)
    query, gallery = rng.standard_normal((50, 8), np.float32), rng.standard_normal((3000, 8), np.float32)
    scores, rows = search(query, gallery, k, exclude=np.arange(50, dtype=np.int64))
    exact = query.astype(np.float64) @ gallery.T.astype(np.float64)
    exact[np.arange(50), np.arange(50)] = -np.inf
    assert np.allclose(scores, -np.sort(-exact, axis=1)[:, :k], atol=1e-5)
    assert np.allclose(np.take_along_axis(exact, rows, axis=1), scores, atol=1e-5)
    assert all(len(set(row)) == k for row in rows.tolist())


def test_best_last_in_the_gallery_is_found() -> None:
    """Scores that rise with the row fill every slot again and again."""
    gallery = np.arange(5000, dtype=np.float32)[:, None]
    scores, rows = search(np.ones((3, 1), np.float32), gallery, 20)
    assert rows.tolist() == [list(range(4999, 4979, -1))] * 3
    assert scores[0].tolist() == list(range(4999, 4979, -1))


@given(st.lists(st.tuples(st.floats(width=32, allow_nan=False), st.integers(0, 2**32 - 2)), min_size=1))
def test_keys_sort_like_pairs_and_decode(pairs: list[tuple[float, int]]) -> None:
    scores = np.array([score for score, _ in pairs], np.float32)
    keys = _reservoir.encode(scores, np.array([row for _, row in pairs], np.int64))
    assert (keys < _reservoir.EMPTY).all()
    decoded_scores, decoded_rows = _reservoir.decode(np.sort(keys))
    expected = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))
    assert list(zip(decoded_scores.tolist(), decoded_rows.tolist(), strict=True)) == expected


@pytest.mark.parametrize(("side", "value"), [("query", np.nan), ("gallery", np.nan), ("gallery", -np.inf)])
def test_refuses_values_that_are_not_finite(side: str, value: float) -> None:
    arrays = {"query": np.ones((4, 2), np.float32), "gallery": np.ones((2500, 2), np.float32)}
    arrays[side][len(arrays[side]) - 1, 1] = value
    with pytest.raises(InputError, match=f"{side}: 1 rows are not finite, the first is row {len(arrays[side]) - 1}"):
        search(arrays["query"], arrays["gallery"], 1)


def test_refuses_overflow() -> None:
    large = np.full((1, 2), 3e38, np.float32)
    with pytest.raises(InputError, match="finite|overflow"):
        search(large, large, 1)


@pytest.mark.parametrize(("k", "exclude"), [(0, None), (4, None), (3, np.array([2], np.int64))])
def test_refuses_a_k_that_the_gallery_cannot_serve(k: int, exclude: np.ndarray | None) -> None:
    with pytest.raises(InputError, match=rf"k: expected 1 to {2 if exclude is not None else 3} .* got {k}"):
        search(np.ones((1, 2), np.float32), np.ones((3, 2), np.float32), k, exclude=exclude)


def test_says_all_that_is_wrong_and_imports_no_torch() -> None:
    """In a process of its own, because the annotations, which tests check, refuse these arrays first."""
    program = """
import sys, numpy as np
import hetero.evaluation.heatmap, hetero.evaluation.matrix, hetero.gallery.exact
from hetero.metrics.nearest import search
from hetero.errors import InputError
assert "torch" not in sys.modules
for query, gallery, exclude in [
    (np.ones((2, 3)), np.ones(4, np.float32), np.ones(5, np.int64)),
    (np.ones((2, 3), np.float32), np.ones((2, 4), np.float32), None),
]:
    try:
        search(query, gallery, 1, exclude=exclude)
    except InputError as error:
        print(error)
"""
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.splitlines() == [
        "cannot search:",
        "  - query: expected float32 [n, d], got float64 [2, 3]",
        "  - gallery: expected float32 [n, d], got float32 [4]",
        "  - exclude: expected int64 [2], got int64 [5]",
        "cannot search:",
        "  - query has 3 dimensions, the gallery 4: they cannot be of one space",
    ]


def test_memory_stays_bounded() -> None:
    """All scores at once would take 3.2 GB; what is allowed is far less, with the gallery memory-mapped."""
    program = """
import resource, sys, numpy as np
from hetero.metrics.nearest import search
gallery = np.load(sys.argv[1], mmap_mode="r")
query = np.asarray(gallery[:4000])
search(query[:10], gallery[:5000], 10)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = search(query, gallery, 10).rows
assert (rows[:, 0] == np.arange(4000)).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    vectors = np.random.default_rng(0).standard_normal((200_000, 8), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "gallery.npy"
        np.save(path, vectors)
        done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 250


def test_a_memory_map_of_float16_vectors_is_searched_in_float32(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    query, gallery = rng.normal(size=(3, 8)).astype(np.float32), rng.normal(size=(9000, 8)).astype(np.float16)
    np.save(tmp_path / "gallery.npy", gallery)
    hits = search(query, np.load(tmp_path / "gallery.npy", mmap_mode="r"), 5)
    expected = search(query, gallery.astype(np.float32), 5)
    assert hits.rows.tolist() == expected.rows.tolist()
    assert np.array_equal(hits.scores, expected.scores)
