"""Texts and a set of images, with what describes what: the questions and answers of text retrieval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64


@dataclass(frozen=True)
class DescribedImages:
    """Texts, each of which describes at least one image of a set.

    Text and image belong together when their numbers are equal.

    Attributes:
        vectors: float32 [t, d], unit vectors of the texts.
        labels: int64 [t], the number of each text.
        image_labels: int64 [n], the number of each image; -1 for one that no text describes.
        texts: The texts in words, for people; empty where they are not known.
    """

    vectors: Float32[np.ndarray, "t d"]
    labels: Int64[np.ndarray, " t"]
    image_labels: Int64[np.ndarray, " n"]
    texts: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.labels)

    def among(self, rows: Int64[np.ndarray, " m"]) -> DescribedImages:
        """Return the texts that describe some of the images, with these images.

        Args:
            rows: Rows of the images.
        """
        image_labels = self.image_labels[rows]
        kept = (self.labels >= 0) & np.isin(self.labels, image_labels)
        texts = tuple(text for text, stays in zip(self.texts, kept, strict=True) if stays) if self.texts else ()
        return DescribedImages(np.ascontiguousarray(self.vectors[kept]), self.labels[kept], image_labels, texts)
