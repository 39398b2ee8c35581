"""The cloud decides whether students may see images mirrored."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from hetero.models.external.embedders import ModuleEmbedder
from hetero.preprocessing import Preprocessing
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.reference.mirrored import takes_mirrored_alike
from tests.hetero.training.test_student import SHAPE, dataset

__all__ = ["dataset"]
IMAGES = np.random.default_rng(0).integers(0, 256, (200, 4, 6, 3), dtype=np.uint8)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def columns(images: np.ndarray) -> np.ndarray:
    """Tells left from right."""
    return unit(images.mean(axis=1).reshape(len(images), -1) - 127.0)


def rows(images: np.ndarray) -> np.ndarray:
    """Does not."""
    return unit(images.mean(axis=2).reshape(len(images), -1) - 127.0)


def test_a_model_that_tells_left_from_right_does_not_take_them_for_the_same():
    assert not takes_mirrored_alike(columns, IMAGES, columns(IMAGES))
    assert takes_mirrored_alike(rows, IMAGES, rows(IMAGES))


def test_equal_images_count_as_one():
    twice = np.concatenate([IMAGES, IMAGES])
    assert takes_mirrored_alike(rows, twice, rows(twice))


def test_it_is_part_of_what_is_known_of_a_cloud(dataset):
    class Pooled(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels.mean(dim=3).flatten(1) + 0.01

    takes = Preprocessing(height=SHAPE.height, width=SHAPE.width)
    cloud = CloudReference.from_embedder(ModuleEmbedder(Pooled(), takes), dataset)
    assert cloud.mirrors
    assert cloud.identity != dataclasses.replace(cloud, mirrors=False).identity
