"""Margins recomputed by hand on two-dimensional angles."""

import math

import pytest
import torch

from hetero.objectives.batch import Batch
from hetero.objectives.margin_softmax import MarginSoftmax, margin_logits


def at(*degrees: float) -> torch.Tensor:
    radians = torch.tensor(degrees) * math.pi / 180
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def test_arcface_adds_the_margin_to_the_angle_of_the_true_class_only():
    cosines = at(30.0) @ at(0.0, 90.0).T
    logits = margin_logits(cosines, torch.tensor([0]), kind="arcface", margin=math.radians(20), scale=10.0)
    assert logits[0].tolist() == pytest.approx(
        [10 * math.cos(math.radians(50)), 10 * math.cos(math.radians(60))], abs=1e-5
    )


def test_arcface_keeps_falling_where_the_angle_would_pass_pi():
    margin = 0.5
    cosines = torch.tensor([[-0.9], [-0.95], [-0.999]])
    logits = margin_logits(cosines, torch.zeros(3, dtype=torch.long), kind="arcface", margin=margin, scale=1.0)
    assert logits[0] > logits[1] > logits[2]
    assert logits[2].item() == pytest.approx(-0.999 - margin * math.sin(margin), abs=1e-6)


def test_cosface_subtracts_the_margin_from_the_cosine():
    logits = margin_logits(torch.tensor([[0.8, 0.1]]), torch.tensor([1]), kind="cosface", margin=0.25, scale=4.0)
    assert logits[0].tolist() == pytest.approx([3.2, 4 * (0.1 - 0.25)])


def test_the_loss_is_the_cross_entropy_of_those_logits():
    head = MarginSoftmax(2.0 * at(0.0, 90.0), kind="cosface", margin=0.1, scale=5.0)
    loss = head(Batch(at(30.0), torch.tensor([0])))
    true, other = 5 * (math.cos(math.pi / 6) - 0.1), 5 * math.sin(math.pi / 6)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(other - true)), abs=1e-5)
