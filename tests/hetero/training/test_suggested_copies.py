"""How many changed copies a training calls for."""

from __future__ import annotations

import pytest

import hetero
from hetero.training.schedule import fewest_steps
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


def test_an_open_end_counts_the_fewest_steps() -> None:
    open_end = hetero.TrainingConfig(steps="auto", validate_every=10, batch=EXHAUSTED)
    steps = fewest_steps(10)
    assert hetero.suggested_copies(open_end, steps) == COPIES
    assert hetero.suggested_copies(open_end, steps + 1) == 0
