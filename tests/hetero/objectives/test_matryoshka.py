"""Prefixes of a vector, worked out by hand on two classes in four dimensions."""

from __future__ import annotations

import math

import pytest
import torch

from hetero.objectives.batch import Batch
from hetero.objectives.head import Head
from hetero.objectives.matryoshka import Matryoshka, prefix_lengths

HEAD = Head(classes=2, dimension=4, kind="none", margin=0.0, scale=2.0)


def term(prototypes: list[list[float]], **options: int) -> Matryoshka:
    loss_term = Matryoshka(HEAD, **options)
    with torch.no_grad():
        loss_term.prototypes.copy_(torch.tensor(prototypes))
    return loss_term


def test_the_lengths_double_and_end_with_the_whole() -> None:
    assert prefix_lengths(128, 8) == (8, 16, 32, 64, 128)
    assert prefix_lengths(100, 24) == (24, 48, 96, 100)
    assert prefix_lengths(8, 8) == (8,) and prefix_lengths(8, 16) == (8,)


def test_each_prefix_is_classified_by_the_same_prefix_of_the_prototypes() -> None:
    # In the first coordinate alone the image is its class's, in the first two it is at 45 degrees to both classes; in
    # all four the prototypes are the same two directions, since their rest is zero, and the image halfway to them.
    loss_term = term([[3.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]], shortest=2)
    image = torch.tensor([[0.5, 0.5, 0.5, 0.5]])
    assert loss_term.lengths == (2, 4)
    even = math.log(2)
    assert loss_term(Batch(image, torch.tensor([0]))).item() == pytest.approx(even, abs=1e-6)
    image = torch.tensor([[0.6, 0.0, 0.8, 0.0]])
    # Prefix: cosines 1 and 0; whole: 0.6 and 0. The scale is 2.
    by_hand = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(-1.2))]
    assert loss_term(Batch(image, torch.tensor([0]))).item() == pytest.approx(sum(by_hand) / 2, abs=1e-6)


def test_the_margin_is_the_heads() -> None:
    loss_term = Matryoshka(Head(2, 4, "cosface", 0.25, 2.0), shortest=4)
    with torch.no_grad():
        loss_term.prototypes.copy_(torch.eye(4)[:2])
    loss = loss_term(Batch(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), torch.tensor([0])))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2 * 0.75)), abs=1e-6)
