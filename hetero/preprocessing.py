"""Preprocessing as data: what happens between an image file and the network.

An application decodes the file, turns it upright, and resizes it to ``height x width`` in RGB; everything after that
lives inside the model's graph: averaging blocks of pixels where ``shrink`` asks for it, scaling, mean and standard
deviation, channel order.
"""

from __future__ import annotations

import math
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
        grey_range: Of grey files of more than 8 bits, the values that become black and white, with those between in
            proportion: ``(0, 4095)`` for a camera of 12 bits. None: the files use all of 16 bits.
        mean: Per-channel mean (RGB) of pixel values scaled to 0..1.
        std: Per-channel standard deviation (RGB) of pixel values scaled to 0..1.
        orientation: EXIF orientation is applied before anything else.
        colour: RGB as stored; colour profiles are not applied, since phones hand their decoded pixels over without.
        antialias: Always: when shrinking, every source pixel counts.
        shrink: The graph averages blocks of so many pixels a side first, an operation that ONNX, LiteRT and Core ML all
            have exactly: the network proper sees ``height / shrink`` by ``width / shrink``. The larger the image that
            the graph takes, the less an application's own resizing can change.
    """

    height: int
    width: int
    resize: Resize = "pad"
    filter: Literal["bilinear", "bicubic"] = "bilinear"
    pad_value: int = 255
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    orientation: Literal["exif"] = "exif"
    colour: Literal["rgb"] = "rgb"
    antialias: Literal[True] = True
    shrink: int = 1
    grey_range: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable description; tuples become lists, and a grey range that is not stated is left out."""
        values = asdict(self)
        del values["grey_range"]
        stated = {} if self.grey_range is None else {"grey_range": [float(value) for value in self.grey_range]}
        return values | {"mean": list(self.mean), "std": list(self.std)} | stated

    @property
    def digest(self) -> str:
        """SHA-256 of the description: equal digests mean equal preprocessing."""
        return digest(self.to_dict())


def grey_range_problems(grey_range: tuple[float, float] | None) -> list[str]:
    """What is wrong with a stated grey range."""
    if grey_range is None or (all(map(math.isfinite, grey_range)) and grey_range[0] < grey_range[1]):
        return []
    return [f"grey_range: expected the value of black and a larger one of white, got {list(grey_range)}"]
