"""Differences of similarities recomputed with plain loops."""

import math

import pytest
import torch

from hetero.objectives.batch import Batch
from hetero.objectives.d3still import D3still, differential_distillation, feature_knowledge
from tests.hetero.objectives.angles import at, cosine


def by_hand(student, cloud, inconsistent, consistent):
    wrong = right = 0.0
    for i in range(len(cloud)):
        for j in range(len(cloud)):
            ours, theirs = student[j] - student[i], cloud[j] - cloud[i]
            error = (ours - theirs) / (0.1 + abs(theirs))
            wrong += error**2 if ours * theirs < 0 else 0
            right += error**2 if ours * theirs > 0 else 0
    return (inconsistent * math.sqrt(wrong) + consistent * math.sqrt(right)) / len(cloud)


@pytest.mark.parametrize(("inconsistent", "consistent"), [(1.0, 0.0), (0.0, 1.0), (2.0, 1.0)])
def test_wrong_and_right_pairs_are_weighed_apart(inconsistent, consistent):
    student, cloud = [0.6, 0.8, 0.1], [0.9, 0.5, 0.2]
    value = differential_distillation(
        torch.tensor([student]), torch.tensor([cloud]), inconsistent=inconsistent, consistent=consistent
    )
    assert value.item() == pytest.approx(by_hand(student, cloud, inconsistent, consistent), rel=1e-5)


def test_a_constant_shift_of_all_similarities_is_free():
    cloud = torch.tensor([[0.9, 0.5, 0.2]])
    assert differential_distillation(cloud - 0.3, cloud, inconsistent=2.0, consistent=1.0).item() < 1e-5


def test_feature_knowledge_is_a_norm_over_the_batch():
    value = feature_knowledge(at(10.0, 50.0), at(0.0, 90.0)).item()
    assert value == pytest.approx(math.hypot(1 - cosine(10), 1 - cosine(40)) / 2)


def test_the_objective_is_the_sum_of_its_parts():
    batch = Batch(
        at(20.0),
        torch.tensor([0]),
        cloud=at(0.0),
        bank=at(-40.0, 0.0, 10.0, 90.0),
        bank_labels=torch.tensor([0, 0, 1, 1]),
        rows=torch.tensor([1]),
    )
    differences = by_hand([cosine(10), cosine(60)], [cosine(10), cosine(40)], 2.0, 1.0)
    assert D3still(neighbours=2)(batch).item() == pytest.approx(50 * (1 - cosine(20)) + differences)


def test_a_perfect_student_has_a_finite_gradient():
    cloud = torch.tensor([[0.9, 0.5, 0.2]])
    student = cloud.clone().requires_grad_()
    differential_distillation(student, cloud, inconsistent=2.0, consistent=1.0).backward()
    assert student.grad.isfinite().all()
