"""A trained model as a classifier: the class whose prototype is nearest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from hetero.data.images import Images
from hetero.errors import InputError
from hetero.models.directory import load_model, load_prototype_classes, load_prototypes
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel


@dataclass(frozen=True)
class Classifier:
    """An embedding model with the prototypes of its own head. Make one with :meth:`load`.

    Attributes:
        model: The model that embeds.
        prototypes: float32 [k, d], unit vectors.
        classes: Names of the k classes.
    """

    model: EmbeddingModel
    prototypes: Float32[np.ndarray, "k d"]
    classes: tuple[str, ...]

    @classmethod
    def load(cls, directory: Path) -> Classifier:
        """Read a model directory.

        Raises:
            InputError: When it is not one, or has no named prototypes: a student's, or a model's without its own head.
        """
        model, prototypes, classes = (
            load_model(directory),
            load_prototypes(directory),
            load_prototype_classes(directory),
        )
        if prototypes is None or not classes:
            raise InputError(
                f"{directory} has no class prototypes with names, so its vectors do not tell classes; "
                "cloud models trained with own_head have them"
            )
        return cls(model, prototypes, classes)

    def cosines(self, images: Images, *, progress: str = "") -> Float32[np.ndarray, "n k"]:
        """Compute the cosine of each image with each class; times the head's scale, the logits of training.

        Args:
            images: uint8 [n, h, w, 3].
            progress: Label of a progress bar; none when empty.
        """
        return embed_images(self.model, images, progress=progress) @ self.prototypes.T

    def predict(self, images: Images, *, progress: str = "") -> Int64[np.ndarray, " n"]:
        """Return the row of the likeliest class of each image."""
        return self.cosines(images, progress=progress).argmax(axis=1).astype(np.int64)
