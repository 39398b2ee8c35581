"""The loop that a user would write for a frozen cloud in plain PyTorch: files, one loss, AdamW along a cosine."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

import hetero
from benchmarks.frozen_cloud_methods import FLIP, LOOPS
from hetero import EmbeddingModel, ImageSet
from hetero.training.budget import fit_budget
from hetero.training.optimisation.rates import decay

SMALLEST_CROP = 0.8
"""Of a photo's side."""


class Photos(Dataset[tuple[Tensor, Tensor]]):
    """Photos, mirrored and cropped at random, with the cloud's vectors of the whole photos.

    Attributes:
        reading: CPU seconds that reading and fitting the files has taken.
    """

    def __init__(self, files: list[Path], vectors: np.ndarray, side: int) -> None:
        self.reading = 0.0
        self._files, self._vectors, self._size = files, torch.from_numpy(vectors), (side, side)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        started = time.process_time()
        with Image.open(self._files[row]) as file:
            photo = ImageOps.pad(file.convert("RGB"), self._size, color="white")
        self.reading += time.process_time() - started
        share, left, top, mirror = torch.rand(4).tolist()
        side = self._size[0] * (SMALLEST_CROP + (1 - SMALLEST_CROP) * share)
        left, top = left * (self._size[0] - side), top * (self._size[0] - side)
        photo = photo.resize(self._size, Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        if mirror < FLIP:
            photo = ImageOps.mirror(photo)
        return torch.from_numpy(np.array(photo)).permute(2, 0, 1) / 255, self._vectors[row]


def train_by_hand(
    images: ImageSet, vectors: np.ndarray, config: hetero.StudentConfig, *, cloud_macs: int, seed: int
) -> tuple[EmbeddingModel, float]:
    """Train a student of the same architecture, on one thread; its last weights are taken.

    Args:
        images: Of square photos, each named after its file.
        vectors: float32 [n, d], the cloud's.
        config: Budget, batch, steps and learning rate; its name is that of a loss in :data:`LOOPS`.
        cloud_macs: The cloud's cost.
        seed: Fixes weights, batches and changes.

    Returns:
        The student, and the CPU seconds that went into reading files.
    """
    takes, training, distance = images.preprocessing, config.training, LOOPS[config.name]
    assert takes is not None and training.steps != "auto" and training.learning_rate
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = EmbeddingModel(config.name, fit_budget(config, vectors.shape[1], takes, cloud_macs), takes)
    photos = Photos([Path(name) for name in images.names], vectors, takes.width)
    steps, warm = training.steps, max(1, round(training.warmup * training.steps))
    sampler = RandomSampler(photos, num_samples=steps * training.batch)
    optimizer = torch.optim.AdamW(model.parameters(), training.learning_rate, weight_decay=decay(training))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / steps)))
    )
    for pixels, targets in DataLoader(photos, training.batch, sampler=sampler):
        loss = distance(model.embed(pixels), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval(), photos.reading
