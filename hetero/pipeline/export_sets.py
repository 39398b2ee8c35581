"""Which of a run's images an export takes: test images to verify with, others to calibrate with."""

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
    """Test images with cloud embeddings."""
    test, wanted = context.dataset.test, context.recipe.export
    stored = load_embeddings(context.cloud / CLOUD_EMBEDDINGS)
    rows, tasks = limited(context.dataset.test_tasks, np.asarray(test.labels), queries=wanted.queries)
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
    """Images that the model was trained or chosen with, to choose and measure reduced precisions by."""
    stored = load_embeddings(context.cloud / CLOUD_EMBEDDINGS)
    known = set(stored.names)
    # Validation images first: the model has not learnt them by heart. Not every cloud's answers to them are known.
    sets = [one for one in (context.dataset.validation, context.dataset.train) if known.issuperset(one.names)]
    # Without labels only the altered copies of validation images have something to find.
    sets = [one for one in sets if len(np.unique(one.labels)) < len(one)]
    if not sets:
        raise InputError(
            "reduced precisions are chosen by validation and training images of which several belong together, and "
            "there are none: bring labels, or the cloud's vectors of the validation images"
        )
    half = context.recipe.export.calibration // len(sets)
    parts = [
        chosen_set(
            one.images, np.asarray(one.labels), aligned(stored, one), stored.space, without=test_images, most=half
        )
        for one in sets
    ]
    return joined(parts)
