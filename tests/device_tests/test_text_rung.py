"""The rung of texts on arrays: photos with a text each, near the cloud's vector of the photo."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from device_tests.checks import text
from device_tests.checks.finding import Finding
from device_tests.checks.gates import Gates
from device_tests.checks.quality import Quality, QualityGates, judge
from device_tests.checks.subject import Subject
from device_tests.faults import variants
from device_tests.targets.target import Returned
from device_tests.verdict.policy import policy_called
from export.bundle.golden_texts import texts_entry
from export.bundle.goldens import Goldens
from hetero.errors import InputError
from hetero.metrics.task import RetrievalTask
from hetero.preprocessing import Preprocessing
from hetero.text.described import DescribedImages

COUNT = 120
ROWS = np.arange(2 * COUNT)
CONTRACT = Preprocessing(1, 1, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def near(vectors: np.ndarray, noise: float, seed: int) -> np.ndarray:
    moved = vectors + noise * np.random.default_rng(seed).normal(size=vectors.shape)
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def goldens(*, student: float = 0.05, texts: float = 0.05) -> Goldens:
    """The first half of the photos are the queries, which devices embed; student and texts are that far away."""
    photos = near(np.zeros((COUNT, 16)), 1.0, 0)
    cloud = np.concatenate([photos, near(photos, 0.15, 4)])
    labels = np.tile(np.arange(COUNT), 2)
    return Goldens(
        golden_images=np.zeros((1, 1, 1, 3), np.uint8),
        golden_tensors=np.zeros((1, 3, 1, 1), np.float32),
        golden_embeddings=cloud[:1],
        retrieval_images=np.zeros((2 * COUNT, 1, 1, 3), np.uint8),
        retrieval_labels=labels,
        retrieval_student=near(cloud, student, 1),
        retrieval_cloud=cloud,
        tasks=(RetrievalTask("q>g", ROWS[:COUNT], ROWS[COUNT:]),),
        texts=DescribedImages(near(cloud, texts, 2), ROWS, ROWS),
    )


def found(
    held: Goldens, device: np.ndarray | None = None, exported: DescribedImages | None = None, gates: Gates | None = None
) -> Finding:
    queries = held.retrieval_student[held.query_rows] if device is None else device
    returned = Returned(np.concatenate([held.golden_embeddings, queries]), "", "runtime", 0.1, np.array([0.001]))
    told = texts_entry(held.texts if exported is None else exported, held.retrieval_cloud)
    return text.check(Subject("fp32", 1, 1, 1, True, held, returned, CONTRACT, texts=told), gates or Gates())


def test_a_faithful_target_passes_with_the_figures_of_its_photos() -> None:
    held = goldens()
    finding = found(held)
    assert finding.status == "pass"
    # Of the 240 texts those of the 120 queries count, and all find their photo: the noise is far below the distances.
    assert (finding.figures["texts"], finding.figures["photos"], finding.figures["cmc@1"]) == (120, 120, 1.0)
    assert finding.figures["chance"] == pytest.approx(1 / 120)
    assert finding.figures["image_to_text_cmc@1"] == 1.0
    drifted = found(held, near(held.retrieval_student[held.query_rows], 0.02, 5))
    assert (drifted.status, drifted.figures["negative_flips"]) == ("pass", 0)


@pytest.mark.parametrize("changed", [variants.swapped_texts, variants.another_tower])
def test_texts_that_are_not_of_the_tower_fail(changed) -> None:
    held = goldens()
    finding = found(dataclasses.replace(held, **changed(held)))
    assert finding.status == "fail"
    assert finding.reason.startswith(
        "the golden texts do not fit the cloud's vectors (another text tower, or exchanged): cmc@1 of texts"
    )


def test_texts_that_were_exchanged_since_the_export_fail_even_where_they_find_much() -> None:
    held = goldens()
    assert held.texts is not None
    vectors = held.texts.vectors.copy()
    vectors[:6] = vectors[1:7]
    exchanged = dataclasses.replace(held.texts, vectors=vectors)
    finding = found(dataclasses.replace(held, texts=exchanged), exported=held.texts)
    assert finding.status == "fail" and finding.figures["cmc@1_cloud"] == pytest.approx(1 - 6 / COUNT)
    assert "234 of 240 find their photo first among the cloud's vectors, and at export 240 did" in finding.reason


def test_a_student_of_another_space_fails() -> None:
    held = goldens()
    other = near(np.zeros((2 * COUNT, 16)), 1.0, 9)
    finding = found(dataclasses.replace(held, retrieval_student=other))
    assert finding.status == "fail" and finding.reason.startswith("cmc@1 of texts among the device's photos is 0.0")
    assert finding.figures["cmc@1_cloud"] == 1.0


def test_a_file_that_loses_texts_fails() -> None:
    held = goldens()
    device = held.retrieval_student[held.query_rows].copy()
    device[:12] = np.roll(device[:12], 1, axis=0)
    finding = found(held, device)
    assert finding.status == "fail" and "of 120 queries lose their right answer" in finding.reason
    assert finding.figures["negative_flips"] == 12


def test_texts_have_a_limit_of_their_own() -> None:
    held = goldens()
    device = held.retrieval_student[held.query_rows].copy()
    device[:2] = device[1::-1]
    assert found(held, device).status == "not verified"
    assert found(held, device, gates=Gates(text_loss=0.03)).status == "pass"
    assert policy_called("release").gates.text_loss == 0.03
    with pytest.raises(InputError, match="text_loss: expected 0 to 1, got 2"):
        Gates(text_loss=2.0)


def test_too_few_texts_decide_nothing() -> None:
    held = goldens()
    assert held.texts is not None
    few = DescribedImages(held.texts.vectors[:20], ROWS[:20], np.where(ROWS < 20, ROWS, -1))
    finding = found(dataclasses.replace(held, texts=few))
    assert finding.status == "not verified" and finding.reason.startswith("needs 30 queries")
    elsewhere = DescribedImages(held.texts.vectors[COUNT:], ROWS[COUNT:], np.where(ROWS < COUNT, -1, ROWS))
    assert (
        found(dataclasses.replace(held, texts=elsewhere)).reason
        == "none of the photos that this target embeds has a text"
    )


def judged(held: Goldens, **limits: float) -> Quality:
    return judge("edge", held, QualityGates(**limits))


def test_a_policy_limits_what_the_students_gallery_loses() -> None:
    good, poor = goldens(), goldens(student=0.3)
    assert judged(good, gallery_share=0.9, text_share=0.9).status == "pass"
    figures = judged(poor, text_share=0.9).figures
    assert figures["texts_queries"] == 240 and 0.2 < figures["texts_share_of_cloud"] < 0.8
    answer = judged(poor, text_share=0.9)
    assert answer.status == "fail" and answer.reason.startswith("cmc@1 of text queries in the student's gallery is ")
    silent = dataclasses.replace(good, texts=None)
    assert judged(silent, text_share=0.9).reason == "text_share: the bundle has no golden texts"
    assert "as_gallery_cmc@1" in judged(silent).figures and "texts_cmc@1" not in judged(silent).figures
