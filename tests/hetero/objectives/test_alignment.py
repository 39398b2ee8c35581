"""What the objectives are for: a student that starts in a space of its own ends in the cloud's."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from hetero.objectives.batch import Batch
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.head import Head
from hetero.objectives.registry import build_objectives

CLASSES, EACH, DIMENSION = 12, 6, 8


def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cloud vectors in clusters, the same images as a student sees them (turned, and noisy), and labels."""
    generator = torch.Generator().manual_seed(0)
    centres = F.normalize(torch.randn(CLASSES, DIMENSION, generator=generator), dim=1)
    labels = torch.arange(CLASSES).repeat_interleave(EACH)
    cloud = F.normalize(centres[labels] + 0.1 * torch.randn(len(labels), DIMENSION, generator=generator), dim=1)
    turn = torch.linalg.qr(torch.randn(DIMENSION, DIMENSION, generator=generator))[0]
    return cloud, cloud @ turn + 0.02 * torch.randn(cloud.shape, generator=generator), labels


def asymmetric_hits(*terms: ObjectiveConfig) -> float:
    """Share of images whose first hit among the cloud's vectors, itself left out, is of their class."""
    cloud, seen, labels = scene()
    prototypes = F.normalize(torch.stack([cloud[labels == label].mean(dim=0) for label in range(CLASSES)]), dim=1)
    head = Head(CLASSES, DIMENSION, "arcface", 0.2, 16.0, cloud_prototypes=prototypes, seed=99, from_cloud=False)
    objectives = torch.nn.ModuleList([objective for _, objective in build_objectives(terms, head)])
    student = torch.nn.Linear(DIMENSION, DIMENSION)
    torch.nn.init.eye_(student.weight)
    torch.nn.init.zeros_(student.bias)
    optimizer = torch.optim.Adam([*student.parameters(), *objectives.parameters()], lr=0.03)
    rows = torch.arange(len(labels))
    for _ in range(100):
        embeddings = F.normalize(student(seen), dim=1)
        logits, old = 16 * embeddings @ prototypes.T, 16 * cloud @ prototypes.T
        batch = Batch(embeddings, labels, cloud, cloud, labels, rows, logits, old)
        optimizer.zero_grad()
        torch.stack([objective(batch) for objective in objectives]).sum().backward()
        optimizer.step()
    similarities = F.normalize(student(seen), dim=1).detach() @ cloud.T
    hits = labels[similarities.fill_diagonal_(-1).argmax(dim=1)] == labels
    return float(hits.float().mean())


@pytest.mark.parametrize(
    "name",
    [
        "backward_compatible",
        "hvs_composite",
        "cloud_contrastive",
        "instance_contrastive",
        "cloud_regression",
        "asymmetric_triplet",
        "csd",
        "raml",
        "rank_preserving",
        "d3still",
        "focal_retrieval",
    ],
)
def test_terms_that_look_at_the_cloud_bring_the_student_into_its_space(name):
    few = {"neighbours": 60} if name in ("csd", "rank_preserving") else {}
    assert asymmetric_hits(ObjectiveConfig(name, options=few)) > 0.95


@pytest.mark.parametrize("name", ["supervised_contrastive", "own_head", "pml:TripletMarginLoss"])
def test_terms_that_do_not_leave_it_in_a_space_of_its_own(name):
    if name.startswith("pml:"):
        pytest.importorskip("pytorch_metric_learning")
    assert asymmetric_hits(ObjectiveConfig(name)) < 0.4
