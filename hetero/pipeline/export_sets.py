"""The images that an export uses: test images to verify with, others to calibrate with."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import UInt8

from export.bundle.goldens import RetrievalSet
from export.precision.calibration import calibration_set as chosen_set
from export.precision.calibration import joined
from hetero.data.embeddings.file import Embeddings, aligned, load_embeddings
from hetero.data.images import Dataset
from hetero.errors import InputError
from hetero.pipeline.context import Context
from hetero.pipeline.retrieval_rows import limited, originals
from hetero.text.vectors import TextVectors
from hetero.training.reference.cloud_reference import cloud_embeddings


def retrieval_set(context: Context) -> RetrievalSet:
    """Return a run's test images with their cloud embeddings."""
    stored = load_embeddings(cloud_embeddings(context.cloud))
    return retrieval_of(context.dataset, stored, queries=context.recipe.export.queries, texts=context.texts)


def retrieval_of(
    dataset: Dataset, stored: Embeddings, *, queries: int, texts: TextVectors | None = None
) -> RetrievalSet:
    """Return a data set's test images with their cloud embeddings.

    Args:
        dataset: The images, prepared for the student.
        stored: The cloud's vectors of the test images.
        queries: Most queries.
        texts: Texts of the cloud's space; those that describe chosen images come along.

    Raises:
        InputError: When the vector of an image is missing.
    """
    test = dataset.test
    rows, tasks = limited(dataset.test_tasks, np.asarray(test.labels), queries=queries)
    cloud, space = aligned(stored, test), stored.space
    described = texts and texts.of(test).among(rows)
    if texts and described:
        space = dataclasses.replace(space, text=texts.side(cloud))
    return RetrievalSet(
        images=np.ascontiguousarray(test.images[rows]),
        labels=np.asarray(test.labels)[rows],
        cloud_embeddings=cloud[rows],
        tasks=tasks,
        names=tuple(test.names[int(row)] for row in rows),
        space=space,
        originals=originals(test, rows, tasks),
        texts=described or None,
    )


def calibration_set(context: Context, test_images: UInt8[np.ndarray, "n h w 3"]) -> RetrievalSet:
    """Return a run's images by which reduced precisions are chosen and measured."""
    stored = load_embeddings(cloud_embeddings(context.cloud))
    return calibration_of(context.dataset, stored, test_images, most=context.recipe.export.calibration)


def calibration_of(
    dataset: Dataset, stored: Embeddings, test_images: UInt8[np.ndarray, "n h w 3"], *, most: int
) -> RetrievalSet:
    """Return images that a model was trained or chosen with, by which reduced precisions are chosen and measured.

    Args:
        dataset: The images, prepared for the student.
        stored: The cloud's vectors of the validation images, the training images or both.
        test_images: Images to exclude: those that the bundle is verified with.
        most: About how many images to select.

    Raises:
        InputError: When no two of the images belong together.
    """
    # Validation images first: the model was not trained on them. Not every cloud has embeddings of them.
    sets = [images for images in (dataset.validation, dataset.train) if (stored.rows_of(images.names) >= 0).all()]
    # Without labels only the altered copies of validation images have a match to find.
    sets = [images for images in sets if len(np.unique(images.labels)) < len(images)]
    if not sets:
        raise InputError(
            "reduced precisions are chosen by validation and training images of which several belong together, and "
            "there are none: bring labels, or the cloud's vectors of the validation images"
        )
    half = most // len(sets)
    parts = [
        chosen_set(
            part.images, np.asarray(part.labels), aligned(stored, part), stored.space, without=test_images, most=half
        )
        for part in sets
    ]
    return joined(parts)
