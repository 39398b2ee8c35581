"""What objectives are told of the training images beside their pixels and labels."""

from __future__ import annotations

from collections.abc import Collection

from jaxtyping import Shaped
from torch import Tensor

from hetero.data.images import ImageSet
from hetero.errors import InputError
from hetero.objectives.inputs import INPUTS


def inputs_of(images: ImageSet, needs: Collection[str], *, mixed: bool) -> dict[str, Shaped[Tensor, "n ..."]]:
    """Ask each input that is needed, and is of the images, what it is of these.

    Args:
        images: n training images.
        needs: Names of inputs.
        mixed: Whether batches are mixtures of images.

    Returns:
        [n, ...] each, by name.

    Raises:
        InputError: When images are to be mixed, or an input is not of n images.
    """
    found: dict[str, Tensor] = {}
    for name, one in INPUTS.items():
        if name not in needs or one.of_images is None:
            continue
        if mixed:
            raise InputError(f"mixup mixes images, and a mixture has no {name}; set mixup = 0, or leave it out")
        found[name] = one.of_images(images)
        if (rows := len(found[name])) != len(images):
            raise InputError(f"the input {name}: expected a row for each of {len(images)} images, got {rows}")
    return found
