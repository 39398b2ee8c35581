"""Pairs and probes of several tasks together, against loops over every pair."""

from __future__ import annotations

import numpy as np
import pytest

from hetero.errors import InputError
from hetero.metrics.operating.identification import pooled_scores
from hetero.metrics.operating.sides import Sides, open_set
from hetero.metrics.operating.verification import tar_interval_pooled, verify_pooled
from hetero.metrics.task import RetrievalTask

DRAWN = np.random.default_rng(5)
LABELS = np.tile(np.arange(4), 5)
VECTORS = DRAWN.normal(size=(4, 6))[LABELS] + DRAWN.normal(size=(20, 6))
UNIT = (VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)).astype(np.float32)
# A query of the first task may stand in the gallery; those of the second do not.
TASKS = (
    RetrievalTask("one", np.arange(8), np.arange(4, 20)[::-1].copy(), exclude_self=True),
    RetrievalTask("two", np.arange(12, 20), np.arange(8)),
)
SIDES = [Sides.of(UNIT, UNIT, LABELS, task) for task in TASKS]
PAIRS = [
    (row, other)
    for task in TASKS
    for row in task.query.tolist()
    for other in task.gallery.tolist()
    if not (task.exclude_self and row == other)
]


def test_one_threshold_for_the_pairs_of_all_tasks() -> None:
    genuine = np.array([UNIT[a] @ UNIT[b] for a, b in PAIRS if LABELS[a] == LABELS[b]])
    impostor = np.array([UNIT[a] @ UNIT[b] for a, b in PAIRS if LABELS[a] != LABELS[b]])
    strict, loose = verify_pooled(SIDES, [0.0, 0.2])
    assert strict.threshold > impostor.max() >= strict.threshold - 2**-20
    assert (loose.genuine, loose.impostor) == (len(genuine), len(impostor))
    assert loose.far == (impostor >= loose.threshold).mean() <= 0.2
    assert loose.tar == (genuine >= loose.threshold).mean()
    interval = tar_interval_pooled(SIDES, loose.threshold, resamples=200)
    assert interval.value == pytest.approx(loose.tar) and interval.low < interval.value < interval.high


def test_each_half_of_the_classes_is_enrolled_in_turn() -> None:
    asked = open_set(SIDES, seed=1)
    halves = [set(sides.gallery_labels.tolist()) for sides in asked]
    assert halves[0] == halves[1] and halves[2] == halves[3] and halves[0] | halves[2] == set(range(4))
    assert len(halves[0]) == len(halves[2]) == 2
    for sides in asked[::2]:  # of the first task
        assert sides.exclude is not None
        for row, own in enumerate(sides.exclude.tolist()):
            enrolled = row >= 4 and LABELS[row] in set(sides.gallery_labels.tolist())
            assert (own >= 0) == enrolled
            assert own < 0 or np.array_equal(sides.gallery[own], UNIT[row])


def test_every_query_is_mated_once_and_non_mated_once() -> None:
    scores = pooled_scores(open_set(SIDES, seed=1))
    mated, non_mated = list[float](), list[float]()
    for half in (set(one.gallery_labels.tolist()) for one in open_set(SIDES, seed=1)[::2]):
        for task in TASKS:
            for row in task.query.tolist():
                there = [b for a, b in PAIRS if a == row and b in task.gallery and LABELS[b] in half]
                best = max(there, key=lambda b, row=row: UNIT[row] @ UNIT[b])
                if LABELS[row] not in half:
                    non_mated.append(float(UNIT[row] @ UNIT[best]))
                else:
                    mated.append(float(UNIT[row] @ UNIT[best]) if LABELS[best] == LABELS[row] else -np.inf)
    assert np.sort(scores.mated) == pytest.approx(np.sort(mated), abs=1e-6)
    assert np.sort(scores.non_mated) == pytest.approx(np.sort(non_mated), abs=1e-6)
    assert len(mated) == len(non_mated) == 16


def test_one_class_leaves_nobody_out() -> None:
    alone = Sides.of(UNIT, UNIT, np.zeros(20, np.int64), TASKS[0])
    with pytest.raises(InputError, match="all of one class"):
        open_set([alone])
