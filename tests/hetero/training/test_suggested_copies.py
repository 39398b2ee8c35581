"""How many changed copies a training calls for."""

from __future__ import annotations

import pytest

import hetero
from hetero.training.suggested_copies import COPIES, EXHAUSTED


def training(shown: int, **more: object) -> hetero.TrainingConfig:
    """A training that shows each of a hundred images so many times."""
    return hetero.TrainingConfig(steps=shown, batch=100, **more)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("shown", "copies"), [(1, 0), (EXHAUSTED - 1, 0), (EXHAUSTED, COPIES), (10_000, COPIES)])
def test_photos_that_are_exhausted_call_for_copies(shown: int, copies: int) -> None:
    assert hetero.suggested_copies(training(shown), 100) == copies


def test_a_batch_of_classes_counts_its_images() -> None:
    drawn = hetero.TrainingConfig(steps=100, classes_per_batch=20, images_per_class=4)
    assert hetero.suggested_copies(drawn, 8000 // EXHAUSTED) == COPIES
    assert hetero.suggested_copies(drawn, 8000 // EXHAUSTED + 1) == 0


def test_an_open_end_counts_the_most_steps() -> None:
    assert hetero.suggested_copies(hetero.TrainingConfig(steps="auto", max_steps=2000, batch=EXHAUSTED), 2000) == COPIES
