"""Holding on to the student that is replaced: by hand in the plane."""

import pytest
import torch

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.focal_update import FocalUpdate
from tests.hetero.objectives.angles import at, cosine

LABELS = torch.tensor([0, 1])


def old(*right: bool) -> dict[str, torch.Tensor]:
    return {"previous": at(30, 150), "previous_right": torch.tensor(right)}


def test_images_that_were_right_weigh_more_by_hand():
    batch = Batch(at(0, 90), LABELS, inputs=old(True, False))
    expected = (6 * (1 - cosine(30)) + 1 * (1 - cosine(60))) / 2
    assert float(FocalUpdate()(batch)) == pytest.approx(expected)
    assert float(FocalUpdate(alpha=0.0, beta=1.0)(batch)) == pytest.approx((1 - cosine(30)) / 2)


def test_a_longer_vector_is_truncated_and_scaled():
    longer = torch.cat([at(0, 90) * 0.6, torch.full((2, 1), 0.8, dtype=torch.float64)], dim=1)
    batch = Batch(longer, LABELS, inputs=old(True, True))
    assert float(FocalUpdate(alpha=1.0, beta=0.0)(batch)) == pytest.approx((2 - cosine(30) - cosine(60)) / 2)


def test_its_gradient_is_right():
    def value(raw):
        embeddings = torch.nn.functional.normalize(raw, dim=1)
        return FocalUpdate()(Batch(embeddings, LABELS, inputs=old(True, False)))

    raw = torch.tensor([[1.0, 0.2, 0.3], [0.1, 0.9, -0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(value, (raw,))


def test_without_the_old_student_it_says_what_to_give():
    with pytest.raises(InputError, match="previous="):
        FocalUpdate()(Batch(at(0, 90), LABELS))
