"""Objectives that compare directions from the space's centre."""

from __future__ import annotations

import math

import pytest
import torch

from hetero.errors import InputError
from hetero.objectives.batch import Batch, directions
from hetero.objectives.instance_contrastive import InstanceContrastive
from hetero.objectives.regression import CloudRegression

CENTRE = torch.tensor([0.6, 0.0])


def around_centre(degrees: float) -> list[float]:
    """A vector half a unit from the centre in this direction."""
    angle = math.radians(degrees)
    return [0.6 + 0.5 * math.cos(angle), 0.5 * math.sin(angle)]


def batch_of(student: list[float], cloud: list[float], bank: list[list[float]]) -> Batch:
    keys = torch.tensor(bank)
    return Batch(
        torch.tensor([student]),
        torch.tensor([0]),
        cloud=torch.tensor([cloud]),
        bank=keys,
        bank_labels=torch.arange(1, len(keys) + 1),
        centre=CENTRE,
        centred_bank=directions(keys, CENTRE),
    )


def test_regression_is_one_minus_the_cosine_seen_from_the_centre():
    batch = batch_of(around_centre(10), around_centre(70), [around_centre(0)])
    assert CloudRegression(centred=True)(batch).item() == pytest.approx(1 - math.cos(math.radians(60)), abs=1e-6)


def test_contrast_compares_angles_seen_from_the_centre():
    batch = batch_of(around_centre(0), around_centre(60), [around_centre(90), around_centre(180)])
    own, right, back = math.exp(0.5 / 0.5), math.exp(0.0), math.exp(-1.0 / 0.5)
    loss = InstanceContrastive(temperature=0.5, centred=True)(batch)
    assert loss.item() == pytest.approx(-math.log(own / (own + right + back)), abs=1e-6)


def test_a_relative_temperature_is_a_share_of_the_spread():
    # The mean has length .6: what is left of a unit vector's square is .64.
    batch = batch_of([1.0, 0.0], [0.8, 0.6], [[0.0, 1.0], [-1.0, 0.0]])
    temperature = 0.5 * 0.64
    own, right, back = math.exp(0.8 / temperature), math.exp(0.0), math.exp(-1.0 / temperature)
    loss = InstanceContrastive(temperature=0.5, relative=True)(batch)
    assert loss.item() == pytest.approx(-math.log(own / (own + right + back)), abs=1e-6)


def test_directions_from_the_centre_have_a_spread_of_one():
    batch = batch_of(around_centre(0), around_centre(60), [around_centre(90)])
    plain, relative = (InstanceContrastive(0.5, centred=True, relative=one)(batch) for one in (False, True))
    assert relative.item() == plain.item()


def test_a_model_that_learnt_the_mean_alone_has_learnt_nothing():
    generator = torch.Generator().manual_seed(0)
    mean = torch.tensor([3.0, 0.0, 0.0, 0.0])
    cloud = torch.nn.functional.normalize(mean + torch.randn(500, 4, generator=generator), dim=1)
    nearly_mean = mean + 0.1 * torch.randn(500, 4, generator=generator)
    student = torch.nn.functional.normalize(nearly_mean, dim=1)
    batch = Batch(student, torch.arange(500), cloud=cloud, centre=cloud.mean(dim=0))
    assert CloudRegression()(batch) < 0.2
    assert CloudRegression(centred=True)(batch) > 0.7


@pytest.mark.parametrize(
    "objective", [CloudRegression(centred=True), InstanceContrastive(centred=True), InstanceContrastive(relative=True)]
)
def test_without_a_cloud_it_is_an_error(objective: torch.nn.Module):
    with pytest.raises(InputError, match="cloud model's embeddings"):
        objective(Batch(torch.eye(2), torch.arange(2)))


def test_another_dimension_is_an_error():
    batch = Batch(torch.eye(3), torch.arange(3), cloud=torch.eye(4)[:3], centre=torch.zeros(4))
    with pytest.raises(InputError, match="one dimension, got 3"):
        CloudRegression(centred=True)(batch)
