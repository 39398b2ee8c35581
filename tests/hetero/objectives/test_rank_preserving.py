"""Order preservation recomputed with plain loops, as its equations are written."""

import math

import pytest
import torch

from hetero.objectives.batch import Batch
from hetero.objectives.rank_preserving import RankPreserving, rank_order_preservation
from tests.hetero.objectives.angles import at, cosine


def by_hand(student, cloud, temperature, sharpness):
    exponentials = [math.exp(sharpness * value) for value in cloud]
    total = 0.0
    for i in range(len(cloud)):
        weight = (i + 1) * exponentials[i] / sum(exponentials)
        for j in range(len(cloud)):
            step = 1.0 if cloud[j] > cloud[i] else 0.5 if cloud[j] == cloud[i] else 0.0
            soft = 1 / (1 + math.exp(-(student[j] - cloud[i]) / temperature))
            total += weight * (step - soft) ** 2
    return total / len(cloud)


def test_it_is_the_sum_that_the_equations_say():
    student, cloud = [0.2, 0.9, 0.4], [0.8, 0.5, 0.1]
    value = rank_order_preservation(torch.tensor([student]), torch.tensor([cloud]), temperature=0.1, sharpness=0.2)
    assert value.item() == pytest.approx(by_hand(student, cloud, 0.1, 0.2), rel=1e-5)


def test_the_clouds_own_order_costs_least_among_all_orders():
    cloud = torch.tensor([[0.9, 0.5, 0.1]])
    values = {
        order: rank_order_preservation(cloud[:, list(order)], cloud, temperature=0.05, sharpness=0.2).item()
        for order in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    }
    assert min(values, key=values.__getitem__) == (0, 1, 2) and max(values, key=values.__getitem__) == (2, 1, 0)


def test_neighbours_come_from_the_bank_without_the_image_itself():
    batch = Batch(
        at(20.0),
        torch.tensor([0]),
        cloud=at(0.0),
        bank=at(-40.0, 0.0, 10.0, 90.0),
        bank_labels=torch.tensor([0, 0, 1, 1]),
        rows=torch.tensor([1]),
    )
    value = RankPreserving(neighbours=2)(batch).item()
    assert value == pytest.approx(by_hand([cosine(10), cosine(60)], [cosine(10), cosine(40)], 0.1, 0.2))
