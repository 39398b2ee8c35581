"""Preprocessing as data: what happens between a decoded photo and the network.

The application resizes a decoded RGB image to ``height x width``; everything after that (scaling, mean and
standard deviation, channel order) lives inside the model's graph.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from hetero.files import digest
from hetero.schema import record

Resize = Literal["squash", "pad", "crop"]


@record
class Preprocessing:
    """How an image becomes the network's input.

    Attributes:
        height: Input height in pixels.
        width: Input width in pixels.
        resize: ``squash`` ignores the aspect ratio, ``pad`` fits the image on a ground of ``pad_value``,
            ``crop`` resizes the short side and takes the centre.
        filter: Resampling filter; always with antialiasing, as Pillow's ``Image.resize`` does it.
        pad_value: Grey level of the ground, 0 to 255.
        mean: Per-channel mean (RGB) of pixel values scaled to 0..1.
        std: Per-channel standard deviation (RGB) of pixel values scaled to 0..1.
    """

    height: int
    width: int
    resize: Resize = "pad"
    filter: Literal["bilinear", "bicubic"] = "bilinear"
    pad_value: int = 255
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable description; tuples become lists."""
        values = asdict(self)
        return values | {"mean": list(self.mean), "std": list(self.std)}

    @property
    def digest(self) -> str:
        """SHA-256 of the description: equal digests mean equal preprocessing."""
        return digest(self.to_dict())
