"""The loading of photos for a training loop as a user of torch writes it: a ``DataLoader`` over files, with Pillow."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance

BATCH, AREA = 64, (0.25, 1.0)


class Photos(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """A data set of files as a user writes it: opened, changed and resized with Pillow."""

    def __init__(self, place: Path, side: int, *, crops: bool) -> None:
        self.files = sorted((place / "files").rglob("*.jpg"))
        self.side, self.crops = side, crops

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.open(self.files[index]).convert("RGB")
        image = self.cropped(image) if self.crops else self.lightly_changed(image)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255), index

    def cropped(self, image: Image.Image) -> Image.Image:
        """Take a random crop, as torchvision's ``RandomResizedCrop`` does."""
        area = random.uniform(*AREA)
        aspect = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        width = min(image.width, image.width * math.sqrt(area * aspect))
        height = min(image.height, image.height * math.sqrt(area / aspect))
        left, top = random.uniform(0, image.width - width), random.uniform(0, image.height - height)
        box = (left, top, left + width, top + height)
        return image.resize((self.side, self.side), Image.Resampling.BILINEAR, box=box)

    def lightly_changed(self, image: Image.Image) -> Image.Image:
        """Turn, scale, shift and recolour a little."""
        image = image.resize((self.side, self.side), Image.Resampling.BILINEAR)
        angle, size = math.radians(random.uniform(-5, 5)), random.uniform(0.9, 1.1)
        cos, sin, middle = math.cos(angle) / size, math.sin(angle) / size, self.side / 2
        across, down = (middle + random.uniform(-0.05, 0.05) * self.side for _ in range(2))
        matrix = (cos, sin, across - (cos + sin) * middle, -sin, cos, down - (cos - sin) * middle)
        white = (255, 255, 255)
        image = image.transform(
            image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR, fillcolor=white
        )
        if random.random() < 0.05:
            image = image.convert("L").convert("RGB")
        image = ImageEnhance.Brightness(image).enhance(random.uniform(0.9, 1.1))
        return ImageEnhance.Contrast(image).enhance(random.uniform(0.9, 1.1))


def loader_of(place: Path, side: int, *, crops: bool) -> torch.utils.data.DataLoader[tuple[torch.Tensor, int]]:
    return torch.utils.data.DataLoader(
        Photos(place, side, crops=crops), BATCH, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )


def batches_of(loader: Any, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches of as many epochs as there are steps."""
    taken = 0
    while taken < steps:
        for batch in loader:
            if taken < steps:
                yield batch
            taken += 1
