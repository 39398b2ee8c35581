"""The search for an int8 setting, on a quantiser whose losses are set by hand."""

from __future__ import annotations

import numpy as np
import pytest

from export.api import calibration_set
from export.calibration import Calibration, joined, make_calibration
from export.search import Choice, search, search_weights
from hetero.errors import InputError, SpaceMismatchError
from hetero.space import EmbeddingSpace
from tests.export.bundles import SPACE, images, units

PAIRS = 40


def calibration() -> Calibration:
    """Pairs of one class whose cloud vectors are equal, so that torch's map@r is 1."""
    vectors = units(PAIRS, 0, 4)
    both = np.concatenate([vectors, vectors])
    made = calibration_set(images(2 * PAIRS, 1), np.tile(np.arange(PAIRS), 2), both, SPACE)
    return Calibration(made, made.cloud_embeddings)


class ByHand:
    """Turns so many queries around as a choice's weakness says."""

    reduces_range = True

    def __init__(self, known: Calibration, layers: dict[str, int], weakness: dict[Choice, int]) -> None:
        self.known, self.weakness, self.costs = known, weakness, layers
        self.layers = tuple(layers)

    def quantise(self, choice: Choice) -> bytes:
        wrong = self.weakness.get(Choice(choice.calibrator, choice.scales, choice.reduce_range), 30)
        return bytes([max(0, wrong - sum(self.costs[name] for name in choice.float_layers))])

    def embed(self, content: bytes) -> np.ndarray:
        vectors = self.known.torch.copy()
        vectors[: content[0]] *= -1
        return vectors


def test_takes_what_loses_least() -> None:
    known = calibration()
    weakness = {Choice("mse"): 3, Choice("entropy"): 2, Choice("entropy", reduce_range=True): 0}
    content, made = search(ByHand(known, {"a": 1}, weakness), known, 0.01)
    assert content == bytes([0])
    assert (made.calibrator, made.scales, made.reduce_range, made.float_layers) == ("entropy", "channel", True, ())
    # Four calibrators, two with fewer scales, reduced range; the goal is met, so that no layer is tried.
    assert (made.tried, made.met) == (7, True)


def test_takes_the_smallest_that_meets_the_goal() -> None:
    known = calibration()
    weakness = {Choice("mse"): 0, Choice("mse", "depthwise"): 1, Choice("mse", "tensor"): 2}

    class Sized(ByHand):
        """Files of a size that goes with the number of their scales."""

        def quantise(self, choice: Choice) -> bytes:
            return super().quantise(choice) + b" " * {"channel": 200, "depthwise": 150, "tensor": 100}[choice.scales]

    # One wrong of 80 loses 1.25 %.
    for goal, scales in ((0.001, "channel"), (0.02, "depthwise"), (0.03, "tensor")):
        content, made = search(Sized(known, {}, weakness), known, goal)
        assert (made.calibrator, made.scales, made.met) == ("mse", scales, True)
        assert len(content) == {"channel": 201, "depthwise": 151, "tensor": 101}[scales]


def test_weights_alone_have_as_few_scales_as_the_goal_allows() -> None:
    known = calibration()
    wrong = {"channel": 0, "depthwise": 2, "tensor": 40}
    sizes = {"channel": 200, "depthwise": 150, "tensor": 100}
    hand = ByHand(known, {}, {})
    for goal, scales in ((0.03, "depthwise"), (0.01, "channel"), (0.6, "tensor")):
        content, made = search_weights(lambda each: bytes([wrong[each]]) + b" " * sizes[each], hand.embed, known, goal)
        assert (made.calibrator, made.scales, made.tried, made.met) == (None, scales, 3, True)
        assert len(content) == 1 + sizes[scales]


def test_keeps_the_fewest_layers_in_float() -> None:
    known = calibration()
    quantiser = ByHand(known, {"a": 1, "b": 6, "c": 3, "d": 0}, {Choice("mse"): 10})
    _, made = search(quantiser, known, 0.02)
    # 80 queries: one wrong loses 1.25 %, two 2.5 %. b and c bring ten down to one.
    assert made.float_layers == ("b", "c")
    assert made.met


def test_says_when_the_goal_is_missed() -> None:
    known = calibration()
    content, made = search(ByHand(known, {"a": 1, "b": 1}, {Choice("mse"): 10}), known, 0.01)
    assert (content, made.met, made.calibrator) == (bytes([8]), False, "mse")
    assert set(made.float_layers) == {"a", "b"}


def test_not_finite_is_the_worst() -> None:
    known = calibration()

    class Broken(ByHand):
        def embed(self, content: bytes) -> np.ndarray:
            return np.full_like(known.torch, np.nan) if content[0] == 0 else super().embed(content)

    _, made = search(Broken(known, {}, {Choice("mse"): 0, Choice("minmax"): 20}), known, 0.01)
    assert made.calibrator == "minmax"


def test_loss_by_hand() -> None:
    known = calibration()
    vectors = known.torch.copy()
    vectors[:8] *= -1
    assert known.loss(known.torch) == 0
    assert known.loss(vectors) == pytest.approx(8 / 80)
    assert known.cosine(vectors) == pytest.approx(1 - 2 * 8 / 80)


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


def test_calibration_of_another_space() -> None:
    other = EmbeddingSpace.define(defined_by="9" * 64, name="other", version="1", dimension=4)
    one = calibration().retrieval
    with pytest.raises(SpaceMismatchError, match="the calibration set"):
        make_calibration(one, one, other, lambda images: units(len(images), 0))
