"""Triplets on the circle: anchor at 0 degrees, the cloud's vectors at known angles."""

import pytest
import torch

from hetero.objectives.asymmetric_triplet import AsymmetricTriplet, asymmetric_triplet
from hetero.objectives.batch import Batch
from tests.hetero.objectives.angles import at, cosine

NONE = torch.tensor([-1])


def triplet(gallery, labels, own=NONE, margin=0.1, mining="semi-hard"):
    return asymmetric_triplet(
        at(0.0), torch.tensor([0]), gallery, torch.tensor(labels), own, margin=margin, mining=mining
    ).item()


def squared(degrees):
    return 2 - 2 * cosine(degrees)


def test_hard_takes_the_farthest_positive_and_the_nearest_negative():
    value = triplet(at(20.0, 50.0, 30.0, 90.0), [0, 0, 1, 1], mining="hard")
    assert value == pytest.approx(squared(50) - squared(30) + 0.1)


def test_semi_hard_takes_the_nearest_negative_beyond_the_positive():
    assert triplet(at(50.0, 30.0, 54.0, 90.0), [0, 1, 1, 1], margin=0.2) == pytest.approx(
        squared(50) - squared(54) + 0.2
    )


def test_semi_hard_takes_the_farthest_negative_when_none_is_beyond():
    assert triplet(at(50.0, 30.0, 45.0), [0, 1, 1]) == pytest.approx(squared(50) - squared(45) + 0.1)


def test_a_triplet_that_keeps_the_margin_costs_nothing():
    assert triplet(at(10.0, 90.0), [0, 1]) == 0.0


def test_the_own_image_is_no_positive_and_anchors_without_one_are_left_out():
    gallery, labels = at(60.0, 30.0, 90.0), [0, 0, 1]
    assert triplet(gallery, labels, torch.tensor([0]), 2.0, "hard") == pytest.approx(squared(30) - squared(90) + 2)
    assert triplet(at(60.0, 90.0), [0, 1], torch.tensor([0]), 5.0) == 0.0


def test_without_a_bank_the_batch_is_the_gallery():
    batch = Batch(at(0.0, 40.0, 80.0), torch.tensor([0, 0, 1]), cloud=at(0.0, 40.0, 80.0))
    # Anchors 0 and 1 have each other as the positive; the anchor of class 1 has none.
    expected = (max(0, squared(40) - squared(80) + 0.5) + max(0, squared(40) - squared(40) + 0.5)) / 2
    assert AsymmetricTriplet(margin=0.5, mining="hard")(batch).item() == pytest.approx(expected)
