"""The influence loss by hand: truncation, padding, margins and classes that the old head lacks."""

import math

import pytest
import torch
from torch.nn import functional as F

from hetero.objectives.backward_compatible import InfluenceLoss, influence_loss, truncated_or_padded
from hetero.objectives.batch import Batch
from tests.hetero.objectives.angles import at, cosine


def loss(embeddings, labels, prototypes, variant, margin=0.0, scale=4.0):
    return influence_loss(
        embeddings, torch.tensor(labels), prototypes, variant=variant, margin=margin, scale=scale
    ).item()


def cross_entropy(true, *others):
    return math.log(sum(math.exp(other - true) for other in (true, *others)))


def test_the_transform_takes_the_first_coordinates_or_pads_with_zeros():
    vectors = torch.tensor([[1.0, 2.0, 3.0]])
    assert truncated_or_padded(vectors, 2).tolist() == [[1.0, 2.0]]
    assert truncated_or_padded(vectors, 4).tolist() == [[1.0, 2.0, 3.0, 0.0]]
    assert truncated_or_padded(vectors, 3).tolist() == vectors.tolist()


def test_on_equal_dimensions_it_is_the_cross_entropy_of_the_old_head():
    value = loss(at(30.0), [0], 3.0 * at(0.0, 90.0), "none")
    assert value == pytest.approx(cross_entropy(4 * cosine(30), 4 * cosine(60)))


def test_margins_are_those_of_the_heads():
    arcface = loss(at(30.0), [0], at(0.0, 90.0), "arcface", margin=math.radians(20))
    assert arcface == pytest.approx(cross_entropy(4 * cosine(50), 4 * cosine(60)))
    cosface = loss(at(30.0), [0], at(0.0, 90.0), "cosface", margin=0.25)
    assert cosface == pytest.approx(cross_entropy(4 * (cosine(30) - 0.25), 4 * cosine(60)))


def test_a_truncated_vector_is_brought_to_length_one_unless_asked_not_to():
    longer = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64)
    prototypes = torch.eye(2, dtype=torch.float64)
    assert loss(longer, [0], prototypes, "none") == pytest.approx(cross_entropy(4.0, 0.0))
    assert loss(longer, [0], 2 * prototypes, "unnormalised") == pytest.approx(cross_entropy(4 * 1.2, 0.0))


def test_a_class_that_the_old_head_lacks_is_neither_judged_nor_a_candidate():
    prototypes = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    value = loss(at(30.0, 45.0), [0, 1], prototypes, "none")
    assert value == pytest.approx(cross_entropy(4 * cosine(30), 4 * cosine(60)))
    assert loss(at(45.0), [1], prototypes, "none") == 0.0


def test_it_is_least_on_the_old_prototypes_and_learns_no_weights():
    head = InfluenceLoss(torch.eye(3), variant="arcface", margin=0.2, scale=16.0)
    labels = torch.arange(3)
    near, far = (head(Batch(F.normalize(torch.eye(3).roll(shift, 0) + 0.1, dim=1), labels)) for shift in (0, 1))
    assert near < 0.1 < far
    assert not list(head.parameters()) and "prototypes" in head.state_dict()
