"""Which objectives learn from labels, and what is said where there are none."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from hetero.objectives.batch import Batch
from hetero.objectives.catalog import CATALOG, Declaration, entry_of
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.head import Head
from hetero.objectives.labels import label_problems, needing_labels, without_labels
from hetero.objectives.registry import build_objective
from hetero.own_code import VARIABLE

OPTIONS = {"csd": {"neighbours": 5}, "rank_preserving": {"neighbours": 5}, "d3still": {"neighbours": 5}}


def directed(*labels: int) -> Batch:
    """Eight images, each of its own class or as said, in a cloud's bank."""
    generator = torch.Generator().manual_seed(0)
    cloud = F.normalize(torch.randn(8, 4, generator=generator), dim=1)
    classes = torch.tensor(labels or range(8))
    return Batch(
        F.normalize(torch.randn(8, 4, generator=generator), dim=1).requires_grad_(),
        classes, cloud, bank=cloud, bank_labels=classes, rows=torch.arange(8),
    )  # fmt: skip


def test_these_learn_from_the_cloud_alone() -> None:
    assert without_labels() == ["instance_contrastive", "cloud_regression", "csd", "d3still", "raml", "rank_preserving"]


@pytest.mark.parametrize("name", without_labels())
def test_what_needs_no_labels_moves_every_image_without_a_class_mate(name: str) -> None:
    head = Head(0, 4, "arcface", 0.2, 16.0, cloud_prototypes=torch.zeros(0, 4))
    batch = directed()
    build_objective(ObjectiveConfig(name, **OPTIONS.get(name, {})), head)(batch).backward()
    assert batch.embeddings.grad is not None
    assert (batch.embeddings.grad.norm(dim=1) > 1e-4).all()


@pytest.mark.parametrize("name", ["supervised_contrastive", "asymmetric_triplet"])
def test_what_needs_them_stands_still_without(name: str) -> None:
    objective = build_objective(ObjectiveConfig(name), Head(0, 4, "arcface", 0.2, 16.0))
    assert objective(directed()) == 0 < objective(directed(0, 0, 1, 1, 2, 2, 3, 3))


def test_an_own_head_says_that_it_needs_them() -> None:
    for name, entry in CATALOG.items():
        if isinstance(entry, Declaration) and (entry.takes_head or "own_head" in entry.needs):
            assert "labels" in entry.needs, name


def says_nothing(batch: Batch) -> torch.Tensor:
    return batch.embeddings.sum()


def needs_none(batch: Batch) -> torch.Tensor:
    return batch.embeddings.sum()


needs_none.needs = frozenset()  # type: ignore[attr-defined]


def test_composites_and_objectives_from_elsewhere_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    terms = [
        "cloud_regression",
        "hvs_composite",
        "pml:TripletMarginLoss",
        f"{__name__}:says_nothing",
        f"{__name__}:needs_none",
    ]
    expected = ["hvs_composite", "pml:TripletMarginLoss", f"{__name__}:says_nothing"]
    assert needing_labels([ObjectiveConfig(name) for name in [*terms, "no_such"]]) == expected


def test_one_line_says_what_is_wrong_and_what_to_use() -> None:
    terms = [ObjectiveConfig("own_head"), ObjectiveConfig("cloud_contrastive")]
    assert label_problems(terms, unlabelled=0, images=9) == []
    assert label_problems([ObjectiveConfig("csd")], unlabelled=9, images=9) == []
    (line,) = label_problems(terms, unlabelled=9, images=9)
    assert line.startswith(
        "own_head, cloud_contrastive learn from the labels of the 9 training images, and none has one"
    )
    assert "use instance_contrastive, cloud_regression" in line
    (line,) = label_problems(terms[:1], unlabelled=2, images=9, has_cloud=False)
    assert "own_head learns from the labels of the 9 training images, and 2 of them have none; bring labels" in line


def test_earlier_spellings_of_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    path = f"{__name__}:spelt_before"
    assert entry_of(path).needs == {"labels"}
    spelt_before.needs_labels = False  # type: ignore[attr-defined]
    spelt_before.uses_logits = True  # type: ignore[attr-defined]
    assert entry_of(path).needs == {"own_head"}


def spelt_before(batch: Batch) -> torch.Tensor:
    return batch.embeddings.sum()
