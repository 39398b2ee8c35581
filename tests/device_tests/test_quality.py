"""Is the student good enough? Figures counted by hand, and answers that intervals decide."""

from __future__ import annotations

import numpy as np
import pytest

from device_tests.checks.quality import Quality, QualityGates, judge
from device_tests.checks.student_figures import StudentFigures
from device_tests.verdict.policy import policy_called
from export.bundle.goldens import Goldens
from hetero.errors import InputError
from hetero.metrics.task import RetrievalTask
from tests.device_tests.tiny_bundle import goldens as tiny_goldens

RELEASE = policy_called("release").student


def held(classes: int, *, student: int, cloud: int | None = None, own: int | None = None) -> Goldens:
    """A query and a gallery image of each class, on axes of their own: so many first queries are right.

    Args:
        classes: How many.
        student: Right answers of the student in the cloud's gallery.
        cloud: The cloud's own; all by default.
        own: The student's in a gallery of its own; as many as in the cloud's by default.
    """
    axes = np.eye(classes, dtype=np.float32)
    rows = np.arange(classes)

    def looking(right: int) -> np.ndarray:
        return axes[np.where(rows < right, rows, (rows + 1) % classes)]

    queries = looking(student)
    # Where a query's own gallery is right and the cloud's wrong, the student's vector of the class is the query's.
    gallery = np.where((rows < (student if own is None else own))[:, None], queries, np.roll(queries, 2, axis=0))
    return Goldens(
        golden_images=np.zeros((1, 1, 1, 3), np.uint8),
        golden_tensors=np.zeros((1, 3, 1, 1), np.float32),
        golden_embeddings=axes[:1],
        retrieval_images=np.zeros((2 * classes, 1, 1, 3), np.uint8),
        retrieval_labels=np.tile(rows, 2),
        retrieval_student=np.concatenate([queries, gallery]),
        retrieval_cloud=np.concatenate([looking(classes if cloud is None else cloud), axes]),
        tasks=(RetrievalTask("q>g", rows, rows + classes),),
    )


def answer(goldens: Goldens, gates: QualityGates = RELEASE) -> Quality:
    return judge("edge", goldens, gates)


def test_every_figure_by_hand() -> None:
    measured = StudentFigures.measure(held(100, student=60, cloud=80))
    assert (measured.student.value, measured.cloud.value) == (0.6, 0.8)
    assert measured.share is not None
    assert measured.share.value == pytest.approx(0.75)
    # sqrt((1 - .75) * .75 / 80) = .048, and twice that on either side.
    assert measured.share.low == pytest.approx(0.75 - 0.095, abs=0.015)
    assert measured.share.high == pytest.approx(0.75 + 0.095, abs=0.015)
    assert (measured.queries, measured.found_by_cloud) == (100, 80)
    assert measured.chance == pytest.approx(0.01)
    assert measured.above_chance.value == pytest.approx(0.59)
    assert (measured.compared.lead.value, measured.compared.loss.value) == (pytest.approx(0.2), pytest.approx(0.2))
    figures = measured.to_dict()
    assert (figures["rule"], figures["loss_to_cloud"]) == ("fails", pytest.approx(0.2))
    assert str(figures["rule_reason"]).startswith("the cloud is better on these images than the student by itself")


def test_a_good_student_passes_and_a_useless_one_fails() -> None:
    assert answer(held(400, student=380)).status == "pass"
    useless = answer(held(400, student=20, cloud=100))
    assert (useless.status, useless.asked) == ("fail", True)
    assert "20.0 % of the cloud's own" in useless.reason and "at least 85.0 % must be shown" in useless.reason


def test_without_a_policy_it_is_measured_and_not_judged() -> None:
    found = answer(held(400, student=20), QualityGates())
    assert (found.status, found.asked, found.figures["cmc@1"]) == ("not judged", False, 0.05)
    assert found.reason == "no policy says what is good enough"


def test_what_queries_cannot_tell_is_not_judged_and_says_how_many_would() -> None:
    """90 of 100: the interval reaches down to .84, .06 below; half of that is to be had by (.06 / .05)^2 queries."""
    found = answer(held(100, student=90))
    assert (found.status, found.asked) == ("not judged", True)
    needs = int(found.reason.split("needs ")[1].split()[0])
    assert needs == pytest.approx(100 * (0.06 / 0.05) ** 2, rel=0.25)
    assert answer(held(2 * needs, student=int(1.8 * needs))).status == "pass"


def test_as_many_right_answers_as_luck_gives_are_not_enough() -> None:
    assert answer(held(29, student=29)).reason.endswith("needs 30 queries")
    assert answer(held(30, student=30)).status == "pass"
    # The queries that the cloud itself answers wrong tell nothing.
    assert answer(held(58, student=29, cloud=29)).reason.endswith("needs 60 queries")
    # .95^71 = .026 is more than a fortieth, .95^72 = .0249 is not.
    gates = QualityGates(share=0.95)
    assert answer(held(71, student=71), gates).reason.endswith("needs 72 queries")
    assert answer(held(72, student=72), gates).status == "pass"
    # One wrong answer of one is luck, too; two are not.
    assert answer(held(1, student=1)).status == "not judged"
    assert answer(held(20, student=0, cloud=1), QualityGates(share=0.85)).reason.endswith("needs 40 queries")
    assert answer(held(20, student=0, cloud=2), QualityGates(share=0.85)).status == "fail"


def test_a_share_falls_short_only_with_its_whole_interval() -> None:
    """80 of 100 [.72, .88] may still be .85; 320 of 400 [.76, .84] may not."""
    assert answer(held(100, student=80)).status == "not judged"
    assert answer(held(400, student=320)).status == "fail"


def test_a_student_that_just_reaches_the_share_is_seldom_judged() -> None:
    rng = np.random.default_rng(0)
    answers = [answer(held(150, student=int(rng.binomial(150, 0.85)))).status for _ in range(50)]
    # At most 1.25 and 2.5 of 50 are expected, and up to five and seven by chance.
    assert answers.count("fail") <= 5
    assert answers.count("pass") <= 7


def test_the_rule_fails_when_it_is_contradicted() -> None:
    """Of 400, the own gallery answers 32 or 4 more: .08 and .01 of cmc@1."""
    assert answer(held(400, student=360, own=392)).status == "fail"
    assert "M(q, g) > M(q, q) does not hold" in answer(held(400, student=360, own=392)).reason
    within = held(1000, student=950, own=960)
    assert answer(within).status == "pass"
    assert answer(within, QualityGates(below_own=0.0)).status == "fail"
    assert answer(held(400, student=380, own=381), QualityGates(below_own=0.0)).status == "pass"


def test_chance_is_not_enough() -> None:
    gates = QualityGates(above_chance=True)
    assert answer(held(100, student=50), gates).status == "pass"
    assert answer(held(100, student=0), gates).status == "fail"
    assert answer(held(100, student=2), gates).reason.endswith("queries")
    assert answer(held(2, student=2), gates).reason.endswith("needs 6 queries"), "one of two is chance, both are luck"


def test_a_cloud_that_finds_nothing_cannot_be_shared() -> None:
    found = answer(held(50, student=0, cloud=0), QualityGates(share=0.5))
    assert (found.status, found.figures["share_of_cloud"]) == ("not judged", None)
    assert "the cloud's own queries find nothing right" in found.reason


def test_goldens_that_cannot_be_measured_are_not_judged() -> None:
    broken = held(10, student=10)
    broken.retrieval_labels[15] = 99
    found = answer(broken)
    assert (found.status, found.asked, dict(found.figures)) == ("not judged", True, {})
    assert "no image of their class" in found.reason


def test_the_tiny_bundles_of_the_other_tests() -> None:
    assert answer(tiny_goldens()).status == "not judged"
    assert answer(tiny_goldens(useless=True)).status == "fail"


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 1.0}, {"share": float("nan")}, {"below_own": -0.1}])
def test_impossible_gates_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected"):
        QualityGates(**wrong)
