"""Further figures of an evaluated run, requested by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hetero.display.text import say
from hetero.evaluation.asked import Asked
from hetero.evaluation.asked_figures import measure_asked
from hetero.pipeline.context import Context
from hetero.pipeline.vectors import VECTORS, model_vectors
from hetero.processes.lock import locked
from hetero.space import EmbeddingSpace

FILE = "metrics.json"


def tell_metrics(context: Context, asked: Sequence[Asked]) -> None:
    """Measure the requested figures of every model's queries in the cloud's gallery; print and write them.

    The table is written beside the matrix. Flips compare a student with the cloud's own queries, and an adapted model
    with the student that it was adapted from.

    Args:
        context: A run whose evaluation is up to date.
        asked: The requested figures.
    """
    recipe, evaluation = context.recipe, context.root / "evaluation"
    before = {model.name: recipe.cloud.name for model in recipe.models}
    before |= {student.adapted.name: student.name for student in recipe.all_students if student.adapt}
    with locked(context.root, shared=True):
        figures = measure_asked(
            asked,
            model_vectors(context, evaluation / VECTORS),
            np.asarray(context.dataset.test.labels),
            context.dataset.test_tasks,
            gallery_model=recipe.cloud.name,
            before=before,
            space_id=EmbeddingSpace.load(context.cloud / "space.json").space_id,
            seed=recipe.seed,
        )
        figures.save(evaluation / FILE)
    say(figures.as_table())
    say(f"see {evaluation / FILE}", error=True)
