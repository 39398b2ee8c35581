"""The inputs that an objective may need besides the vectors of the model in training, by name. Needs no torch.

An objective names its inputs where it is declared; this module holds the source of each, and the message for a missing
one. Another input is one function of the training images, see :func:`batch_input`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from hetero.errors import InputError

PerImage = Callable[[Any], Any]
"""Maps a :class:`hetero.data.images.ImageSet` of n training images to a tensor [n, ...] in their order."""

Offered = TypeVar("Offered", bound=PerImage)


@dataclass(frozen=True)
class Input:
    """An input that training batches offer to objectives.

    Attributes:
        missing: Message where an objective needs the input and nothing offers it; follows the objective's name.
        of_images: Computes it from the images. None where it comes with the run, or from another objective.
    """

    missing: str = ""
    of_images: PerImage | None = None


INPUTS: dict[str, Input] = {
    # For the message where images have none, see hetero.objectives.labels.
    "labels": Input(),
    "cloud": Input("needs a cloud model"),
    "texts": Input("needs vectors of texts: name their file as cloud.text, or call CloudReference.with_texts"),
    "previous": Input(
        "needs the student that is replaced, which no recipe can name: call hetero.train_student with previous"
    ),
    # Offered by the objective of this name.
    "own_head": Input("compares classifiers: put own_head beside it"),
}
"""Every input. A batch has attributes for labels, cloud, texts and classifiers; ``Batch.inputs`` holds the others."""


def batch_input(name: str) -> Callable[[Offered], Offered]:
    """Offer another input to objectives: the decorated function computes it once a run, for each training image.

    It takes the run's :class:`hetero.data.images.ImageSet` of n images and returns a tensor [n, ...] in their order. An
    objective that needs ``name`` finds the rows of a batch's images in ``batch.inputs[name]``.

    Raises:
        InputError: When there is another input of this name.
    """

    def offer(of_images: Offered) -> Offered:
        earlier = INPUTS.get(name)
        if earlier is not None and _home(earlier.of_images) != _home(of_images):
            raise InputError(f"there is an input {name!r} already; expected another name")
        INPUTS[name] = Input(of_images=of_images)
        return of_images

    return offer


def _home(of_images: PerImage | None) -> tuple[str, str]:
    return getattr(of_images, "__module__", ""), getattr(of_images, "__qualname__", "")
