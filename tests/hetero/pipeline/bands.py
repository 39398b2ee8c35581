"""Photos whose classes differ by a band of colour."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def write_bands(folder: Path, counts: Mapping[str, int], *, side: int, step: int, width: int) -> None:
    """Write photos of four classes, ``SPLIT/CLASS/NUMBER.png``.

    Args:
        folder: The data set's folder.
        counts: Photos of a class, by split.
        side: Height and width of a photo.
        step: Distance between two classes' bands.
        width: Width of a band.
    """
    generator = np.random.default_rng(1)
    for split, count in counts.items():
        for label in range(4):
            place = folder / split / f"class{label}"
            place.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 110, (side, side, 3), dtype=np.uint8)
                pixels[step * label : step * label + width, :, label % 3] += 120
                Image.fromarray(pixels).save(place / f"{index}.png")
