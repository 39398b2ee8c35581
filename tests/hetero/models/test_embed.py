"""Embedding many images: batch by batch, several at once, always the same vectors."""

from __future__ import annotations

import numpy as np
import torch

from hetero.models.config import ModelConfig, Stage
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing


def test_batches_at_once_give_the_bits_of_one_after_another():
    torch.manual_seed(0)
    config = ModelConfig(stem_channels=8, dimension=16, stages=(Stage(channels=8, stride=2),))
    model = EmbeddingModel("edge", config, Preprocessing(height=16, width=16)).train()
    images = np.random.default_rng(0).integers(0, 256, (37, 16, 16, 3), dtype=np.uint8)
    alone, together = (embed_images(model, images, batch_size=5, at_once=count) for count in (1, 4))
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, rtol=1e-6)
    assert model.training
    assert embed_images(model, images[:0], at_once=4).shape == (0, 16)
