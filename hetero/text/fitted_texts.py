"""Texts of a space whose cloud model has no text tower: what a small one, fitted to it, makes of them."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from hetero.data.embeddings.file import Embeddings, aligned, save_embeddings
from hetero.data.images import Dataset
from hetero.errors import InputError
from hetero.files import write_text
from hetero.text.config import TextConfig
from hetero.text.described import DescribedImages
from hetero.text.fitting import fit_tower
from hetero.text.table import described, texts_of
from hetero.text.vectors import TextVectors

_VECTORS, _TABLE = "texts.safetensors", "texts.csv"


def write_fitted_texts(
    config: TextConfig, dataset: Dataset, stored: Embeddings, out: Path, *, titles: Mapping[str, str] | None = None
) -> None:
    """Fit a text tower by the training images, and write its vectors of every text.

    Texts that only describe validation or test images are embedded, never learnt from.

    Args:
        config: Names the table of what texts describe; without one, the texts are the titles of the classes.
        dataset: The images.
        stored: The cloud's vectors of the training images.
        out: The directory to write to.
        titles: Class -> its title in words; None where its name is one.

    Raises:
        InputError: When fewer than two texts describe training images, or a table and the images do not fit together.
    """
    texts = _texts(config, dataset, titles, stored.space.dimension)
    texts.require_known(dataset)
    train, vectors = texts.of(dataset.train), aligned(stored, dataset.train)
    tower = fit_tower(train.texts, _means(vectors, train))
    fitted = dataclasses.replace(
        texts, vectors=tower.embed(texts.texts), tower=f"ridge of {len(train)} texts, penalty {tower.penalty:g}"
    )
    space = dataclasses.replace(stored.space, text=fitted.side(vectors))
    save_embeddings(out / _VECTORS, fitted.vectors, fitted.texts, space)
    if not config.describes:
        lines = io.StringIO(newline="")
        csv.writer(lines).writerows([("text", "label"), *texts.classes.items()])
        write_text(out / _TABLE, lines.getvalue())


def fitted_config(config: TextConfig, out: Path) -> TextConfig:
    """Return the settings of the texts that :func:`write_fitted_texts` wrote to a directory."""
    describes = config.describes or str(out / _TABLE)
    return TextConfig(str(out / _VECTORS), describes, prototypes=config.prototypes)


def _texts(config: TextConfig, dataset: Dataset, titles: Mapping[str, str] | None, dimension: int) -> TextVectors:
    """Return the texts with what they describe, and no vectors yet."""
    if config.describes:
        table = Path(config.describes)
        texts = texts_of(table)
        classes, images = described(table, texts)
    else:
        sets = (dataset.train, dataset.validation, dataset.test)
        labels = dict.fromkeys(label for part in sets for label in part.classes)
        known = {label: label for label in labels} if titles is None else titles
        classes, images = {known[label]: label for label in labels if label in known}, {}
        texts = tuple(classes)
    if not texts:
        raise InputError("a text tower is fitted by the names of classes, and the images have no labels")
    return TextVectors(np.zeros((len(texts), dimension), np.float32), texts, "", 0.0, classes, images)


def _means(vectors: Float32[np.ndarray, "n d"], known: DescribedImages) -> Float32[np.ndarray, "t d"]:
    """Return for each text the mean vector of the images that it describes."""
    numbers, place = np.unique(known.labels, return_inverse=True)
    rows = np.flatnonzero(known.image_labels >= 0)
    sums, groups = np.zeros((len(numbers), vectors.shape[1])), np.searchsorted(numbers, known.image_labels[rows])
    np.add.at(sums, groups, vectors[rows])
    return (sums / np.bincount(groups, minlength=len(numbers))[:, None])[place].astype(np.float32)
