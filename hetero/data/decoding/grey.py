"""Grey files of more than 8 bits: X-rays, depth, machine cameras. The files do not state which value is white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

Range = tuple[float, float]
_LARGEST = 65535
_DARK_BELOW = 32768


@dataclass(frozen=True)
class DeepGrey:
    """The values of grey files of more than 8 bits.

    Attributes:
        images: Number of files.
        lowest: Smallest value in any of them.
        highest: Largest value in any of them.
    """

    images: int
    lowest: float
    highest: float

    def joined(self, other: DeepGrey | None) -> DeepGrey:
        """Combine the values of both."""
        if other is None:
            return self
        return DeepGrey(self.images + other.images, min(self.lowest, other.lowest), max(self.highest, other.highest))

    def values(self) -> str:
        """Write the smallest and the largest value, for people."""
        return f"{_number(self.lowest)} to {_number(self.highest)}"

    def problem(self, grey_range: Range | None) -> str:
        """Return the problem with reading them as 16 bits, when no range is stated; empty when there is none.

        Data that never uses the top bit of 16 has fewer bits, and would become dark, or black.
        """
        if grey_range is not None:
            return ""
        values = f"{self.images} grey images of more than 8 bits hold values of {self.values()}"
        if self.lowest < 0 or self.highest > _LARGEST:
            return f"{values}, which are not those of 16 bits; {_state(self.lowest, self.highest)}"
        if self.highest < _DARK_BELOW:
            level = int(self.highest) >> 8
            likely = 2.0 ** max(1, int(self.highest).bit_length()) - 1
            return (
                f"{values}: read as 16 bits, their brightest pixel would be {level} of 255; "
                f"{_state(0.0, likely)}, or [0, {_LARGEST}] if they are meant to be so dark"
            )
        return ""


def _state(lowest: float, highest: float) -> str:
    return (
        "state which values are black and white under [preprocessing], for instance "
        f"grey_range = [{_number(lowest)}, {_number(highest)}]"
    )


def _number(value: float) -> str:
    """Write a pixel's value, for people."""
    return str(int(value)) if value == int(value) else f"{value:g}"


def is_deep(image: Image.Image) -> bool:
    """Return True if an image is grey with more than 8 bits a pixel."""
    return image.mode == "F" or image.mode.startswith("I")


def eight_bits(image: Image.Image, grey_range: Range | None) -> tuple[Image.Image, DeepGrey]:
    """Bring a deep grey image to 8 bits.

    Args:
        image: An image of mode ``I``, a variant of ``I;16``, or ``F``.
        grey_range: The values of black and white; None for 0 and 65535, where the high byte is taken.

    Raises:
        ValueError: For floating-point pixels without a range, since they have no common one, or that are not finite.
    """
    values: Any = np.asarray(image)
    if image.mode == "F" and grey_range is None:
        raise ValueError(
            "floating-point pixels have no agreed range; state it under [preprocessing], for instance "
            "grey_range = [0.0, 1.0], or convert the file to 8 or 16 bit"
        )
    if not np.isfinite(values).all():
        raise ValueError("floating-point pixels that are not finite")
    deep = DeepGrey(1, float(values.min()), float(values.max()))
    if grey_range is None:
        # Pillow clips 16-bit grey when it converts.
        levels = values.astype(np.int64).clip(0, _LARGEST) >> 8
    else:
        low, high = grey_range
        levels = np.floor((values.astype(np.float64) - low) / (high - low) * 255 + 0.5).clip(0, 255)
    return Image.fromarray(levels.astype(np.uint8)), deep
