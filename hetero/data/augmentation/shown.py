"""The pictures of a set as a training shows them: whole, or random crops of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8

from hetero.data.augmentation.augment import crop_boxes
from hetero.data.augmentation.config import AugmentConfig
from hetero.data.augmentation.frames import Frames
from hetero.data.decoding.pixel_crops import PixelCrops
from hetero.data.images import Croppable, ImageSet
from hetero.data.loader import batches
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing


class ShownImages:
    """Reads images, or random crops of them where the changes ask for crops.

    Args:
        images: The images.
        changes: Their random changes, of which only the crops are made here.

    Raises:
        InputError: When crops are to be cut from originals, and there are none.
    """

    def __init__(self, images: ImageSet, changes: AugmentConfig) -> None:
        self._images, self._changes = images.images, changes
        self._croppable = croppable(images, changes) if changes.crops else None

    def crops(self, random: Float32[torch.Tensor, "r b"]) -> Float64[np.ndarray, "b 4"] | None:
        """Return the crops that random numbers decide; None where whole images are shown."""
        return None if self._croppable is None else crop_boxes(random, self._changes)

    def __getitem__(
        self, wanted: tuple[Int64[np.ndarray, " b"], Float32[torch.Tensor, "r b"]], /
    ) -> UInt8[np.ndarray, "b h w 3"]:
        """Return the images of these rows as their random numbers show them."""
        rows, random = wanted
        if self._croppable is None:
            return self._images[rows]
        return self._croppable.cropped(rows, crop_boxes(random, self._changes))

    def batches(
        self, wanted: Iterable[tuple[Int64[np.ndarray, " b"], Float32[torch.Tensor, "r b"]]]
    ) -> Iterator[UInt8[np.ndarray, "b h w 3"]]:
        """Yield the images of each batch of rows and random numbers, read ahead."""
        if self._croppable is None:
            return batches(self._images, (rows for rows, _ in wanted))
        return batches(self, wanted)


def croppable(images: ImageSet, changes: AugmentConfig) -> Croppable:
    """Return images from which crops are cut as the changes say.

    Raises:
        InputError: When crops are to be cut from originals, and there are none.
    """
    height, width = images.images.shape[1:3]
    prepared = images.preprocessing or Preprocessing(height, width)
    if changes.crop_from == "prepared":
        # A part of the input has the input's shape, whatever the picture's.
        return PixelCrops(images.images, dataclasses.replace(prepared, resize="squash"))
    if images.source is None:
        raise InputError(
            "crop_from = 'original': these images have no originals, only pixels are at hand; take images from "
            "hetero.prepare, or set crop_from = 'prepared'"
        )
    return images.source.originals(prepared)


def require_same_part(changes: AugmentConfig, frames: Frames | None) -> None:
    """Refuse crops of prepared images for a model that is given another part of each picture.

    Args:
        changes: Random changes.
        frames: Frames of the pictures in the model's input; None when all lie where they do in the other's.

    Raises:
        InputError: When crops would show other parts of the picture.
    """
    if changes.crops and changes.crop_from == "prepared" and frames is not None:
        raise InputError(
            "crop_from = 'prepared': the cloud model is given another part of each picture than the student, so that a "
            "crop of what it is given would show something else; set crop_from = 'original'"
        )
