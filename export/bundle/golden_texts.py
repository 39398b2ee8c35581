"""Golden texts in ``goldens.safetensors``: vectors of the cloud's text tower, and what they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from export.bundle.manifest import TextsEntry
from hetero.evaluation.roles import text_to_image
from hetero.text.described import DescribedImages

_VECTORS, _LABELS, _IMAGES = "texts.vectors", "texts.labels", "texts.images"
PREFIX = "texts."


def text_tensors(texts: DescribedImages | None) -> dict[str, NDArray[Any]]:
    """Return the arrays of texts by their name in the file; none for no texts."""
    if texts is None:
        return {}
    return {_VECTORS: texts.vectors, _LABELS: texts.labels, _IMAGES: texts.image_labels}


def read_texts(tensors: Mapping[str, NDArray[Any]]) -> DescribedImages | None:
    """Return the texts of :func:`text_tensors`; None if there are none."""
    if _VECTORS not in tensors:
        return None
    return DescribedImages(tensors[_VECTORS], tensors[_LABELS], tensors[_IMAGES])


def expected_texts(texts: int | str, dimension: int | str) -> dict[str, tuple[str, tuple[int | str, ...]]]:
    """Return type and shape of each array.

    Args:
        texts: Number of texts; none for 0, and any for a name.
        dimension: Length of a vector, or a name.
    """
    if not texts:
        return {}
    return {_VECTORS: ("F32", (texts, dimension)), _LABELS: ("I64", (texts,)), _IMAGES: ("I64", ("m",))}


def texts_entry(texts: DescribedImages | None, cloud: Float32[np.ndarray, "m d"]) -> TextsEntry | None:
    """Return the manifest's entry of golden texts.

    Args:
        texts: The texts; None for none.
        cloud: float32 [m, d], the cloud's vectors of the retrieval images.
    """
    return None if texts is None else TextsEntry(len(texts), found_by(texts, cloud))


def found_by(texts: DescribedImages, gallery: Float32[np.ndarray, "m d"]) -> int:
    """Return the number of texts whose first hit in a gallery is an image that they describe."""
    (hits,) = text_to_image(gallery, texts, metrics=("cmc@1",)).per_query("cmc@1")
    return int(hits.sum())


def text_problems(texts: DescribedImages | None) -> list[str]:
    """Return the problems of texts beyond those of their vectors."""
    if texts is None:
        return []
    idle = int(((texts.labels < 0) | ~np.isin(texts.labels, texts.image_labels)).sum())
    problems = [f"{_LABELS}: {idle} of {len(texts)} texts describe none of the images"] if idle else []
    silent = int(((texts.image_labels >= 0) & ~np.isin(texts.image_labels, texts.labels)).sum())
    problems += [f"{_IMAGES}: {silent} images are of texts that are not there; -1 is of none"] if silent else []
    return problems
