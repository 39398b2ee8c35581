"""Batch-norm statistics from images, by hand."""

import numpy as np
import pytest
import torch

from hetero.models.batch_norm import estimate_statistics
from hetero.models.config import ModelConfig, Stage
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing

CONFIG = ModelConfig(dimension=8, stem_channels=8, stages=(Stage(channels=8, stride=2),))
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8))


@pytest.fixture
def model() -> EmbeddingModel:
    torch.manual_seed(0)
    return EmbeddingModel("tiny", CONFIG, Preprocessing(height=16, width=16))


def test_statistics_are_means_over_batches(model):
    first = model.backbone[0]
    estimate_statistics(model, IMAGES, batch_size=3)
    with torch.no_grad():
        halves = [first[0](model.pixels(half)) for half in (IMAGES[:3], IMAGES[3:])]
    mean = torch.stack([half.mean(dim=(0, 2, 3)) for half in halves]).mean(dim=0)
    variance = torch.stack([half.var(dim=(0, 2, 3)) for half in halves]).mean(dim=0)
    torch.testing.assert_close(first[1].running_mean, mean)
    torch.testing.assert_close(first[1].running_var, variance)


def test_what_the_norms_held_before_does_not_matter_and_they_stay_as_they_were_made(model):
    estimate_statistics(model, IMAGES)
    expected = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    for module in model.modules():
        if hasattr(module, "running_mean"):
            module.running_mean.fill_(7.0)
    estimate_statistics(model, IMAGES)
    assert all(torch.equal(tensor, expected[key]) for key, tensor in model.state_dict().items())
    assert not any(module.training for module in model.modules())
    assert {module.momentum for module in model.modules() if hasattr(module, "momentum")} == {0.1}


def test_later_norms_see_earlier_ones_normalise_by_the_batch_itself(model):
    estimate_statistics(model, IMAGES)
    with torch.no_grad():
        features = model.train().embedding(model.pool(model.backbone(model.pixels(IMAGES))))
    torch.testing.assert_close(model.neck.running_mean, features.mean(dim=0))
    torch.testing.assert_close(model.neck.running_var, features.var(dim=0))


def test_batches_are_of_about_equal_size(model):
    seen: list[int] = []
    model.register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
    estimate_statistics(model, IMAGES, batch_size=5)
    assert seen == [3, 3]
