"""The student that an update replaces, and the answers that its users saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, Shaped

from hetero.data.augmentation.copies import sources_of
from hetero.data.images import ImageSet
from hetero.errors import InputError
from hetero.files import digest, sha256_bytes
from hetero.metrics.nearest import search
from hetero.models.directory import weights_bytes
from hetero.models.model import EmbeddingModel


@dataclass(frozen=True)
class PreviousStudent:
    """The student to be replaced, and its answers on the training images.

    Attributes:
        train: float32 [n, p], its unit vectors of the training images, in their order.
        right: bool [n], True if the first hit in its gallery was of the image's class.
        start: The student itself, when the new one is to start from its weights; None to start from new weights.
    """

    train: Float32[np.ndarray, "n p"]
    right: Bool[np.ndarray, " n"]
    start: EmbeddingModel | None = None

    @property
    def identity(self) -> str:
        """Digest of everything that a new student can learn from it."""
        start = [sha256_bytes(weights_bytes(self.start))] if self.start else []
        arrays = (self.train, self.right)
        return digest([sha256_bytes(np.ascontiguousarray(array).tobytes()) for array in arrays] + start)

    @property
    def inputs(self) -> dict[str, Shaped[torch.Tensor, "n ..."]]:
        """What an objective that needs ``previous`` is shown: float32 [n, p] and, as ``previous_right``, bool [n]."""
        return {"previous": torch.from_numpy(self.train), "previous_right": torch.from_numpy(self.right)}

    @classmethod
    def of(
        cls,
        vectors: Float32[np.ndarray, "n p"],
        gallery: Float32[np.ndarray, "n p"],
        images: ImageSet,
        *,
        start: EmbeddingModel | None = None,
    ) -> PreviousStudent:
        """Query the old student's gallery with every training image, the image itself left out.

        Args:
            vectors: float32 [n, p], the old student's unit vectors of the training images.
            gallery: float32 [n, p], the vectors of the same images in the gallery that it searched: the old cloud's.
            images: The training images; changed copies (see :func:`hetero.data.augmentation.copies.with_copies`) are
                queries, but not part of the gallery.
            start: The old student, when the new one is to start from its weights.

        Raises:
            InputError: When the numbers of vectors and images differ.
        """
        if not len(vectors) == len(gallery) == len(images):
            raise InputError(
                f"expected a vector and a gallery vector for each of {len(images)} images, "
                f"got {len(vectors)} and {len(gallery)}"
            )
        return cls(vectors, _right(vectors, gallery, np.asarray(images.labels), sources_of(images.names)), start)


def _right(
    vectors: Float32[np.ndarray, "n p"],
    gallery: Float32[np.ndarray, "n p"],
    labels: Int64[np.ndarray, " n"],
    sources: Int64[np.ndarray, " n"],
) -> Bool[np.ndarray, " n"]:
    originals = np.flatnonzero(sources == np.arange(len(sources)))
    itself = np.searchsorted(originals, sources)
    hits = search(vectors, np.ascontiguousarray(gallery[originals]), 1, exclude=itself)
    return labels[originals[hits.rows[:, 0]]] == labels


def start_from(model: EmbeddingModel, previous: PreviousStudent | None) -> None:
    """Give a new student the old one's weights, if it is to start from them.

    Raises:
        InputError: When the two are of different architectures.
    """
    if previous is None or previous.start is None:
        return
    try:
        model.load_state_dict(previous.start.state_dict())
    except RuntimeError as error:
        raise InputError(
            f"student {model.name} cannot start from the weights of {previous.start.name}: give it the same "
            f"architecture, or leave start out ({str(error).splitlines()[-1].strip()})"
        ) from None
