"""Frames in which changes of pictures are described, so that a model with another preparation sees the same ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64

from hetero.data.augmentation.augment import Frame
from hetero.data.decoding.frame import reach, same_frame
from hetero.data.images import ImageSet
from hetero.preprocessing import Preprocessing


@dataclass(frozen=True)
class Frames:
    """The frame of each picture of a set.

    Attributes:
        own: Preprocessing of the images in whose frame changes are described.
        other: Preprocessing of the images that are changed.
        sizes: int64 [n, 2], width and height of each picture in pixels.
    """

    own: Preprocessing
    other: Preprocessing
    sizes: Int64[np.ndarray, "n 2"]

    def at(self, rows: Int64[np.ndarray, " b"], crops: Float64[np.ndarray, "b 4"] | None = None) -> Frame:
        """Return the frame of these pictures, or of crops of them, with ratios float32 [b, 2]."""
        sizes = self.sizes[rows] if crops is None else self.sizes[rows] * (crops[:, 2:] - crops[:, :2])
        ratio = reach(sizes, self.own) / reach(sizes, self.other)
        return Frame(self.own.width / self.own.height, torch.from_numpy(ratio))


def frames_of(images: ImageSet, other: Preprocessing) -> Frames | None:
    """Return the frames that describe changes of these images in another preparation of them.

    Args:
        images: Images whose changes are described in their own frame; their preprocessing and source are known.
        other: Preprocessing of the same images for another model.

    Returns:
        None when every picture lies at the same place in both inputs.
    """
    own, source = images.preprocessing, images.source
    assert own is not None and source is not None
    return None if same_frame(own, other) else Frames(own, other, source.sizes())
