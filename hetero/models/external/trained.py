"""A cloud model given as a directory of a model that hetero trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from hetero.models.cost import Cost, cost
from hetero.models.directory import load_model
from hetero.models.embed import embed_images


class TrainedEmbedder:
    """Runs a model directory on the CPU. Its vectors stay in the space that the directory names.

    Args:
        directory: As :func:`hetero.models.directory.save_model` writes it.

    Raises:
        InputError: When it is not a model directory.
        IntegrityError: When a file is damaged.
    """

    def __init__(self, directory: Path) -> None:
        self.model = load_model(directory)
        assert self.model.space is not None
        self.space = self.model.space
        self.preprocessing = self.model.preprocessing

    @property
    def cost(self) -> Cost:
        """The cost of an image in convolutions and linear layers, counted by running one."""
        return cost(self.model)

    def embed(self, images: UInt8[np.ndarray, "b h w 3"]) -> Float32[np.ndarray, "b d"]:
        """Return the unit vectors of the model."""
        return embed_images(self.model, images, batch_size=max(1, len(images)))
