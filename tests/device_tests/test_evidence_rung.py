"""The rung of evidence, computed by hand on vectors of the plane."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from device_tests.checks.evidence import Reference, chance, chance_gate, check, measure
from device_tests.checks.gates import EvidenceGates, Gates
from device_tests.evidence.evidence import OwnEvidence
from device_tests.targets.target import Returned
from device_tests.verdict.headline import evidence_headlines
from hetero.data.sources.listing import Listing
from hetero.metrics.retrieval import TaskResult
from hetero.space import EmbeddingSpace

SPACE = EmbeddingSpace.define(defined_by="0" * 64, name="plane", version="1", dimension=2)


def at(*degrees: float) -> NDArray[np.float32]:
    """Unit vectors of the plane."""
    turned = np.radians(degrees)
    return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)


def evidence(
    gallery: NDArray[np.float32],
    gallery_labels: list[int] | None,
    labels: list[int] | None,
    own: list[int],
    cloud: NDArray[np.float32] | None = None,
) -> OwnEvidence:
    made = None if labels is None else np.array(labels)
    held = None if gallery_labels is None else np.array(gallery_labels)
    return OwnEvidence(Listing("photos", "", ()), gallery, SPACE, made, held, np.array(own), cloud, {})


GALLERY = at(0, 20, 90, 110, 200)
HELD = evidence(GALLERY, [0, 0, 1, 1, -1], [0, 0, 1], [-1, -1, -1])
ROWS = np.arange(3)


def test_cmc_and_map_by_hand() -> None:
    """Photos at 5, 80 and 150 degrees, of the classes 0, 0 and 1.

    The first finds 0 and 20 degrees, both right: 1 and 1. The second finds 90 and 110: 0 and 0. The third finds 110
    (40 away, right) before 200 (50 away, of no class) and 90 (60 away): cmc@1 is 1, and of the first two hits one is
    right, at rank 1: map@r = 1/2.
    """
    found = measure(HELD, at(5, 80, 150), ROWS)
    assert found.per_query("cmc@1")[0].tolist() == [1, 0, 1]
    assert found.per_query("map@r")[0].tolist() == [1, 0, 0.5]
    assert chance(HELD, ROWS).tolist() == [0.4, 0.4, 0.4]


def test_a_photo_does_not_find_itself() -> None:
    """The photo at 0 degrees is the gallery's first row: what is left is one of its class in four."""
    held = evidence(GALLERY, [0, 0, 1, 1, -1], [0], [0])
    assert measure(held, at(0), np.arange(1)).per_query("map@r")[0].tolist() == [1]
    assert chance(held, np.arange(1)).tolist() == [0.25]


def test_without_labels_the_clouds_nearest_are_right() -> None:
    """The cloud has the photo at 5 degrees, nearest first 0, 20, 90, 110, 200; the model at 12, and so finds 20 first.

    Both find the same five in another order: all of the gallery is relevant, so map@r is 1, and the first is wrong.
    """
    held = evidence(GALLERY, None, None, [-1], at(5))
    found = measure(held, at(12), np.arange(1))
    assert found.per_query("cmc@1")[0].tolist() == [0]
    assert found.per_query("map@r")[0].tolist() == [1]
    assert chance(held, np.arange(1)).tolist() == [0.2]


def of(hits: list[float]) -> TaskResult:
    return TaskResult(("your photos",), ({"cmc@1": np.array(hits)},), (np.arange(len(hits)) % 2,))


@pytest.mark.parametrize(
    ("right", "count", "level", "answer"),
    [
        (29, 29, 0.1, "open"),  # fewer than thirty say nothing
        (30, 30, 0.1, "within"),
        (3, 60, 0.05, "beyond"),  # as many as chance finds
        (0, 60, 0.001, "beyond"),
        (3, 40, 0.02, "open"),  # an interval from below chance to a seventh above
        (8, 40, 0.02, "within"),
    ],
)
def test_chance_is_judged_by_the_interval(right: int, count: int, level: float, answer: str) -> None:
    gate = chance_gate(of([1.0] * right + [0.0] * (count - right)), np.full(count, level))
    assert gate.judgement.answer == answer
    assert gate.judgement.needs > count or answer != "open"


def answered(vectors: NDArray[np.float32]) -> Returned:
    return Returned(embeddings=vectors)


MANY = evidence(at(0, 120, 240), [0, 1, 2], [0, 1, 2] * 40, [-1] * 120)
RIGHT = at(*[0, 120, 240] * 40)


def test_a_model_that_loses_what_the_reference_finds_fails() -> None:
    rows = np.arange(120)
    turned = RIGHT.copy()
    turned[:30] = -turned[:30]  # opposite to its own class, nearer to both others
    reference = Reference(RIGHT, rows, "onnx fp32 on desktop")
    finding = check(MANY, answered(turned), rows, reference, Gates(largest_loss=0.05), EvidenceGates(), None)
    assert finding.status == "fail"
    assert "30 of 120 queries lose their right answer" in finding.reason and "onnx fp32 on desktop" in finding.reason
    assert finding.figures["cmc@1"] == 0.75 and finding.figures["cmc@1_loss"] == 0.25
    sound = check(MANY, answered(RIGHT), rows, reference, Gates(), EvidenceGates(floor=0.9), None)
    assert sound.status == "pass" and sound.figures["reference_vectors"] is True


def test_targets_that_embed_fewer_photos_are_held_against_the_same_ones() -> None:
    some = np.arange(0, 120, 2)
    wrong = RIGHT.copy()
    wrong[1::2] = -wrong[1::2]  # the reference is wrong where the other was not asked
    finding = check(
        MANY, answered(RIGHT[some]), some, Reference(wrong, np.arange(120), "x"), Gates(), EvidenceGates(), None
    )
    assert finding.status == "pass" and finding.figures["cmc@1_loss"] == 0 and finding.figures["photos"] == 60


def test_a_floor_and_a_share_are_judged_where_they_are_asked() -> None:
    rows, half = np.arange(120), RIGHT.copy()
    half[::2] = -half[::2]
    held = evidence(at(0, 120, 240), [0, 1, 2], [0, 1, 2] * 40, [-1] * 120, RIGHT)
    free = check(held, answered(half), rows, None, Gates(), EvidenceGates(), None)
    assert free.status == "pass" and free.figures["share_of_cloud"] == 0.5 and free.figures["cmc@1_cloud"] == 1
    floor = check(held, answered(half), rows, None, Gates(), EvidenceGates(floor=0.9), None)
    assert floor.status == "fail" and "the floor is 0.9" in floor.reason
    share = check(held, answered(half), rows, None, Gates(), EvidenceGates(), 0.85)
    assert share.status == "fail" and "of your photos, cmc@1 in the cloud's gallery is 50.0 %" in share.reason


@pytest.mark.parametrize(
    ("returned", "status", "reason"),
    [
        (Returned(error="exit status 1"), "fail", "exit status 1"),
        (Returned(error="not verified: odd", not_verified=True), "not verified", "not verified: odd"),
        (answered(np.full((120, 2), np.nan, np.float32)), "fail", "not finite vectors"),
        (answered(np.zeros((120, 2), np.float32)), "fail", "not finite vectors"),
        (answered(RIGHT[:119]), "fail", "not finite vectors"),
    ],
)
def test_answers_that_are_none(returned: Returned, status: str, reason: str) -> None:
    finding = check(MANY, returned, np.arange(120), None, Gates(), EvidenceGates(), None)
    assert finding.status == status and reason in finding.reason


def row(status: str, excused: str = "") -> dict[str, object]:
    return {"bundle": "b", "rung": "evidence", "status": status, "figures": {}, "excused": excused}


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        ([row("pass"), row("n/a")], "pass"),
        ([row("pass"), row("fail")], "fail"),
        ([row("pass"), row("not verified")], "not verified"),
        ([row("fail", "until then")], "pass"),
        ([row("n/a")], "not verified"),
    ],
)
def test_the_headline(rows: list[dict[str, object]], answer: str) -> None:
    (headline,) = evidence_headlines(rows)
    assert headline.answer == answer
    assert not evidence_headlines([{**row("pass"), "rung": "loads"}])
