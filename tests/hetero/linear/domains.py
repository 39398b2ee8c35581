"""Patches of colour in several domains, and a model whose gallery knows the plain one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hetero.cli.main import main
from hetero.data.embeddings.file import save_embeddings
from hetero.data.images import Dataset, ImageSet
from hetero.linear.gallery import OldGallery
from hetero.metrics.task import RetrievalTask
from hetero.models.batch_norm import estimate_statistics
from hetero.models.config import ModelConfig, Stage
from hetero.models.directory import save_model
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.training.outcome import own_space

SHAPE = Preprocessing(height=16, width=16)
CLASSES = tuple("abcdef")
COUNTS = {"train": 6, "validation": 3, "test": 5}


def pixels(count: int, seed: int, negated: int) -> np.ndarray:
    """uint8 [classes * count, 16, 16, 3], class by class, the first channels of each negated."""
    patterns = np.random.default_rng(0).integers(0, 256, (len(CLASSES), 1, 2, 2, 3))
    noise = np.random.default_rng(seed).normal(0, 25, (len(CLASSES), count, 16, 16, 3))
    images = np.clip(patterns.repeat(8, axis=2).repeat(8, axis=3) + noise, 0, 255).reshape(-1, 16, 16, 3)
    images[..., :negated] = 255 - images[..., :negated]
    return images.astype(np.uint8)


def image_set(prefix: str, count: int, seed: int, negated: int = 0) -> ImageSet:
    images = pixels(count, seed, negated)
    return ImageSet(
        images=images,
        labels=np.repeat(np.arange(len(CLASSES)), count),
        classes=CLASSES,
        views=np.zeros(len(images), np.int64),
        view_names=("",),
        names=tuple(f"{prefix}/{label}/{row}.png" for label in CLASSES for row in range(count)),
        fingerprint=f"{prefix}{seed}",
    )


def domain(prefix: str, negated: int = 0) -> Dataset:
    sets = [
        image_set(f"{prefix}-{split}", count, 10 * seed + negated, negated)
        for seed, (split, count) in enumerate(COUNTS.items(), 1)
    ]
    tasks = [(RetrievalTask("all", *[np.arange(len(one))] * 2, exclude_self=True),) for one in sets[1:]]
    return Dataset(prefix, *sets, *tasks, fingerprint=prefix)


def model(directory: Path) -> EmbeddingModel:
    torch.manual_seed(0)
    config = ModelConfig(
        family="residual", dimension=16, stem_channels=16, stages=(Stage(channels=32, stride=2),), pool="avg"
    )
    made = EmbeddingModel("v1", config, SHAPE)
    estimate_statistics(made, torch.from_numpy(domain("old").train.images[:]))
    made.space = own_space(made)
    save_model(directory, made, {})
    return made


def gallery(by: EmbeddingModel) -> OldGallery:
    images = image_set("gallery", 4, 99)
    assert by.space is not None
    classes = tuple(label for label in CLASSES for _ in range(4))
    return OldGallery(embed_images(by, images.images), images.names, classes, by.space)


def write_all(data: Dataset, folder: Path) -> None:
    """As files, by split and class."""
    for split, images in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        for row, name in enumerate(images.names):
            _, label, file = name.split("/")
            path = folder / split / label / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images.images[np.array([row])][0]).save(path)


def called(*words: str) -> int:
    """Exit status of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code)


def write_place(folder: Path, **negated: int) -> Path:
    """Write a model ``v1``, its gallery ``old.safetensors``, and domains by name."""
    stored = gallery(model(folder / "v1"))
    save_embeddings(folder / "old.safetensors", stored.vectors, stored.names, stored.space)
    for name, channels in negated.items():
        write_all(domain(name, channels), folder / name)
    return folder


def adapted(folder: Path, monkeypatch: pytest.MonkeyPatch, *further: str) -> int:
    """Adapt the model in ``folder`` to ``new`` there, without anchors, as ``v2``."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HETERO_CACHE", str(folder / "cache"))
    options = ("--data", "new", "--gallery", "old.safetensors", "--anchors", "photos", "--out", "v2")
    return called("adapt", "v1", *options, "--part", "neck", "--anchor-weight", "0", *further)
