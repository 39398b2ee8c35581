from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SIZES = ((120, 90), (90, 120), (160, 51), (51, 160), (75, 75), (30, 47), (601, 133))
"""Width and height of the golden files: wide, tall, square, smaller than any input, and with odd remainders."""


@pytest.fixture(scope="session")
def goldens(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures with edges and gradients, as files."""
    folder, files = tmp_path_factory.mktemp("goldens"), []
    for index, (width, height) in enumerate(SIZES):
        blocks = np.random.default_rng(index).integers(0, 256, (height // 5 + 2, width // 5 + 2, 3), dtype=np.uint8)
        filter_ = Image.Resampling.NEAREST if index % 2 else Image.Resampling.BICUBIC
        files.append(folder / f"{width}x{height}.png")
        Image.fromarray(blocks).resize((width, height), filter_).save(files[-1])
    return files


@pytest.fixture
def across_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Pillow resize pictures across and then down, as it did before version 13 and as the contract says.

    Since then it begins downwards with tall pictures, which rounds and clips otherwise, in whatever library calls it.
    """
    whole: Callable[..., Image.Image] = Image.Image.resize

    def resize(image: Image.Image, size: tuple[int, int], resample: Any = None, **rest: Any) -> Image.Image:
        across = whole(image, (size[0], image.height), resample, **rest)
        return whole(across, size, resample)

    monkeypatch.setattr(Image.Image, "resize", resize)
