from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.metrics.operating import verification
from hetero.metrics.operating.operating_point import ComparisonScores
from hetero.metrics.operating.verification import tar_at_far, tar_interval, verify_all_pairs


def unit(rng: np.random.Generator, rows: int, dimension: int = 6) -> np.ndarray:
    vectors = rng.standard_normal((rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(6, 30),
    far=st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.3, 1.0]),
    leave_out=st.booleans(),
    at_once=st.integers(60, 300),
)
def test_counts_equal_the_pairs(seed: int, size: int, far: float, leave_out: bool, at_once: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, labels = unit(rng, size), np.concatenate([[0, 0, 1, 1], rng.integers(0, 4, size - 4)])
    exclude = np.where(rng.random(size) < 0.8, np.arange(size), -1) if leave_out else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "SCORES_AT_ONCE", at_once)
        (found,) = verify_all_pairs(vectors, vectors, labels, labels, [far], exclude=exclude)
    pairs = [(i, j) for i in range(size) for j in range(size) if exclude is None or exclude[i] != j]
    cosines = np.array([vectors[i] @ vectors[j] for i, j in pairs]).clip(-1, 1)
    same = np.array([labels[i] == labels[j] for i, j in pairs])
    assert (found.genuine, found.impostor) == (same.sum(), (~same).sum())
    # A product rounds differently in another block, by some 1e-7: pairs that close to the threshold may go either way.
    near = np.abs(cosines - found.threshold) < 1e-6
    for rate, kind in ((found.far, ~same), (found.tar, same)):
        reached = (cosines[kind] >= found.threshold).mean()
        assert rate == pytest.approx(reached, abs=near[kind].mean() + 1e-12)
    exact = tar_at_far(ComparisonScores(cosines[same], cosines[~same]), far)
    assert found.far <= far
    assert found.threshold == pytest.approx(min(max(exact.threshold, -1), 1), abs=2e-6) or far == 1


def test_scores_on_the_grid_give_the_exact_threshold() -> None:
    query = np.array([[1, 0]], np.float32)
    cosines = np.array([0.75, 0.5, 0.25, 0.0, -0.5], np.float32)
    gallery = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)
    found = verify_all_pairs(query, gallery, np.array([0]), np.array([0, 1, 0, 1, 1]), [0.0, 1 / 3, 1.0])
    assert [(each.tar, each.far) for each in found] == [(0.5, 0), (1, 1 / 3), (1, 1)]
    assert [each.threshold for each in found] == [0.5 + 2**-20, 2**-20, -1]


def test_the_interval_resamples_queries_with_their_pairs() -> None:
    """Each class's genuine pairs are all accepted or all rejected, so that classes are all that varies."""
    cosine = np.repeat([0.9, 0.1], [12, 8])  # of the 20 classes
    query = np.tile(np.array([1, 0], np.float32), (100, 1))
    gallery = np.stack([cosine, np.sqrt(1 - cosine**2)], axis=1).astype(np.float32)
    labels = np.repeat(np.arange(20), 5)
    (found,) = verify_all_pairs(query, gallery, labels, np.arange(20), [1.0])
    assert found.tar == 1
    by_class, by_query = (
        tar_interval(query, gallery, labels, np.arange(20), 0.5, over=over) for over in ("classes", "queries")
    )
    assert by_class.value == by_query.value == pytest.approx(0.6)
    assert by_class.high - by_class.low == pytest.approx(2 * 1.96 * np.sqrt(0.6 * 0.4 / 20), rel=0.15)
    assert by_query.high - by_query.low == pytest.approx(2 * 1.96 * np.sqrt(0.6 * 0.4 / 100), rel=0.15)


def test_the_interval_leaves_out_what_the_figure_leaves_out() -> None:
    rng = np.random.default_rng(0)
    vectors, labels = unit(rng, 60), np.arange(60) % 6
    (found,) = verify_all_pairs(vectors, vectors, labels, labels, [0.1], exclude=np.arange(60))
    interval = tar_interval(vectors, vectors, labels, labels, found.threshold, exclude=np.arange(60), resamples=50)
    assert interval.value == pytest.approx(found.tar)
    with pytest.raises(InputError, match="not defined"):
        tar_interval(vectors, vectors, labels, labels + 6, 0.5)


def test_random_vectors_are_at_chance() -> None:
    rng = np.random.default_rng(0)
    (found,) = verify_all_pairs(unit(rng, 300), unit(rng, 400), np.arange(300) % 5, np.arange(400) % 5, [0.1])
    assert found.far == pytest.approx(0.1, abs=1e-3)
    assert found.tar == pytest.approx(0.1, abs=0.02)


def test_refuses_what_cannot_be_verified() -> None:
    rng = np.random.default_rng(0)
    vectors, labels = unit(rng, 4), np.array([0, 0, 1, 1])
    with pytest.raises(InputError, match="of length one"):
        verify_all_pairs(vectors * 2, vectors, labels, labels, [0.1])
    with pytest.raises(InputError, match="at least one of each, got 16 and 0"):
        verify_all_pairs(vectors, vectors, labels * 0, labels * 0, [0.1])
    with pytest.raises(InputError, match="exclude: expected one gallery row a query"):
        verify_all_pairs(vectors, vectors, labels, labels, [0.1], exclude=np.array([0, 1, 2, 4]))
