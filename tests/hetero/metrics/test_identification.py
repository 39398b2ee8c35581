from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.metrics.operating.identification import fnir_at_fpir, probe_scores
from hetero.metrics.operating.intervals import true_rate_interval


def on_a_circle(degrees: list[float]) -> np.ndarray:
    radians = np.deg2rad(np.array(degrees))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_hand_computed() -> None:
    gallery, enrolled = on_a_circle([0, 60, 120]), np.array([0, 1, 2])
    # Probes of 0, 1 and 2: 0 is found 5 degrees off, 1 is 20 degrees off, 2 stands nearer to 1. Two have no mate,
    # 10 and 25 degrees from what is enrolled.
    probes, labels = on_a_circle([5, 80, 85, 130, 215]), np.array([0, 1, 2, 8, 9])
    scores = probe_scores(probes, gallery, labels, enrolled)
    assert np.isneginf(scores.mated).tolist() == [False, False, True]
    strict, half, open_ = (fnir_at_fpir(scores, fpir) for fpir in (0.0, 0.5, 1.0))
    assert (strict.fpir, strict.fnir) == (0, pytest.approx(2 / 3))  # above cos 10 lies cos 5 only
    assert (half.fpir, half.fnir, half.tnir) == (0.5, pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert (open_.fpir, open_.fnir) == (1, pytest.approx(1 / 3))
    assert (half.mated, half.non_mated) == (3, 2)
    second = fnir_at_fpir(probe_scores(probes, gallery, labels, enrolled, rank=2), 1.0)
    assert second.fnir == 0


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), st.booleans())
def test_equals_the_definition(seed: int, rank: int, fpir: float, leave_out: bool) -> None:
    rng = np.random.default_rng(seed)
    gallery, probes = (rng.integers(-3, 4, (rows, 4)).astype(np.float32) for rows in (12, 20))  # products are exact
    enrolled, labels = rng.integers(0, 6, 12), np.concatenate([[0, 99], rng.integers(0, 9, 18)])
    enrolled[:2] = 0
    exclude = np.concatenate([[0], rng.integers(-1, 12, 19)]) if leave_out else None
    scores = probe_scores(probes, gallery, labels, enrolled, exclude=exclude, rank=rank)
    found = fnir_at_fpir(scores, fpir)
    mated, missed, non_mated, alarms = 0, 0, 0, 0
    for row, label in enumerate(labels):
        allowed = [g for g in range(12) if exclude is None or g != exclude[row]]
        cosine = {g: float(probes[row] @ gallery[g]) for g in allowed}
        first = sorted(allowed, key=lambda g: (-cosine[g], g))[:rank]
        passing = [g for g in first if cosine[g] >= found.threshold]
        if any(enrolled[g] == label for g in allowed):
            mated += 1
            missed += not any(enrolled[g] == label for g in passing)
        else:
            non_mated += 1
            alarms += bool(passing)
    assert (found.mated, found.non_mated) == (mated, non_mated)
    assert found.fnir == pytest.approx(missed / mated)
    assert found.fpir <= fpir
    assert found.fpir == pytest.approx(alarms / non_mated)


def test_labels_go_with_the_scores() -> None:
    rng = np.random.default_rng(0)
    gallery = rng.standard_normal((40, 8)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    labels = np.repeat(np.arange(20), 5)
    enrolled = np.arange(40) // 4
    probes = np.concatenate([gallery[np.arange(50) * 40 // 50], rng.standard_normal((50, 8))]).astype(np.float32)
    scores = probe_scores(probes, gallery, labels, enrolled)
    assert scores.mated_labels is not None and scores.non_mated_labels is not None
    assert scores.mated_labels.tolist() == labels[:50].tolist()
    assert scores.non_mated_labels.tolist() == labels[50:].tolist()
    interval = true_rate_interval(scores, 0.1, resamples=200)
    assert interval.low <= interval.value == pytest.approx(fnir_at_fpir(scores, 0.1).tnir)


def test_refuses_probes_of_one_kind_only() -> None:
    vectors, labels = on_a_circle([0, 90]), np.array([0, 1])
    with pytest.raises(InputError, match="got 2 and 0"):
        probe_scores(vectors, vectors, labels, labels)
