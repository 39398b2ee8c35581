"""A space of small networks, noise to train them on, and a cloud whose vectors are near its classes' directions."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hetero.data.images import Dataset, ImageSet
from hetero.metrics.task import RetrievalTask
from hetero.models.config import Stage
from hetero.nas.space.space import SearchSpace
from hetero.nas.space.stage_space import StageSpace
from hetero.nas.supernet.config import SupernetConfig
from hetero.nas.supernet.shared_weights import Frame
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from hetero.training.config import TrainingConfig
from hetero.training.reference.cloud_reference import CloudReference, class_means

SHAPE = Preprocessing(height=16, width=16)
SPACE = SearchSpace(
    stages=(
        StageSpace(channels=(8, 16), stride=2, kernel=(3, 5), expansion=(1.0, 2.0), activation=("relu", "hardswish")),
        StageSpace(
            channels=(16, 24),
            depth=(1, 2),
            stride=2,
            kernel=(3, 5, 7),
            expansion=(1.0, 2.0),
            squeeze_excite=(False, True),
        ),
    ),
    kind=("inverted_residual", "shuffle"),
    stem_channels=8,
)
FRAME = Frame(SPACE, 8, SHAPE)
CONFIG = SupernetConfig(
    calibration=8,
    training=TrainingConfig(
        steps=4,
        classes_per_batch=3,
        images_per_class=2,
        validate_every=2,
        checkpoint_every=2,
        threads=1,
    ),
)


class OwnBlock(nn.Module):
    """A block as a user might write it: one convolution, and a weight that no other block has."""

    def __init__(self, inputs: int, outputs: int, stride: int, stage: Stage) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, stage.kernel, stride, stage.kernel // 2)
        self.gain = nn.Parameter(torch.ones(outputs, 1, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.convolution(features).relu() * self.gain


class CrossedBlock(nn.Module):
    """A tensor of it shrinks on one axis where it grows on the other, so that two such blocks cannot share."""

    def __init__(self, inputs: int, outputs: int, stride: int, stage: Stage) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, stage.kernel, stride, stage.kernel // 2)
        self.odd = nn.Parameter(torch.ones(16 - stage.kernel, stage.kernel))


def images(prefix: str, classes: int, per_class: int, seed: int) -> ImageSet:
    count = classes * per_class
    return ImageSet(
        images=np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8),
        labels=np.repeat(np.arange(classes), per_class),
        classes=tuple(f"{prefix}{index}" for index in range(classes)),
        views=np.zeros(count, np.int64),
        view_names=("all",),
        names=tuple(f"{prefix}/{row}" for row in range(count)),
        fingerprint=prefix,
    )


def dataset() -> Dataset:
    rows = np.arange(12)
    tasks = (RetrievalTask("all", rows, rows, exclude_self=True), RetrievalTask("halves", rows[::3], rows[1::3]))
    sets = images("t", 3, 4, 0), images("v", 4, 3, 1), images("e", 4, 3, 2)
    return Dataset("tiny", *sets, tasks, tasks, "tiny")


def cloud(data: Dataset) -> CloudReference:
    space = EmbeddingSpace.define(defined_by="noise", name="cloud", version="1", dimension=8)
    train, validation = (
        vectors(np.asarray(part.labels), 3 + i) for i, part in enumerate((data.train, data.validation))
    )
    means = class_means(train, np.asarray(data.train.labels), len(data.train.classes))
    return CloudReference(space, train, means, validation)


def vectors(labels: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(labels.max() + 1, 8))[labels] + 0.3 * rng.normal(size=(len(labels), 8))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
