"""Rungs on arrays made by hand, each way of failing included."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest

from device_tests.answers.golden_files import GoldenFile
from device_tests.checks import cost, loads, parity, preprocessing, retrieval
from device_tests.checks.gates import Gates
from device_tests.checks.subject import Subject
from device_tests.targets.target import Returned
from export.bundle.goldens import Goldens
from export.kinds.interface import TensorEntry
from hetero.errors import InputError
from hetero.metrics.task import RetrievalTask
from hetero.preprocessing import Preprocessing

GATES = Gates()
CONTRACT = Preprocessing(1, 1, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def goldens() -> Goldens:
    """Gallery at 0, 90, 180 and 270 degrees; queries near them, the last nearest to a wrong one."""
    student = np.concatenate([circle(5, 95, 185, 20), circle(0, 90, 180, 270)])
    cloud = np.concatenate([circle(0, 90, 180, 270), circle(0, 90, 180, 270)])
    return Goldens(
        golden_images=np.zeros((3, 1, 1, 3), np.uint8),
        golden_tensors=np.zeros((3, 3, 1, 1), np.float32),
        golden_embeddings=circle(5, 100, 200),
        retrieval_images=np.zeros((8, 1, 1, 3), np.uint8),
        retrieval_labels=np.array([0, 1, 2, 3, 0, 1, 2, 3]),
        retrieval_student=student,
        retrieval_cloud=cloud,
        tasks=(RetrievalTask("a>b", np.arange(4), np.arange(4, 8)),),
    )


def subject(
    embeddings: np.ndarray | None = None, *, precision: str = "fp32", error: str = "", emulated: bool = False
) -> Subject:
    held = goldens()
    if embeddings is None and not error:
        embeddings = np.concatenate([held.golden_embeddings, held.retrieval_student[:4]])
    returned = Returned(
        embeddings,
        error,
        "runtime 1",
        0.25,
        np.array([0.001, 0.001, 0.002, 0.002, 0.002, 0.003, 0.004]),
        peak_memory_bytes=1000,
        emulated=emulated,
    )
    return Subject(precision, 4000, 100, 50, True, held, returned, CONTRACT)


def replaced(golden: np.ndarray | None = None, query: np.ndarray | None = None) -> np.ndarray:
    held = goldens()
    return np.concatenate(
        [held.golden_embeddings if golden is None else golden, held.retrieval_student[:4] if query is None else query]
    )


def test_a_faithful_target_passes_every_rung() -> None:
    same = subject()
    findings = [loads.check(same), parity.check(same, GATES), retrieval.check(same, GATES), cost.check(same, GATES)]
    assert [finding.status for finding in findings] == ["pass"] * 4
    assert findings[1].figures["largest_one_minus_cosine"] == 0
    assert findings[2].figures["cmc@1_identical"] is True


def test_loads_tells_the_runtimes_message() -> None:
    finding = loads.check(subject(error="operator Foo is not implemented"))
    assert (finding.status, finding.reason) == ("fail", "operator Foo is not implemented")


@pytest.mark.parametrize("shape", [(6, 2), (7, 3), (7,)])
def test_loads_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    assert loads.check(subject(np.ones(shape, np.float32))).status == "fail"


def test_parity_measures_the_angle() -> None:
    finding = parity.check(subject(replaced(circle(5, 101, 200))), GATES)
    assert finding.status == "fail"
    assert finding.figures["largest_angle_degrees"] == pytest.approx(1, rel=1e-4)
    assert finding.figures["largest_one_minus_cosine"] == pytest.approx(1 - math.cos(math.radians(1)), rel=1e-4)
    assert "1 of 3 golden images" in finding.reason


def test_parity_resolves_what_a_float32_dot_product_cannot() -> None:
    a, b = circle(0.0), circle(0.0)
    b[0, 1] = 1e-5
    assert parity.cosine_distance(a, b)[0] == pytest.approx(0.5e-10, rel=1e-3)


def test_parity_gate_holds_on_its_limit() -> None:
    """Drifts of 0.08 and 0.09 degrees lie on both sides of 1 - cos = 1e-6 (0.081 degrees)."""
    assert parity.check(subject(replaced(circle(5.08, 100, 200))), GATES).status == "pass"
    assert parity.check(subject(replaced(circle(5.09, 100, 200))), GATES).status == "fail"
    reduced = subject(replaced(circle(5.09, 100, 200)), precision="int8")
    assert parity.check(reduced, GATES).status == "pass"


def test_parity_holds_the_drift_against_the_margin() -> None:
    """At 100 degrees the nearest gallery vector is 10 degrees away, the next 80: half the margin is 35 degrees."""
    safe = parity.check(subject(replaced(circle(5, 134, 200)), precision="int8"), GATES)
    risky = parity.check(subject(replaced(circle(5, 136, 200)), precision="int8"), GATES)
    assert (safe.figures["neighbours_at_risk"], risky.figures["neighbours_at_risk"]) == (0, 1)
    assert safe.figures["largest_share_of_margin"] == pytest.approx(34 / 35, rel=1e-3)
    # The margins are 80, 70 and 50 degrees.
    assert safe.figures["median_margin_degrees"] == pytest.approx(70, rel=1e-4)


def test_goldens_that_coincide_prove_nothing() -> None:
    """Drifts of 0.08 degrees are allowed: images within 0.16 degrees of each other could be taken for each other."""
    for apart, status in ((0.10, "not verified"), (0.15, "not verified"), (0.18, "pass")):
        base = subject()
        near = circle(100, 100 + apart, 100 - apart)
        held = dataclasses.replace(base.goldens, golden_embeddings=near)
        returned = dataclasses.replace(base.returned, embeddings=np.concatenate([near, held.retrieval_student[:4]]))
        finding = parity.check(dataclasses.replace(base, goldens=held, returned=returned), GATES)
        assert finding.status == status
        assert finding.figures["golden_room"] == pytest.approx(1 - math.cos(math.radians(apart)), rel=1e-3)
        assert (status == "pass") == ("cannot tell models apart" not in finding.reason)


def drifting(*degrees: float, precision: str = "int8") -> Subject:
    """50 gallery images, a degree apart; queries on the first ones, which the device turns by so many degrees."""
    count, gallery = len(degrees), circle(*range(50))
    held = dataclasses.replace(
        goldens(),
        retrieval_images=np.zeros((count + 50, 1, 1, 3), np.uint8),
        retrieval_labels=np.concatenate([np.arange(count) % 50, np.arange(50)]),
        retrieval_student=np.concatenate([circle(*(place % 40 for place in range(count))), gallery]),
        retrieval_cloud=np.concatenate([circle(*(place % 40 for place in range(count))), gallery]),
        tasks=(RetrievalTask("a>b", np.arange(count), np.arange(count, count + 50)),),
    )
    queries = circle(*(place % 40 + turned for place, turned in enumerate(degrees)))
    returned = dataclasses.replace(subject().returned, embeddings=np.concatenate([held.golden_embeddings, queries]))
    return dataclasses.replace(subject(precision=precision), goldens=held, returned=returned)


@pytest.mark.parametrize(
    ("lost", "of", "precision", "status"),
    [
        (2, 100, "int8", "pass"),
        (20, 100, "int8", "fail"),
        (7, 100, "int8", "not verified"),
        (1, 10, "int8", "not verified"),
        (7, 100, "fp32", "pass"),
    ],
)
def test_reduced_precisions_are_judged_by_the_neighbours_that_they_lose(
    lost: int, of: int, precision: str, status: str
) -> None:
    """Turned by 8 degrees, a query finds an image nearest that is not among the five that torch finds nearest."""
    finding = parity.check(drifting(*[8.0] * lost, *[0.0] * (of - lost), precision=precision), GATES)
    assert finding.status == status
    assert (finding.figures["neighbours_lost"], finding.figures["neighbours"]) == (lost, of)
    if status != "pass":
        assert f"{lost} of {of} queries find an image nearest that is not among torch's nearest" in finding.reason


def test_a_change_of_place_among_the_nearest_counts_in_half_precision_alone() -> None:
    turned = [1.0] * 50 + [0.0] * 50
    assert parity.check(drifting(*turned), GATES).figures["neighbours_lost"] == 0
    assert parity.check(drifting(*turned, precision="fp16"), GATES).status == "fail"


def test_golden_images_that_are_retrieval_images_have_one_embedding() -> None:
    base = subject()
    images = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1).repeat(3, axis=3)
    held = dataclasses.replace(
        base.goldens,
        retrieval_images=images,
        golden_images=images[:3].copy(),
        golden_embeddings=base.goldens.retrieval_student[:3].copy(),
    )
    device = np.concatenate([held.golden_embeddings, held.retrieval_student[:4]])
    sound = dataclasses.replace(base, goldens=held, returned=dataclasses.replace(base.returned, embeddings=device))
    assert parity.check(sound, GATES).status == "pass"
    stale = dataclasses.replace(held, golden_embeddings=circle(5, 95, 195))
    finding = parity.check(dataclasses.replace(sound, goldens=stale, precision="int8"), GATES)
    assert finding.status == "fail"
    assert "1 of 3 golden images have another embedding than the same image has for retrieval" in finding.reason


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_fail_both_rungs(bad: float) -> None:
    embeddings = replaced()
    embeddings[-1, 0] = bad
    assert parity.check(subject(embeddings), GATES).status == "fail"
    finding = retrieval.check(subject(embeddings), GATES)
    assert (finding.status, finding.figures) == ("fail", {})


def test_all_zero_embeddings_fail() -> None:
    finding = parity.check(subject(np.zeros((7, 2), np.float32)), Gates(norm=10.0))
    assert finding.status == "fail"
    assert finding.figures["zero_vectors"] == 7


def test_constant_embeddings_fail_even_with_wide_gates() -> None:
    constant = np.tile(circle(45), (7, 1))
    finding = parity.check(subject(constant, precision="int8"), Gates(neighbours=1.0))
    assert finding.status == "fail"
    assert "same embedding" in finding.reason


def test_a_wrong_length_fails_where_the_space_has_unit_norm() -> None:
    scaled = subject(replaced() * np.float32(1.01))
    assert parity.check(scaled, GATES).status == "fail"
    assert parity.check(dataclasses.replace(scaled, unit_norm=False), GATES).status == "pass"


def test_rotated_embeddings_fail_parity_and_retrieval() -> None:
    rotated = replaced(circle(95, 190, 290), circle(95, 185, 275, 110))
    assert parity.check(subject(rotated), GATES).status == "fail"
    finding = retrieval.check(subject(rotated), GATES)
    assert finding.status == "fail"
    assert finding.figures["cmc@1"] == 0
    assert finding.figures["cmc@1_loss"] == pytest.approx(0.75)
    assert finding.figures["negative_flips"] == 3


def test_retrieval_figures_by_hand() -> None:
    """Queries 0 to 2 are right; the fourth (class 3 at 270 degrees) sits at 20 degrees: ranks 0, 90, 270, 180."""
    figures = retrieval.check(subject(), GATES).figures
    assert figures["cmc@1"] == 0.75
    assert figures["cmc@10"] == 1.0
    assert figures["map@r"] == 0.75
    assert figures["overlap@10"] == 1.0
    assert (figures["queries"], figures["tasks"]) == (4, 1)


def test_the_clouds_queries_search_the_photos_that_the_target_embedded() -> None:
    """The photos are at 5, 95, 185 and 20 degrees; the query at 270 degrees is nearer to the third than to its own."""
    figures = retrieval.check(subject(), GATES).figures
    names = ("as_gallery_cmc@1", "as_gallery_cmc@1_student", "as_gallery_cmc@1_cloud")
    assert [figures[name] for name in names] == [0.75, 0.75, 1.0]
    turned = retrieval.check(subject(replaced(query=circle(5, 95, 185, 290))), GATES).figures
    assert [turned[name] for name in names] == [1.0, 0.75, 1.0]


def test_photos_that_search_each_other_are_each_others_gallery() -> None:
    """Of the photos at 5, 95, 8 and 20 degrees, two and two of a class, the cloud's queries are at 0, 90, 180 and 0."""
    base = subject(replaced(query=circle(5, 95, 8, 20)))
    task = RetrievalTask("all", np.arange(5), np.arange(8), exclude_self=True)
    held = dataclasses.replace(
        base.goldens,
        retrieval_labels=np.array([0, 1, 1, 0, 2, 0, 1, 2]),
        retrieval_cloud=circle(0, 90, 180, 0, 0, 90, 180, 0),
        tasks=(task,),
    )
    device = np.concatenate([held.golden_embeddings, circle(5, 95, 8, 20, 270)])
    held_up = dataclasses.replace(base, goldens=held, returned=dataclasses.replace(base.returned, embeddings=device))
    # The first finds the third, of the other class, the second the fourth, the third the second, the fourth the first;
    # the fifth is alone in its class, and asks nothing.
    assert retrieval.check(held_up, GATES).figures["as_gallery_cmc@1"] == 0.5


def test_one_flipped_query_of_four_tells_nothing() -> None:
    flipped = subject(replaced(query=circle(5, 95, 100, 20)))
    finding = retrieval.check(flipped, GATES)
    assert finding.status == "not verified"
    assert "1 of 4 queries lose their right answer and 0 gain it: cmc@1 loses 0.2500 (-" in finding.reason
    assert finding.reason.startswith("needs ")
    assert finding.figures["negative_flips"] == 1
    assert finding.figures["negative_flip_rate"] == 0.25
    assert finding.figures["cmc@1_loss"] == pytest.approx(0.25)
    low, high = finding.figures["cmc@1_loss_low"], finding.figures["cmc@1_loss_high"]
    assert isinstance(low, float) and isinstance(high, float) and low <= 0.25 <= high
    assert retrieval.check(flipped, Gates(largest_loss=0.25)).status == "pass"


def test_a_flip_each_way_is_no_loss_but_not_identical() -> None:
    swapped = subject(replaced(query=circle(5, 95, 100, 270)))
    finding = retrieval.check(swapped, Gates(largest_loss=0.25))
    assert finding.status == "pass"
    assert finding.figures["cmc@1_loss"] == 0
    assert finding.figures["cmc@1_identical"] is False
    assert (finding.figures["negative_flips"], finding.figures["positive_flips"]) == (1, 1)
    few = retrieval.check(swapped, GATES)
    assert (few.status, few.reason.partition(":")[0]) == ("not verified", "needs 100 queries")


def many(right: int, of: int, lost: int = 0) -> Subject:
    """Queries of two classes at 10 degrees from their own gallery vector, or from the other one's where wrong."""
    degrees = np.where(np.arange(of) < right, 10.0, 80.0)
    student = np.concatenate([circle(*degrees), circle(0, 90)])
    device = circle(*np.where(np.arange(of) < lost, 80.0, degrees))
    held = dataclasses.replace(
        goldens(),
        retrieval_images=np.zeros((of + 2, 1, 1, 3), np.uint8),
        retrieval_labels=np.array([0] * (of + 1) + [1]),
        retrieval_student=student,
        retrieval_cloud=np.concatenate([student[:-2], circle(0, 90)]),
        tasks=(RetrievalTask("a>b", np.arange(of), np.arange(of, of + 2)),),
    )
    returned = dataclasses.replace(subject().returned, embeddings=np.concatenate([held.golden_embeddings, device]))
    return dataclasses.replace(subject(precision="int8"), goldens=held, returned=returned)


@pytest.mark.parametrize(
    ("lost", "of", "status"),
    [(0, 60, "pass"), (1, 60, "not verified"), (1, 150, "pass"), (2, 150, "not verified"), (12, 150, "fail")],
)
def test_the_loss_is_judged_by_its_interval(lost: int, of: int, status: str) -> None:
    """One of 60 is more than one in a hundred, and the interval holds zero: that is no failure, and no proof."""
    finding = retrieval.check(many(of, of, lost), GATES)
    assert finding.status == status
    if status != "pass":
        assert f"{lost} of {of} queries lose their right answer" in finding.reason


def test_the_floor_is_judged_by_its_interval() -> None:
    assert retrieval.check(many(80, 100), Gates(floor=0.75)).status == "pass"
    below = retrieval.check(many(70, 100), Gates(floor=0.75))
    assert below.status == "not verified"
    assert "cmc@1 is 0.7000" in below.reason and "the floor is 0.75" in below.reason
    assert retrieval.check(many(50, 100), Gates(floor=0.75)).status == "fail"
    # All right, and still too few to show that three of four are.
    assert retrieval.check(many(12, 12), Gates(floor=0.75)).reason.startswith("needs 13 queries: cmc@1 is 1.0000")


def own_gallery(of: int, *, wrong: int) -> Subject:
    """All queries are right in the cloud's gallery; the student's own vectors of the two images send some astray."""
    base = many(of, of)
    student = base.goldens.retrieval_student.copy()
    student[:wrong] = circle(*[44.0] * wrong)
    student[-2:] = circle(90, 46)
    student[wrong:of] = circle(*[80.0] * (of - wrong))
    cloud = np.concatenate([student[:of], circle(60, -60)])
    held = dataclasses.replace(base.goldens, retrieval_student=student, retrieval_cloud=cloud)
    embeddings = np.concatenate([held.golden_embeddings, student[:of]])
    return dataclasses.replace(base, goldens=held, returned=dataclasses.replace(base.returned, embeddings=embeddings))


def test_above_its_own_gallery_must_be_shown() -> None:
    # The student finds 3 of 4 in its own gallery too, so the cloud gallery is not above it.
    assert "not above" in retrieval.check(subject(), Gates(above_own=True)).reason
    # All are found in the cloud's gallery, and of the student's own one in 100, or twenty in 100, are not.
    assert retrieval.check(own_gallery(100, wrong=20), Gates(above_own=True)).status == "pass"
    undecided = retrieval.check(own_gallery(100, wrong=1), Gates(above_own=True))
    assert (undecided.status, undecided.reason.partition(" ")[0]) == ("not verified", "needs")


def test_cost_gates() -> None:
    finding = cost.check(subject(), GATES)
    assert finding.figures["latency_median_ms"] == pytest.approx(2)
    assert finding.figures["latency_is"] == "measured"
    assert cost.check(subject(), Gates(latency_ms=2.0)).status == "pass"
    # Of 1, 1, 2, 2, 2, 3 and 4 ms, chance explains a median of 2 where 1.9 holds, and not where 0.9 does.
    assert cost.check(subject(), Gates(latency_ms=1.9)).status == "not verified"
    assert "2 ms [1, 4]; allowed is 0.9 ms" in cost.check(subject(), Gates(latency_ms=0.9)).reason
    assert cost.check(subject(), Gates(latency_ms=0.9)).status == "fail"
    assert cost.check(subject(), Gates(file_bytes=3999)).status == "fail"


def test_instructions_are_counted_where_the_clock_counts_them() -> None:
    base = subject(emulated=True)
    assert cost.check(base, GATES).figures["instructions_median"] is None
    assert "not counted" in str(cost.check(base, GATES).figures["instructions_are"])
    counted = dataclasses.replace(base, returned=dataclasses.replace(base.returned, counts_instructions=True))
    figures = cost.check(counted, Gates(latency_ms=0.001)).figures
    assert figures["instructions_median"] == 2_000_000
    assert figures["latency_is"] == "a nanosecond an instruction"


def test_emulated_latency_is_never_judged() -> None:
    finding = cost.check(subject(emulated=True), Gates(latency_ms=0.001))
    assert finding.status == "not verified"
    assert finding.figures["latency_is"] == "emulated"
    assert cost.check(subject(emulated=True), Gates(latency_ms=1.0, file_bytes=1)).status == "fail"


def test_gates_list_every_mistake() -> None:
    with pytest.raises(InputError) as caught:
        Gates(floor=2.0, largest_loss=-1.0, parity=0.0, require=("onix",))
    assert len(caught.value.problems) == 4


def decoded(difference: int = 0, *, drift: float = 0.0) -> Subject:
    """Originals of rows 0 and 2, whose pixels differ from the contract's by so many levels."""
    base = subject()
    pixels = np.full((2, 1, 1, 3), difference, np.uint8)
    own = np.concatenate([circle(5 + drift), circle(185)])
    returned = dataclasses.replace(base.returned, decoder="d 1", pixels=pixels, pixel_embeddings=own)
    return dataclasses.replace(base, returned=returned, originals=(0, 2))


def test_preprocessing_holds_pixels_against_the_contracts() -> None:
    same = preprocessing.check(decoded(), GATES)
    assert (same.status, same.figures["identical_files"], same.figures["files"]) == ("pass", 2, 2)
    off = preprocessing.check(decoded(1), GATES)
    assert off.status == "fail"
    assert "2 of 2 files" in off.reason
    assert off.figures["largest_mean_difference"] == 1.0
    assert preprocessing.check(decoded(1), Gates(pixels=1.0)).status == "pass"


def test_preprocessing_tells_the_drift_of_own_pixels() -> None:
    """The query at 5 degrees is 5 from the nearest and 85 from the next: half the margin is 40 degrees."""
    near = preprocessing.check(decoded(drift=39), GATES).figures
    assert near["largest_angle_degrees"] == pytest.approx(39, rel=1e-4)
    assert near["neighbours_at_risk"] == 0
    assert preprocessing.check(decoded(drift=41), GATES).figures["neighbours_at_risk"] == 1


def with_golden_file(returned: int, *errors: str) -> Subject:
    """One golden file after the two originals, of 7 grey levels by the contract."""
    base = decoded()
    assert base.returned.pixels is not None
    pixels = np.concatenate([base.returned.pixels, np.full((1, 1, 1, 3), returned, np.uint8)])
    file = GoldenFile("JPEG, turned", Path("a.jpg"), np.full((1, 1, 3), 7, np.uint8))
    answer = dataclasses.replace(base.returned, pixels=pixels, decode_errors=("", "", *errors))
    return dataclasses.replace(base, returned=answer, golden_files=(file,))


def test_preprocessing_names_the_kind_of_file_that_a_target_decodes_otherwise() -> None:
    same = preprocessing.check(with_golden_file(7), GATES)
    assert (same.status, same.figures["files"], same.figures["golden_files"]) == ("pass", 3, 1)
    off = preprocessing.check(with_golden_file(9), GATES)
    assert off.status == "fail"
    assert "1 of 3 files give other pixels than the contract (JPEG, turned): up to 2 grey" in off.reason
    unread = preprocessing.check(with_golden_file(7, "OSError: no JPEG here"), GATES)
    assert (unread.status, unread.reason) == ("fail", "JPEG, turned: cannot be decoded: OSError: no JPEG here")


def test_golden_files_are_enough_without_originals() -> None:
    whole = with_golden_file(7)
    assert whole.returned.pixels is not None
    answer = dataclasses.replace(
        whole.returned, pixels=whole.returned.pixels[2:], pixel_embeddings=np.zeros((0, 2), np.float32)
    )
    finding = preprocessing.check(dataclasses.replace(whole, originals=(), returned=answer), GATES)
    assert (finding.status, finding.figures["files"]) == ("pass", 1)


def test_preprocessing_without_files_or_decoder_is_not_verified() -> None:
    assert preprocessing.check(subject(), GATES).status == "not verified"
    without = dataclasses.replace(decoded(), returned=subject().returned)
    assert preprocessing.check(without, GATES).status == "not verified"


def test_preprocessing_holds_the_contract_against_the_golden_tensors() -> None:
    other = dataclasses.replace(CONTRACT, mean=(0.0, 0.1, 0.0))
    finding = preprocessing.check(dataclasses.replace(decoded(), preprocessing=other), GATES)
    assert finding.status == "fail"
    assert "golden tensors" in finding.reason


def test_a_file_of_another_space_does_not_load() -> None:
    named = dataclasses.replace(subject(), space_id="a", space_in_file="b")
    assert loads.check(named).status == "fail"
    assert loads.check(dataclasses.replace(named, space_in_file="a")).figures["file_names_its_space"] is True


def test_other_settings_are_told_and_not_judged() -> None:
    base = subject()
    other = {"x86_default": replaced(circle(6, 100, 200))}
    figures = parity.check(dataclasses.replace(base, returned=dataclasses.replace(base.returned, also=other)), GATES)
    assert figures.status == "pass"
    one_degree = pytest.approx(1 - math.cos(math.radians(1)), rel=1e-4)
    assert figures.figures["x86_default_largest_one_minus_cosine"] == one_degree
    assert figures.figures["x86_default_differs_by"] == one_degree


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (TensorEntry("vector", "float32", (1, 2)), "output is 'embedding' float32, the manifest says 'vector' float32"),
        (TensorEntry("embedding", "uint8", (1, 2)), "the manifest says 'embedding' uint8"),
        (TensorEntry("embedding", "float32", (1, 2), 0.5, 3), r"says 'embedding' float32 \* 0.5 from 3"),
    ],
)
def test_loads_refuses_other_tensors_than_the_manifest_names(output: TensorEntry, words: str) -> None:
    told = (("image", "uint8", 0.0, 0), ("embedding", "float32", 0.0, 0))
    same = subject()
    same = dataclasses.replace(same, returned=dataclasses.replace(same.returned, tensors=told))
    given = TensorEntry("image", "uint8", (1, 6, 6, 3)), TensorEntry("embedding", "float32", (1, 2))
    assert loads.check(dataclasses.replace(same, tensors=given)).status == "pass"
    finding = loads.check(dataclasses.replace(same, tensors=(given[0], output)))
    assert finding.status == "fail" and re.search(words, finding.reason)
    silent = dataclasses.replace(same.returned, tensors=())
    assert loads.check(dataclasses.replace(same, tensors=(given[0], output), returned=silent)).status == "pass"
