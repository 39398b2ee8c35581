"""Preprocessing as data: the steps between an image file and the network.

An application decodes the file, turns it upright, and resizes it to ``height x width`` in RGB; everything after that is
part of the model's graph: averaging blocks of pixels where ``shrink`` is above one, scaling, mean and standard
deviation, channel order.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, Literal

from hetero.constraints import Count, GreyLevel, Positive, Share, Side
from hetero.files import digest
from hetero.schema import settings

Resize = Literal["squash", "pad", "crop"]

DESCRIBED_AS = "hetero.preprocessing"
"""Key of the preprocessing in an exported file's own metadata."""

CUT_FROM_OF_CLOUDS = (
    "preprocessing.cut_from: is for cloud models alone, an application resizes once and cuts nothing off; leave it out"
)


@settings
class Preprocessing:
    """The preparation of an image for the network.

    Attributes:
        height: Input height in pixels.
        width: Input width in pixels.
        resize: ``squash`` ignores the aspect ratio, ``pad`` fits the image on a background of ``pad_value``,
            ``crop`` resizes the short side and takes the centre.
        cut_from: Side in pixels that a picture has before its centre of ``height x width`` is cut out, as libraries of
            published networks do: the shorter side of a ``crop``, both sides of a ``squash``. None resizes the part
            that is kept alone, once. For cloud models: no application takes these two steps.
        cut_rounds: Where half of what is cut off is no whole number of pixels, the cut begins at the ``even`` one
            (torchvision, timm, open_clip), or at the lower one (``down``: transformers).
        filter: Resampling filter; always with antialiasing, as in Pillow's ``Image.resize``.
        pad_value: Grey level of the background, 0 to 255.
        grey_range: Values that become black and white in grey files of more than 8 bits, with those between in
            proportion: ``(0, 4095)`` for a camera of 12 bits. None if the files use all of 16 bits.
        mean: Per-channel mean (RGB) of pixel values scaled to 0..1.
        std: Per-channel standard deviation (RGB) of pixel values scaled to 0..1.
        orientation: EXIF orientation is applied first of all.
        colour: RGB as stored; colour profiles are not applied, since phones pass on decoded pixels without them.
        antialias: Always True: when an image is reduced, every source pixel counts.
        shrink: Side of the blocks of pixels that the graph averages first, an operation that ONNX, LiteRT and Core ML
            all have exactly: the network itself sees ``height / shrink`` by ``width / shrink``. The larger the image
            that the graph takes, the less effect an application's own resizing has.
    """

    height: Side
    width: Side
    resize: Resize = "pad"
    filter: Literal["bilinear", "bicubic"] = "bilinear"
    pad_value: GreyLevel = 255
    mean: tuple[Share, Share, Share] = (0.5, 0.5, 0.5)
    std: tuple[Positive, Positive, Positive] = (0.5, 0.5, 0.5)
    orientation: Literal["exif"] = "exif"
    colour: Literal["rgb"] = "rgb"
    antialias: Literal[True] = True
    shrink: Count = 1
    grey_range: tuple[float, float] | None = None
    cut_from: Side | None = None
    cut_rounds: Literal["even", "down"] = "even"

    def rules(self) -> list[str]:
        """Return the problems between fields."""
        problems = grey_range_problems(self.grey_range)
        if self.height % self.shrink or self.width % self.shrink:
            problems.append(f"shrink: expected a divisor of {self.height} and {self.width}, got {self.shrink}")
        return problems + self._cut_problems()

    def _cut_problems(self) -> list[str]:
        if self.cut_from is None:
            return [] if self.cut_rounds == "even" else ["cut_rounds: belongs to cut_from, which is not stated"]
        if self.resize == "pad":
            return ["cut_from: belongs to resize = crop or squash; pad cuts nothing off"]
        if self.cut_from < max(self.height, self.width):
            return [f"cut_from: expected at least {max(self.height, self.width)} pixels, got {self.cut_from}"]
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable description; tuples become lists, and what is not stated is left out."""
        values = asdict(self)
        for key in ("grey_range", "cut_from", "cut_rounds"):
            del values[key]
        stated = {} if self.grey_range is None else {"grey_range": [float(value) for value in self.grey_range]}
        if self.cut_from is not None:
            stated |= {"cut_from": self.cut_from, "cut_rounds": self.cut_rounds}
        return values | {"mean": list(self.mean), "std": list(self.std)} | stated

    @property
    def decoding(self) -> str:
        """SHA-256 of the settings that decide the decoded pixels; the model applies mean and deviation later."""
        values = self.to_dict()
        keys = ("height", "width", "resize", "filter", "pad_value", "grey_range", "cut_from", "cut_rounds")
        return digest({key: values[key] for key in keys if key in values})

    @property
    def in_words(self) -> str:
        """The settings that decide the decoded pixels, for people."""
        ground = f" on {self.pad_value}" if self.resize == "pad" else ""
        grey = "" if self.grey_range is None else f", grey from {self.grey_range[0]:g} to {self.grey_range[1]:g}"
        cut = "" if self.cut_from is None else f" from {self.cut_from}"
        return f"{self.height}x{self.width} ({self.resize}{cut}{ground}, {self.filter}{grey})"

    @property
    def digest(self) -> str:
        """SHA-256 of the description: equal digests mean equal preprocessing."""
        return digest(self.to_dict())


def grey_range_problems(grey_range: tuple[float, float] | None) -> list[str]:
    """Return the problem of a stated grey range, if any."""
    if grey_range is None or (all(map(math.isfinite, grey_range)) and grey_range[0] < grey_range[1]):
        return []
    return [f"grey_range: expected the value of black and a larger one of white, got {list(grey_range)}"]
