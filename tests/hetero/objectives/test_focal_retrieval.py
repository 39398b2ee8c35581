"""The retrieval form of focal distillation, on the circle."""

import pytest
import torch

from hetero.objectives.batch import Batch
from hetero.objectives.focal_retrieval import FocalRetrieval
from tests.hetero.objectives.angles import at, cosine

# The old model's first hit is right for the image at 0 (its neighbour at 10) and wrong for the one at 90 (at 80).
BATCH = Batch(
    at(5.0, 60.0),
    torch.tensor([0, 0]),
    cloud=at(0.0, 90.0),
    bank=at(0.0, 10.0, 80.0, 90.0),
    bank_labels=torch.tensor([0, 0, 1, 0]),
    rows=torch.tensor([0, 3]),
)


def test_images_whose_first_hit_was_right_weigh_more():
    expected = (6 * (1 - cosine(5)) + 1 * (1 - cosine(30))) / 2
    assert FocalRetrieval()(BATCH).item() == pytest.approx(expected)


def test_the_image_itself_is_no_hit():
    without_rows = Batch(BATCH.embeddings, BATCH.labels, BATCH.cloud, BATCH.bank, BATCH.bank_labels)
    expected = 6 * ((1 - cosine(5)) + (1 - cosine(30))) / 2
    assert FocalRetrieval()(without_rows).item() == pytest.approx(expected)


def test_similarities_to_the_bank_can_be_held_instead():
    term = FocalRetrieval(alpha=0.0, beta=1.0, distance="similarities")
    moved = [cosine(angle - 5) - cosine(angle) for angle in (0, 10, 80, 90)]
    assert term(BATCH).item() == pytest.approx(0.5 * sum(value**2 for value in moved) / 4 / 2)
