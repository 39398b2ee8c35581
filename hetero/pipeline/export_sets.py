"""The images of a run that an export uses: test images to verify with, others to calibrate with."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from export.bundle.goldens import RetrievalSet
from export.precision.calibration import calibration_set as chosen_set
from export.precision.calibration import joined
from hetero.data.embeddings.file import aligned, load_embeddings
from hetero.errors import InputError
from hetero.pipeline.context import Context
from hetero.pipeline.retrieval_rows import limited, originals
from hetero.training.reference.cloud_reference import CLOUD_EMBEDDINGS


def retrieval_set(context: Context) -> RetrievalSet:
    """Return test images with their cloud embeddings."""
    test, queries = context.dataset.test, context.recipe.export.queries
    stored = load_embeddings(context.cloud / CLOUD_EMBEDDINGS)
    rows, tasks = limited(context.dataset.test_tasks, np.asarray(test.labels), queries=queries)
    return RetrievalSet(
        images=np.ascontiguousarray(test.images[rows]),
        labels=np.asarray(test.labels)[rows],
        cloud_embeddings=aligned(stored, test)[rows],
        tasks=tasks,
        names=tuple(test.names[row] for row in rows),
        space=stored.space,
        originals=originals(test, rows, tasks),
    )


def calibration_set(context: Context, test_images: UInt8[np.ndarray, "n h w 3"]) -> RetrievalSet:
    """Return images that the model was trained or chosen with, by which reduced precisions are chosen and measured."""
    stored = load_embeddings(context.cloud / CLOUD_EMBEDDINGS)
    embedded = set(stored.names)
    # Validation images first: the model was not trained on them. Not every cloud has embeddings of them.
    sets = [
        images for images in (context.dataset.validation, context.dataset.train) if embedded.issuperset(images.names)
    ]
    # Without labels only the altered copies of validation images have a match to find.
    sets = [images for images in sets if len(np.unique(images.labels)) < len(images)]
    if not sets:
        raise InputError(
            "reduced precisions are chosen by validation and training images of which several belong together, and "
            "there are none: bring labels, or the cloud's vectors of the validation images"
        )
    half = context.recipe.export.calibration // len(sets)
    parts = [
        chosen_set(
            part.images, np.asarray(part.labels), aligned(stored, part), stored.space, without=test_images, most=half
        )
        for part in sets
    ]
    return joined(parts)
