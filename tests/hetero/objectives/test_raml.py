"""The three parts recomputed on two images in the plane."""

import pytest
import torch

from hetero.objectives.batch import Batch
from hetero.objectives.raml import Raml, raml
from tests.hetero.objectives.angles import at, cosine

STUDENT, CLOUD = at(10.0, 70.0), at(0.0, 90.0)
ABSOLUTE = ((1 - cosine(10)) ** 2 + (1 - cosine(20)) ** 2) / 2
# The cloud's two images stand at a right angle: their similarity is zero.
MIXED = (cosine(80) ** 2 + cosine(70) ** 2) / 2
WITHIN = cosine(60) ** 2


@pytest.mark.parametrize(("mixed", "within"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 2.0)])
def test_it_is_the_weighted_sum_of_its_three_parts(mixed, within):
    value = raml(STUDENT, CLOUD, mixed=mixed, within=within).item()
    assert value == pytest.approx(ABSOLUTE + mixed * MIXED + within * WITHIN, abs=1e-12)


def test_the_default_weights_are_the_published_ones():
    value = Raml()(Batch(STUDENT, torch.tensor([0, 1]), cloud=CLOUD)).item()
    assert value == pytest.approx(ABSOLUTE + 0.7482 * MIXED + 0.6778 * WITHIN, abs=1e-12)


def test_one_image_has_no_pairs_and_equal_vectors_cost_nothing():
    assert raml(at(10.0), at(0.0), mixed=1.0, within=1.0).item() == pytest.approx((1 - cosine(10)) ** 2)
    assert raml(CLOUD, CLOUD, mixed=1.0, within=1.0).item() == pytest.approx(0.0, abs=1e-12)
