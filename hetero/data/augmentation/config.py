"""The strength of changes to training images; read from recipes, so without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval

from hetero.constraints import GreyLevel, PartialShare, Positive, Share
from hetero.schema import settings

_CropShare = Annotated[float, Interval(gt=0, le=1)]


@settings
class AugmentConfig:
    """The strength of changes to training images. The defaults suit drawings of one thing in several designs.

    Attributes:
        rotation: Largest angle in degrees, either way.
        scale: Smallest and largest factor of size.
        shift: Largest shift, as a share of the image's side.
        flip: Probability of mirroring left and right; not for data where direction matters.
        grey: Probability of losing all colour.
        brightness: Largest relative change of brightness.
        contrast: Largest relative change of contrast.
        blur: Probability of a light blur.
        erase: Probability of covering a rectangle.
        erase_area: Smallest and largest share of the image that the rectangle covers.
        crop_area: Smallest and largest share of its picture that a random crop of an image shows. The crop is resized
            to the model's input as a whole picture is; ``(1, 1)`` crops nothing.
        crop_aspect: Smallest and largest factor by which a crop's width over height differs from the picture's.
        crop_from: ``original`` cuts each crop from the decoded file, before it is resized, so that a small crop is as
            sharp as a whole picture; every file is then decoded whenever it is shown. ``prepared`` cuts it from the
            pixels that the model takes of the whole picture, which are kept, and enlarges them.
        ground: Grey level, 0 to 255, of areas from outside the image; normally the preprocessing's ``pad_value``.
    """

    rotation: Annotated[float, Interval(ge=0, le=180)] = 15.0
    scale: tuple[Positive, Positive] = (0.8, 1.2)
    shift: PartialShare = 0.1
    flip: Share = 0.0
    grey: Share = 0.3
    brightness: PartialShare = 0.2
    contrast: PartialShare = 0.2
    blur: Share = 0.0
    erase: Share = 0.0
    erase_area: tuple[Positive, Positive] = (0.02, 0.2)
    crop_area: tuple[_CropShare, _CropShare] = (1.0, 1.0)
    crop_aspect: tuple[Positive, Positive] = (3 / 4, 4 / 3)
    crop_from: Literal["original", "prepared"] = "original"
    ground: GreyLevel = 255

    def rules(self) -> list[str]:
        """Return one problem for each rule between fields that is broken."""
        return [
            f"{name}: expected the smallest value first, got {list(values)}"
            for name in ("scale", "erase_area", "crop_area", "crop_aspect")
            if (values := getattr(self, name))[0] > values[1]
        ]

    @property
    def crops(self) -> bool:
        """True if images are cropped."""
        return self.crop_area != (1.0, 1.0)


UNCHANGED = AugmentConfig(rotation=0.0, scale=(1.0, 1.0), shift=0.0, grey=0.0, brightness=0.0, contrast=0.0)
"""No changes at all."""

LIGHT = AugmentConfig(rotation=5.0, scale=(0.9, 1.1), shift=0.05, grey=0.05, brightness=0.1, contrast=0.1)
"""Changes small enough for the cloud's vector of the unchanged image to remain the target."""
