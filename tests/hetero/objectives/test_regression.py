import math

import pytest
import torch

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.regression import CloudRegression, cloud_regression


def test_it_is_one_minus_the_cosine_and_half_the_squared_distance():
    angles = torch.tensor([0.0, math.pi / 3])
    student = torch.stack([angles.cos(), angles.sin()], dim=1)
    cloud = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    value = cloud_regression(student, cloud)
    assert value.item() == pytest.approx((0 + 0.5) / 2, abs=1e-6)
    assert value.item() == pytest.approx(float((student - cloud).square().sum(dim=1).mean() / 2), abs=1e-6)


def test_without_a_cloud_it_is_an_error():
    with pytest.raises(InputError, match="cloud model's embeddings"):
        CloudRegression()(Batch(torch.eye(2), torch.arange(2)))
