"""How many changed copies a training calls for."""

from __future__ import annotations

import pytest

import hetero
from hetero.training.suggested_copies import EXHAUSTED, MOST, SHOWN


def training(shown: int, **more: object) -> hetero.TrainingConfig:
    """A training that shows each of a hundred images so many times."""
    return hetero.TrainingConfig(steps=shown, batch=100, **more)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("shown", "copies"),
    [(1, 0), (EXHAUSTED - 1, 0), (EXHAUSTED, EXHAUSTED // SHOWN), (85, 8), (10_000, MOST)],
)
def test_each_copy_is_shown_about_ten_times(shown: int, copies: int) -> None:
    assert hetero.suggested_copies(training(shown), 100) == copies


def test_a_batch_of_classes_counts_its_images() -> None:
    drawn = hetero.TrainingConfig(steps=100, classes_per_batch=20, images_per_class=4)
    assert hetero.suggested_copies(drawn, 100) == hetero.suggested_copies(training(80), 100) == 8


def test_an_open_end_counts_the_most_steps() -> None:
    assert hetero.suggested_copies(hetero.TrainingConfig(steps="auto", max_steps=2000, batch=10), 250) == 8
