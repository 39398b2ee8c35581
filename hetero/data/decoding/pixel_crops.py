"""Crops of images that are decoded already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from PIL import Image

from hetero.data.decoding.crop import part_of
from hetero.data.decoding.decode import resized
from hetero.data.images import Images
from hetero.preprocessing import Preprocessing


@dataclass(frozen=True)
class PixelCrops:
    """Crops of decoded images, prepared as pictures of their own.

    Attributes:
        images: uint8 [n, h, w, 3], of any size.
        preprocessing: Preparation of the crops.
    """

    images: Images
    preprocessing: Preprocessing

    def cropped(
        self, rows: Int64[np.ndarray, " b"], crops: Float64[np.ndarray, "b 4"], /
    ) -> UInt8[np.ndarray, "b h w 3"]:
        """Return a crop of each of these rows."""
        result = np.empty((len(rows), self.preprocessing.height, self.preprocessing.width, 3), np.uint8)
        for place, (pixels, (left, top, right, bottom)) in enumerate(
            zip(self.images[rows], crops.tolist(), strict=True)
        ):
            image = Image.fromarray(pixels)
            part = part_of((0, 0, *image.size), (left, top, right, bottom))
            result[place] = resized(image.crop(part), self.preprocessing)
        return result
