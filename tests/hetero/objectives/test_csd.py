"""Two neighbours make the distributions logistic, and the divergence a one-line sum."""

import math

import pytest
import torch

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.csd import ContextualSimilarity, contextual_similarity
from tests.hetero.objectives.angles import at, cosine


def divergence(cloud, student, cloud_temperature, temperature):
    p = [math.exp(value / cloud_temperature) for value in cloud]
    q = [math.exp(value / temperature) for value in student]
    p, q = [value / sum(p) for value in p], [value / sum(q) for value in q]
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def test_it_is_the_divergence_of_two_softmaxes():
    cloud, student = [0.9, 0.7], [0.5, 0.6]
    value = contextual_similarity(
        torch.tensor([student]), torch.tensor([cloud]), temperature=0.2, cloud_temperature=0.1
    )
    assert value.item() == pytest.approx(divergence(cloud, student, 0.1, 0.2), rel=1e-5)


def batch(student: float) -> Batch:
    # The cloud's image stands at 0 degrees and is row 2 of the bank; its two neighbours at 10 and -30.
    return Batch(
        at(student),
        torch.tensor([0]),
        cloud=at(0.0),
        bank=at(90.0, 10.0, 0.0, -30.0),
        bank_labels=torch.tensor([1, 0, 0, 1]),
        rows=torch.tensor([2]),
    )


def test_neighbours_are_the_clouds_nearest_without_the_image_itself():
    value = ContextualSimilarity(neighbours=2, temperature=0.1)(batch(20.0)).item()
    expected = divergence([cosine(10), cosine(30)], [cosine(10), cosine(50)], 0.1, 0.1)
    assert value == pytest.approx(expected)


def test_a_student_equal_to_the_cloud_is_the_minimum():
    term = ContextualSimilarity(neighbours=2)
    assert term(batch(0.0)).item() == pytest.approx(0.0, abs=1e-12)
    assert min(term(batch(angle)).item() for angle in (-60.0, -10.0, 10.0, 60.0)) > 1e-3


def test_too_few_neighbours_is_an_error_that_says_how_many():
    with pytest.raises(InputError, match="compares 4 neighbours .* there are 3; set neighbours = 3"):
        ContextualSimilarity(neighbours=4)(batch(0.0))
