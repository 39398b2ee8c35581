"""Four classes of coloured noise at 16 pixels, and models small enough to train in a second."""

from __future__ import annotations

import numpy as np

from hetero.data.images import Dataset, ImageSet
from hetero.metrics.task import RetrievalTask
from hetero.models.config import ModelConfig, Stage
from hetero.preprocessing import Preprocessing
from hetero.training.config import CloudConfig, TrainingConfig

SHAPE = Preprocessing(height=16, width=16)
CLASSES = ("a", "b", "c", "d")


def cloud(dimension: int = 8, *, steps: int = 4, name: str = "cloud", version: str = "1") -> CloudConfig:
    training = TrainingConfig(
        steps=steps, classes_per_batch=4, images_per_class=2, validate_every=2, checkpoint_every=2, threads=1
    )
    stages = (Stage(channels=16, stride=2),)
    model = ModelConfig(family="residual", dimension=dimension, stem_channels=8, stages=stages)
    return CloudConfig(name=name, version=version, model=model, training=training)


def image_set(prefix: str, per_class: int, seed: int, classes: tuple[str, ...] = CLASSES) -> ImageSet:
    count = len(classes) * per_class
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 100, (count, 16, 16, 3), dtype=np.uint8)
    labels = np.repeat(np.arange(len(classes)), per_class)
    for row, label in enumerate(labels):
        images[row, :, :, CLASSES.index(classes[label]) % 3] += 100
    return ImageSet(
        images=images,
        labels=labels,
        classes=classes,
        views=np.zeros(count, np.int64),
        view_names=("all",),
        names=tuple(f"{prefix}/{row}" for row in range(count)),
        fingerprint=prefix + "".join(classes),
    )


def dataset(classes: tuple[str, ...] = CLASSES) -> Dataset:
    task = (RetrievalTask("all", np.arange(8), np.arange(8), exclude_self=True),)
    sets = image_set("t", 4, 0, classes), image_set("v", 2, 1), image_set("e", 2, 2)
    return Dataset("tiny", *sets, task, task, "tiny" + "".join(classes))
