"""Golden texts in ``goldens.safetensors``: their words, vectors of the cloud's text tower, and what they describe."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from export.bundle.manifest import TextsEntry
from hetero.errors import IntegrityError
from hetero.evaluation.roles import text_to_image
from hetero.text.described import DescribedImages

_VECTORS, _LABELS, _IMAGES = "texts.vectors", "texts.labels", "texts.images"
_WORDS, _ENDS = "texts.words", "texts.ends"
PREFIX = "texts."


def text_tensors(texts: DescribedImages | None) -> dict[str, NDArray[Any]]:
    """Return the arrays of texts by their name in the file; none for no texts."""
    if texts is None:
        return {}
    arrays = {_VECTORS: texts.vectors, _LABELS: texts.labels, _IMAGES: texts.image_labels}
    if not texts.texts:
        return arrays
    words = [text.encode() for text in texts.texts]
    ends = np.cumsum([len(word) for word in words], dtype=np.int64)
    return {**arrays, _WORDS: np.frombuffer(b"".join(words), np.uint8), _ENDS: ends}


def read_texts(tensors: Mapping[str, NDArray[Any]], *, what: str) -> DescribedImages | None:
    """Return the texts of :func:`text_tensors`; None if there are none.

    Args:
        tensors: Arrays with the types and shapes of :func:`expected_texts`.
        what: Names the file in the message.

    Raises:
        IntegrityError: If the words are no texts.
    """
    if _VECTORS not in tensors:
        return None
    return DescribedImages(tensors[_VECTORS], tensors[_LABELS], tensors[_IMAGES], _read_words(tensors, what))


def _read_words(tensors: Mapping[str, NDArray[Any]], what: str) -> tuple[str, ...]:
    if _WORDS not in tensors:
        return ()
    words, ends = tensors[_WORDS].tobytes(), [0, *tensors[_ENDS].tolist()]
    spans = list(itertools.pairwise(ends))
    if ends[-1] != len(words) or any(start > end for start, end in spans):
        raise IntegrityError(f"{what}: {_ENDS} do not divide the {len(words)} bytes of {_WORDS}")
    try:
        return tuple(words[start:end].decode() for start, end in spans)
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{what}: {_WORDS} is not UTF-8: {error}") from None


def expected_texts(
    tensors: Mapping[str, NDArray[Any]], dimension: int | str, *, count: int | None = None
) -> dict[str, tuple[str, tuple[int | str, ...]]]:
    """Return type and shape of each array of a file's texts.

    Args:
        tensors: The file's arrays; bundles of earlier versions hold no words.
        dimension: Length of a vector, or a name.
        count: Number of texts; None for as many as there are.
    """
    if count == 0 or (count is None and _VECTORS not in tensors):
        return {}
    texts = "t" if count is None else count
    arrays: dict[str, tuple[str, tuple[int | str, ...]]] = {
        _VECTORS: ("F32", (texts, dimension)),
        _LABELS: ("I64", (texts,)),
        _IMAGES: ("I64", ("m",)),
    }
    return arrays | ({_WORDS: ("U8", ("bytes of texts",)), _ENDS: ("I64", (texts,))} if _WORDS in tensors else {})


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
