"""The search for an int8 setting, on a quantiser whose losses are set by hand."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest

from export import calibration_set
from export.precision.calibration import RANGE_IMAGES, Calibration, joined, make_calibration
from export.precision.choose import PROBES, Choice, search, search_weights
from export.precision.doubts import doubts
from export.precision.measure import Yardstick, mean_angle
from hetero.errors import InputError, SpaceMismatchError
from hetero.metrics.bootstrap import Interval
from hetero.space import EmbeddingSpace
from tests.export.bundles import SPACE, images, units

PAIRS = 40


def calibration() -> Calibration:
    """Pairs of one class whose cloud vectors are equal, so that torch's map@r is 1."""
    return of_pairs(PAIRS)


def of_pairs(pairs: int) -> Calibration:
    vectors = units(pairs, 0, 4)
    both = np.concatenate([vectors, vectors])
    made = calibration_set(images(2 * pairs, 1), np.tile(np.arange(pairs), 2), both, SPACE)
    return Calibration(made, made.cloud_embeddings)


class ByHand:
    """Turns the first queries around, as many as a choice's weakness says; tilts the others by a choice's degrees."""

    reduces_range = True

    def __init__(
        self,
        known: Calibration,
        *,
        wrong: dict[Choice, int] | None = None,
        tilts: dict[Choice, float] | None = None,
        sizes: dict[Choice, int] | None = None,
        layers: dict[str, int] | None = None,
        usual: int = 0,
    ) -> None:
        self.known, self.wrong, self.tilts, self.sizes = known, wrong or {}, tilts or {}, sizes or {}
        self.costs, self.usual = layers or {}, usual
        self.layers = tuple(self.costs)
        self.asked: list[Choice] = []
        self.ranges: list[set[int]] = []

    def quantise(self, choice: Choice, rows: np.ndarray) -> bytes:
        self.asked.append(choice)
        self.ranges.append({*rows.tolist()})
        return str(len(self.asked) - 1).encode().ljust(self.sizes.get(replace(choice, float_layers=()), 1000))

    def embed(self, content: bytes, rows: np.ndarray) -> np.ndarray:
        place = int(content)
        choice = replace(self.asked[place], float_layers=())
        assert not self.ranges[place] & {*rows.tolist()}, "queries must be held out"
        wrong = self.wrong.get(choice, self.usual) - sum(self.costs[name] for name in self.asked[place].float_layers)
        vectors = tilted(self.known.torch, self.tilts.get(choice, 2.0))
        vectors[: max(wrong, 0)] *= -1
        return vectors[rows]


def tilted(vectors: np.ndarray, degrees: float) -> np.ndarray:
    """Vectors turned by an angle, all towards or away from one direction."""
    aside = np.roll(vectors, 1, axis=1)
    aside -= vectors * np.einsum("nd,nd->n", aside, vectors)[:, None]
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    angle = np.radians(degrees)
    return (np.cos(angle) * vectors + np.sin(angle) * aside).astype(np.float32)


PLAIN, CORRECTED = Choice(), Choice(bias_correction=True)
MSE, ENTROPY = Choice("mse"), Choice("entropy")


def test_loss_beyond_noise_decides_first() -> None:
    known = calibration()
    # One wrong of 80 loses 1.25 %; twenty more than the best are beyond noise, however small the angle of the rest.
    hand = ByHand(
        known,
        wrong={replace(ENTROPY, bias_correction=True): 0},
        tilts={replace(ENTROPY, bias_correction=True): 3.0, CORRECTED: 0.0},
        usual=20,
    )
    _, made = search(hand, known, 0.5)
    settings = (made.calibrator, made.bias_correction, made.scales, made.reduce_range)
    assert settings == ("entropy", True, "channel", False)
    # The default, its biases corrected, four more calibrators, two with fewer scales, reduced range.
    assert (made.tried, made.met) == (9, True)
    assert made.evidence is not None and made.evidence.decided_by == "map@r"
    assert made.evidence.plain is not None and made.evidence.plain.loss.value == pytest.approx(20 / 80)


def test_loss_within_noise_counts_as_equal_and_agreement_decides() -> None:
    known = calibration()
    # The default loses nothing at all, another one query of 80, but its other vectors are nearly torch's own.
    hand = ByHand(known, wrong={MSE: 1}, tilts={MSE: 0.01})
    _, made = search(hand, known, 0.01)
    assert (made.calibrator, made.bias_correction) == ("mse", False)
    evidence = made.evidence
    assert evidence is not None and evidence.plain is not None and evidence.overlap_gain is not None
    assert evidence.decided_by == "overlap@10"
    assert evidence.plain.loss.value == 0 < evidence.chosen.loss.value == pytest.approx(1 / 80)
    assert evidence.overlap_gain.value == pytest.approx(evidence.chosen.overlap - evidence.plain.overlap)
    assert evidence.overlap_gain.low < evidence.overlap_gain.value < evidence.overlap_gain.high
    assert evidence.chosen.angle == pytest.approx((79 * 0.01 + 180 - 0.01) / 80, abs=1e-3)


def test_the_plain_default_is_among_the_candidates_and_stays_where_nothing_is_better() -> None:
    known = calibration()
    _, made = search(ByHand(known, tilts={PLAIN: 0.0}), known, 0.01)
    assert (made.calibrator, made.scales, made.bias_correction) == ("minmax", "channel", False)
    assert made.evidence is not None and made.evidence.decided_by == "nothing"
    assert made.evidence.plain == made.evidence.chosen


def test_size_counts_last_and_only_where_as_much_agrees() -> None:
    known = calibration()
    fewer = replace(MSE, scales="depthwise")
    # All agree as well as can be; files within 5 % are equally large, and then the angle decides.
    tilts = {PLAIN: 1e-3, MSE: 1e-4, fewer: 5e-4}
    for size, scales in ((960, "channel"), (940, "depthwise")):
        _, made = search(ByHand(known, tilts=tilts, sizes={fewer: size}), known, 0.01)
        assert (made.calibrator, made.scales) == ("mse", scales)
    # Half the size does not make up for lost neighbours.
    _, made = search(ByHand(known, tilts=tilts | {fewer: 2.0}, sizes={fewer: 500}), known, 0.01)
    assert made.scales == "channel"


def test_weights_alone_have_as_few_scales_as_agree_as_well() -> None:
    known = calibration()
    sizes = {"channel": 200, "depthwise": 150, "tensor": 100}

    def embed(content: bytes) -> np.ndarray:
        return tilted(known.torch, float(content.split()[1]))

    for degrees, taken in (
        ((0.0, 0.0, 0.0), "tensor"),
        ((0.0, 0.0, 3.0), "depthwise"),
        ((0.0, 3.0, 3.0), "channel"),
    ):
        wanted = dict(zip(sizes, degrees, strict=True))
        content, made = search_weights(
            lambda each, wanted=wanted: f"{each} {wanted[each]}".encode().ljust(sizes[each]), embed, known, 0.01
        )
        assert (made.calibrator, made.scales, made.tried, made.met) == (None, taken, 3, True)
        assert len(content) == sizes[taken]


def test_keeps_the_fewest_layers_in_float() -> None:
    known = calibration()
    hand = ByHand(known, layers={"a": 1, "b": 6, "c": 3, "d": 0}, wrong={MSE: 10}, usual=30)
    _, made = search(hand, known, 0.02)
    # 80 queries: one wrong loses 1.25 %, two 2.5 %. b and c bring ten down to one.
    assert made.float_layers == ("b", "c")
    assert made.met


class File(Sized):
    """A file that can be told to be gone."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __len__(self) -> int:
        return len(self.content)


class Counted(ByHand):
    """Counts the files that there are when another is asked for, and the queries that each choice embeds."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.files: WeakSet[File] = WeakSet()
        self.most = 0
        self.embedded: dict[tuple[str, ...], int] = {}

    def quantise(self, choice: Choice, rows: np.ndarray) -> Any:
        self.most = max(self.most, len(self.files))
        file = File(super().quantise(choice, rows))
        self.files.add(file)
        return file

    def embed(self, content: Any, rows: np.ndarray) -> np.ndarray:
        layers = self.asked[int(content.content)].float_layers
        self.embedded[layers] = self.embedded.get(layers, 0) + len(rows)
        return super().embed(content.content, rows)


def test_files_that_were_measured_are_not_kept() -> None:
    known = calibration()
    hand = Counted(known, layers={"a": 1, "b": 6, "c": 3, "d": 0}, wrong={MSE: 10}, usual=30)
    content, made = search(hand, known, 0.02)
    assert (made.float_layers, len(content), hand.most) == (("b", "c"), 1000, 0)


def test_layers_are_ordered_by_a_few_queries() -> None:
    known = of_pairs(RANGE_IMAGES)
    hand = Counted(known, layers={"a": 1, "b": 1, "c": 1}, usual=30)
    _, made = search(hand, known, 0.01)
    whole = len(known.folds[0].queries)
    assert whole == hand.embedded["a", "b"] == 64 > PROBES
    assert {hand.embedded[layer,] for layer in "bc"} == {PROBES}
    assert made.tried == 9 + 2


def test_keeps_no_layer_in_float_for_a_miss_within_noise() -> None:
    known = calibration()
    _, made = search(ByHand(known, layers={"a": 1, "b": 1}, usual=1), known, 0.01)
    assert made.float_layers == ()
    assert not made.met
    (doubt,) = doubts(made)
    assert "80 calibration queries are too few to tell whether it loses at most 1.0% of map@r" in doubt
    assert "(it loses 1.2 % of it, 95 % -3.7 to 0.0 %): about 300 would do" in doubt


def test_says_when_the_goal_is_missed() -> None:
    known = calibration()
    _, made = search(ByHand(known, layers={"a": 1, "b": 1}, wrong={MSE: 10}, usual=30), known, 0.01)
    assert (made.met, made.calibrator) == (False, "mse")
    assert set(made.float_layers) == {"a", "b"}
    assert doubts(made) == ()


def test_not_finite_is_the_worst() -> None:
    known = calibration()

    class Broken(ByHand):
        def embed(self, content: bytes, rows: np.ndarray) -> np.ndarray:
            vectors = super().embed(content, rows)
            return np.full_like(vectors, np.nan) if self.asked[int(content)] in (PLAIN, MSE) else vectors

    _, made = search(Broken(known, wrong={MSE: 0, CORRECTED: 20}, usual=40), known, 0.5)
    assert (made.calibrator, made.bias_correction) == ("minmax", True)
    assert made.evidence is not None
    assert (made.evidence.plain, made.evidence.decided_by) == (None, "not finite")


def test_ranges_and_queries_are_apart() -> None:
    large = of_pairs(2 * RANGE_IMAGES)
    (fold,) = large.folds
    assert np.array_equal(fold.ranges, large.range_rows) and len(fold.ranges) == RANGE_IMAGES
    assert sorted([*fold.ranges, *fold.queries]) == list(range(4 * RANGE_IMAGES))
    # Too few to set some aside: each half measures the other's ranges, and the file's come from all.
    small = of_pairs(20)
    first, second = small.folds
    assert np.array_equal(first.ranges, second.queries) and np.array_equal(first.queries, second.ranges)
    assert sorted([*first.queries, *second.queries]) == list(range(40))
    hand = ByHand(small)
    search(hand, small, 0.5)
    assert hand.ranges[-1] == set(range(40))


def test_too_small_a_set_is_said_to_be() -> None:
    known = calibration()
    _, made = search(ByHand(known), known, 0.01)
    # Nothing is lost, and yet 80 queries show no loss below three in eighty.
    (doubt,) = doubts(made)
    assert "80 calibration queries are too few" in doubt and "about 300 would do" in doubt
    _, made = search(ByHand(known), known, 0.04)
    assert doubts(made) == ()
    one = calibration_set(images(8, 1), np.zeros(8, np.int64), units(8, 3, 4), SPACE)
    alone = Calibration(one, one.cloud_embeddings)
    _, made = search(ByHand(alone, usual=4), alone, 0.01)
    (doubt,) = doubts(made)
    assert "all of one class" in doubt


def test_calibration_set_takes_many_classes_of_a_few_images_before_few_whole_ones() -> None:
    labels = np.repeat(np.arange(10), 30)
    made = calibration_set(images(300, 2), labels, units(300, 3), SPACE, most=80)
    assert np.unique(made.labels, return_counts=True)[1].tolist() == [8] * 10
    made = calibration_set(images(300, 2), labels, units(300, 3), SPACE, most=40)
    assert np.unique(made.labels, return_counts=True)[1].tolist() == [8] * 5


def test_loss_by_hand() -> None:
    known = calibration()
    vectors = known.torch.copy()
    vectors[:8] *= -1
    yardstick = Yardstick(known, known.query_rows)
    same, lost = yardstick.measure(known.torch), yardstick.measure(vectors)
    assert same is not None and same.loss == Interval(0.0, 0.0, 0.0)
    assert lost is not None and lost.loss.value == pytest.approx(8 / 80)
    assert lost.loss.low < 8 / 80 < lost.loss.high
    assert mean_angle(vectors, known.torch) == pytest.approx(180 * 8 / 80, rel=1e-3)


def test_calibration_set_takes_whole_classes_and_no_test_image() -> None:
    pictures, labels = images(30, 2), np.arange(30) // 3
    labels[-1] = 99
    made = calibration_set(pictures, labels, units(30, 3), SPACE, most=12)
    classes, counts = np.unique(made.labels, return_counts=True)
    assert len(classes) == 4
    assert (counts == 3).all() or 99 not in classes
    without = calibration_set(pictures, labels, units(30, 3), SPACE, most=12, without=made.images[:2])
    assert not {image.tobytes() for image in without.images} & {image.tobytes() for image in made.images[:2]}
    # One image of the class is left: it has nothing to find, and goes too.
    assert len(without.images) == len(made.images) - 3
    with pytest.raises(InputError, match="at least one class with two images"):
        calibration_set(pictures[:3], np.arange(3), units(3, 3), SPACE)


def test_joined_sets_are_searched_apart() -> None:
    one, two = calibration().retrieval, calibration().retrieval
    both = joined([one, two])
    assert len(both.images) == 4 * PAIRS
    assert both.tasks[1].gallery.min() == 2 * PAIRS
    assert len({task.name for task in both.tasks}) == 2


def test_chooses_over_several_tasks_of_different_sizes() -> None:
    both = joined([of_pairs(20).retrieval, of_pairs(8).retrieval])
    known = Calibration(both, both.cloud_embeddings)
    _, made = search(ByHand(known, tilts={MSE: 0.0}), known, 0.5)
    assert made.evidence is not None and made.evidence.queries == 2 * (20 + 8)
    assert (made.calibrator, made.evidence.chosen.overlap) == ("mse", 1.0)


def test_calibration_of_another_space() -> None:
    other = EmbeddingSpace.define(defined_by="9" * 64, name="other", version="1", dimension=4)
    one = calibration().retrieval
    with pytest.raises(SpaceMismatchError, match="the calibration set"):
        make_calibration(one, one, other, lambda images: units(len(images), 0))
