from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.gallery.truncate import truncated
from hetero.metrics.backfill import Backfill, BackfillCurve, backfill_curves
from hetero.metrics.retrieval import evaluate


def unit(rng: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    vectors = rng.standard_normal((rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_backfill(seed: int, old_dimension: int = 4, new_dimension: int = 4) -> Backfill:
    rng = np.random.default_rng(seed)
    query, labels = unit(rng, 8, new_dimension), rng.integers(0, 3, 8)
    return Backfill(
        query=query,
        new=unit(rng, 12, new_dimension),
        old=unit(rng, 12, old_dimension),
        query_labels=labels,
        gallery_labels=np.arange(12) % 3,
        exclude=np.where(rng.random(8) < 0.3, rng.integers(0, 12, 8), -1),
        query_as_old=None if old_dimension == new_dimension else truncated(query, old_dimension),
    )


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([(4, 4), (3, 5), (5, 3)]))
def test_a_mixed_gallery_scores_each_image_in_its_own_space(seed: int, dimensions: tuple[int, int]) -> None:
    backfill = random_backfill(seed, *dimensions)
    renewed = np.random.default_rng(seed).random(12) < 0.5
    query, gallery = backfill.sides(renewed)
    as_old = truncated(backfill.query, dimensions[0])
    for q in range(8):
        for g in range(12):
            expected = backfill.query[q] @ backfill.new[g] if renewed[g] else as_old[q] @ backfill.old[g]
            assert query[q] @ gallery[g] == pytest.approx(expected, abs=1e-6)


def test_hand_computed() -> None:
    """One query at 0 degrees; its mate moves from 60 to 0 degrees, a stranger from 30 to 90."""
    at = {degrees: [np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))] for degrees in (0, 30, 60, 90)}
    backfill = Backfill(
        query=np.array([at[0]], np.float32),
        new=np.array([at[0], at[90]], np.float32),
        old=np.array([at[60], at[30]], np.float32),
        query_labels=np.array([7]),
        gallery_labels=np.array([7, 3]),
        exclude=np.array([-1]),
    )
    for renewed, found in (((0, 0), 0), ((1, 0), 1), ((0, 1), 1), ((1, 1), 1)):
        assert backfill.evaluate(np.array(renewed, bool))["cmc@1"].tolist() == [found]
    curves = backfill_curves(backfill, {"mate": np.array([0, 1]), "stranger": np.array([1, 0])}, (0.0, 0.25, 0.5, 1.0))
    # Half an image is none by rounding to even, so that a quarter re-embeds nothing.
    assert {name: curve.means("cmc@1") for name, curve in curves.items()} == {
        "mate": [0, 0, 1, 1],
        "stranger": [0, 0, 1, 1],
    }
    assert curves["mate"].areas("cmc@1").tolist() == [0.25 * 0.5 + 0.5]


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_ends_are_the_plain_figures_whatever_the_order(seed: int) -> None:
    backfill, rng = random_backfill(seed), np.random.default_rng(seed)
    orders = {"a": rng.permutation(12), "b": rng.permutation(12)}
    curves = backfill_curves(backfill, orders, (0.0, 0.5, 1.0))
    for gallery, end in ((backfill.old, 0), (backfill.new, -1)):
        plain = evaluate(
            backfill.query, gallery, backfill.query_labels, backfill.gallery_labels, exclude=backfill.exclude
        )
        for curve in curves.values():
            assert curve.values[end]["map@r"].tolist() == plain["map@r"].tolist()
    half = np.isin(np.arange(12), orders["a"][:6])
    assert curves["a"].values[1]["map@r"].tolist() == backfill.evaluate(half)["map@r"].tolist()


def test_the_mean_of_areas_is_the_area_of_means() -> None:
    rng = np.random.default_rng(0)
    curve = BackfillCurve((0.0, 0.3, 1.0), tuple({"map@r": rng.random(50)} for _ in range(3)))
    start, middle, end = curve.means("map@r")
    assert curve.areas("map@r").mean() == pytest.approx(0.3 * (start + middle) / 2 + 0.7 * (middle + end) / 2)


def test_queries_can_be_taken_apart() -> None:
    backfill = random_backfill(3, 3, 5)
    rows, renewed = np.array([5, 2]), np.arange(12) < 4
    some, every = backfill.with_queries(rows).evaluate(renewed), backfill.evaluate(renewed)
    assert some["map@r"].tolist() == every["map@r"][rows].tolist()


def test_refuses_what_is_no_order_and_no_curve() -> None:
    backfill = random_backfill(0)
    with pytest.raises(InputError) as error:
        backfill_curves(backfill, {"twice": np.zeros(12, np.int64)}, (0.0, 0.5))
    assert len(error.value.problems) == 2
    assert "order twice: expected each of the 12 gallery rows once" in str(error.value)
