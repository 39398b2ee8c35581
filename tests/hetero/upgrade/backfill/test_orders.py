from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hetero.metrics.backfill import Backfill
from hetero.upgrade.backfill.orders import (
    WITH_LABELS,
    WITHOUT_LABELS,
    by_urgency,
    most_displaced,
    most_misplaced,
)
from tests.hetero.upgrade.backfill.upgraded import upgraded


def on_a_circle(*degrees: float) -> np.ndarray:
    radians = np.deg2rad(np.array(degrees, float))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def small() -> Backfill:
    """Two queries of class 0 at 0 and 10 degrees; the gallery's images move from ``old`` to ``new``."""
    return Backfill(
        query=on_a_circle(0, 10),
        old=on_a_circle(6, 20, 60, 90),
        new=on_a_circle(100, 0, 4, 100),
        query_labels=np.array([0, 0]),
        gallery_labels=np.array([1, 0, 0, 1]),
        exclude=np.array([-1, -1]),
    )


def test_hand_computed() -> None:
    assert most_displaced(small()) == pytest.approx(1 - np.cos(np.deg2rad([94, 20, 56, 10])), abs=1e-6)
    # New class means lie at 2 and at 100 degrees.
    towards, away = np.deg2rad([6 - 2, 100 - 20, 100 - 60, 90 - 2]), np.deg2rad([100 - 6, 20 - 2, 60 - 2, 100 - 90])
    assert most_misplaced(small()) == pytest.approx(np.cos(towards) - np.cos(away), abs=1e-6)


def test_spaces_of_two_dimensions() -> None:
    backfill = upgraded()
    shorter = dataclasses.replace(
        backfill,
        old=backfill.old[:, :8] / np.linalg.norm(backfill.old[:, :8], axis=1, keepdims=True),
        query_as_old=backfill.query[:, :8] / np.linalg.norm(backfill.query[:, :8], axis=1, keepdims=True),
    )
    for urgency in (WITHOUT_LABELS | WITH_LABELS).values():
        assert np.isfinite(urgency(shorter)).all()


def test_one_class_leaves_no_other_to_be_taken_for() -> None:
    alone = dataclasses.replace(small(), gallery_labels=np.zeros(4, np.int64))
    assert np.argmax(most_misplaced(alone)) in (0, 3)


def test_orders_without_labels_look_at_none() -> None:
    backfill = upgraded()
    shuffled = dataclasses.replace(
        backfill, gallery_labels=np.roll(backfill.gallery_labels, 5), query_labels=np.roll(backfill.query_labels, 5)
    )
    for urgency in WITHOUT_LABELS.values():
        assert np.array_equal(urgency(backfill), urgency(shuffled))
    for urgency in WITH_LABELS.values():
        assert not np.array_equal(urgency(backfill), urgency(shuffled))


def test_ties_are_shuffled_and_the_seed_decides() -> None:
    urgency = np.array([0.0] * 50 + [1.0] * 50)
    order = by_urgency(urgency, 0)
    assert sorted(order[:50].tolist()) == list(range(50, 100))
    assert order[:50].tolist() != list(range(50, 100))
    assert order.tolist() == by_urgency(urgency, 0).tolist() != by_urgency(urgency, 1).tolist()
