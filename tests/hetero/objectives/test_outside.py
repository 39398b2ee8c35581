"""Objectives that are not of this package: pytorch-metric-learning's, and a user's own functions and modules."""

from __future__ import annotations

import sys

import pytest
import torch
from torch.nn import functional as F

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.catalog import compares_classes, problems_of
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.head import Head
from hetero.objectives.registry import build_objective, build_objectives
from hetero.own_code import VARIABLE
from tests.hetero.objectives.test_catalog import training_step

HEAD = Head(3, 4, "arcface", 0.2, 16.0, seed=7)
MINE = """
import torch
from torch import nn

def angle(batch, *, margin: float = 0.1, squared: bool = False):
    values = torch.relu(1 - (batch.embeddings * batch.cloud).sum(dim=1) - margin)
    return (values.square() if squared else values).mean()

def answers(batch, scale=1):
    return scale * (batch.logits - batch.cloud_logits).abs().mean()

answers.needs = {"cloud", "labels", "own_head"}

def near(batch):
    return (1 - (batch.embeddings * batch.cloud).sum(dim=1)).mean()

near.needs = {"cloud"}

class Learnt(nn.Module):
    def __init__(self, start: float = 2.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(start))

    def forward(self, batch):
        return self.weight * batch.embeddings.square().sum(dim=1).mean()

def greedy(batch, other):
    return 0

nothing = 3
"""


@pytest.fixture(autouse=True)
def my_losses(tmp_path, monkeypatch):
    (tmp_path / "my_losses.py").write_text(MINE)
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("my_losses", None)


def test_a_function_of_a_batch_is_an_objective_and_its_arguments_are_options():
    vectors = F.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    batch = Batch(vectors[:3], torch.arange(3), cloud=vectors[3:])
    term = build_objective(ObjectiveConfig("my_losses:angle", margin=0.5, squared=True), HEAD)
    distances = [max(0.0, 1 - float(a @ b) - 0.5) ** 2 for a, b in zip(vectors[:3], vectors[3:], strict=True)]
    assert term(batch).item() == pytest.approx(sum(distances) / 3, abs=1e-6)


def test_it_trains_beside_others_and_may_have_weights_or_ask_for_logits():
    terms = ["own_head", "my_losses:angle", "my_losses:answers", "my_losses:Learnt"]
    assert list(training_step([ObjectiveConfig(name) for name in terms])) == terms
    assert build_objective(ObjectiveConfig("my_losses:Learnt", start=3), HEAD).weight.item() == 3.0


@pytest.mark.parametrize(
    ("name", "by_class"),
    [("near", False), ("answers", True), ("angle", True)],  # the last says nothing, so it may look at labels
)
def test_what_it_needs_decides_whether_batches_hold_several_images_of_a_class(name, by_class):
    assert compares_classes([ObjectiveConfig(f"my_losses:{name}")]) == by_class


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (ObjectiveConfig("my_losses:angle", width=1.0), "width: unknown option; expected margin, squared"),
        (ObjectiveConfig("my_losses:angle", margin="wide"), "margin: expected a number, got 'wide'"),
        (ObjectiveConfig("my_losses:missing"), "unknown objective 'my_losses:missing': module 'my_losses' has no"),
        (ObjectiveConfig("no_such_module:term"), "No module named 'no_such_module'; expected module:name"),
        (ObjectiveConfig("my_losses:greedy"), "needs other, which a recipe cannot give"),
        (ObjectiveConfig("my_losses:nothing"), "is not a function of a batch"),
        (ObjectiveConfig("pml:TripletMarginLoss", width=1.0), "pml:TripletMarginLoss.width: unknown option"),
        (ObjectiveConfig("pml:TripletLoss"), "no loss TripletLoss; did you mean .*pml:TripletMarginLoss"),
        (ObjectiveConfig("pml:CrossBatchMemory"), "needs loss, which a recipe cannot give"),
    ],
)
def test_what_cannot_be_built_is_told_with_the_recipes_other_mistakes(term, message):
    with pytest.raises(InputError, match=message):
        raise InputError("\n".join(problems_of([term], has_cloud=True)))


def test_metric_learning_losses_see_embeddings_and_labels():
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    vectors = F.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(1)), dim=1)
    batch = Batch(vectors, torch.tensor([0, 0, 1, 1, 2, 2]))
    for margin in (0.1, 1):
        term = build_objective(ObjectiveConfig("pml:TripletMarginLoss", margin=margin), HEAD)
        torch.testing.assert_close(term(batch), losses.TripletMarginLoss(margin=margin)(vectors, batch.labels))
    term = build_objective(ObjectiveConfig("pml:ContrastiveLoss", neg_margin=0.5), HEAD)
    torch.testing.assert_close(term(batch), losses.ContrastiveLoss(neg_margin=0.5)(vectors, batch.labels))


def test_a_metric_learning_classifier_has_the_heads_size_and_seed():
    first, again, other = (
        build_objective(ObjectiveConfig("pml:ProxyAnchorLoss"), Head(3, 4, "arcface", 0.2, 16.0, seed=seed))
        for seed in (1, 1, 2)
    )
    assert first.loss.proxies.shape == (3, 4)
    assert torch.equal(first.loss.proxies, again.loss.proxies)
    assert not torch.equal(first.loss.proxies, other.loss.proxies)
    names = ["pml:ProxyAnchorLoss", "cloud_regression"]
    assert list(training_step([ObjectiveConfig(name) for name in names])) == names


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    with pytest.raises(InputError, match=r"pip install 'hetero\[metric-learning\]'"):
        build_objectives([ObjectiveConfig("pml:TripletMarginLoss")], HEAD)
