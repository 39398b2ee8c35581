"""Image files for tests, written where a test wants them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_picture(path: Path, seed: int = 0, size: tuple[int, int] = (12, 9)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_classes(root: Path, classes: dict[str, int], start: int = 0) -> Path:
    """A folder of class folders with this many images each, all of different content."""
    seed = start
    for label, count in classes.items():
        for number in range(count):
            seed += 1
            write_picture(root / label / f"{number:03}.png", seed)
    return root


def write_flat(root: Path, count: int, start: int = 0, size: tuple[int, int] = (24, 18)) -> Path:
    """A folder with this many different pictures in it, each a few large patches of colour."""
    root.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        blocks = np.random.default_rng(start + number).integers(0, 256, (3, 4, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC).save(root / f"{number:03}.png")
    return root
