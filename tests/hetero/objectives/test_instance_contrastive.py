"""Instance contrast: an image's own cloud vector among those of other classes."""

from __future__ import annotations

import math

import pytest
import torch

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.instance_contrastive import InstanceContrastive, instance_contrastive


def at(degrees: float) -> list[float]:
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


def test_the_value_by_hand_on_angles():
    # The student at 0 degrees, its own cloud vector at 60; keys at 90 and 180 of other classes, at 10 of its own.
    loss = instance_contrastive(
        torch.tensor([at(0)]),
        torch.tensor([at(60)]),
        torch.tensor([4]),
        torch.tensor([at(90), at(180), at(10)]),
        torch.tensor([1, 2, 4]),
        temperature=0.5,
    )
    own, right, back = math.exp(0.5 / 0.5), math.exp(0.0), math.exp(-1.0 / 0.5)
    assert loss.item() == pytest.approx(-math.log(own / (own + right + back)), abs=1e-6)


def test_it_is_least_when_the_student_equals_the_cloud():
    cloud, labels = torch.eye(4), torch.arange(4)
    term = InstanceContrastive()
    assert term(Batch(cloud, labels, cloud=cloud)) < 0.01
    assert term(Batch(cloud.roll(1, dims=0), labels, cloud=cloud)) > 1


def test_only_images_of_the_same_class_cost_nothing():
    one = torch.nn.functional.normalize(torch.ones(3, 2), dim=1)
    assert InstanceContrastive()(Batch(-one, torch.zeros(3, dtype=torch.long), cloud=one)).item() == 0.0


def test_without_a_cloud_it_is_an_error():
    with pytest.raises(InputError, match="cloud model's embeddings"):
        InstanceContrastive()(Batch(torch.eye(2), torch.arange(2)))
