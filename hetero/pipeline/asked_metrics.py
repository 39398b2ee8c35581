"""Figures asked for by name, of an evaluated run."""

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
    """Measure every model's queries in the cloud's gallery; print a table, and write it beside the matrix.

    A student is held against the cloud's own queries in flips, and what it was adapted to against the student.

    Args:
        context: A run whose evaluation is up to date.
        asked: What to measure.
    """
    recipe, evaluation = context.recipe, context.root / "evaluation"
    before = {one.name: recipe.cloud.name for one in recipe.models}
    before |= {one.adapted.name: one.name for one in recipe.all_students if one.adapt}
    with locked(context.root):
        found = measure_asked(
            asked,
            model_vectors(context, evaluation / VECTORS),
            np.asarray(context.dataset.test.labels),
            context.dataset.test_tasks,
            gallery_model=recipe.cloud.name,
            before=before,
            space_id=EmbeddingSpace.load(context.cloud / "space.json").space_id,
            seed=recipe.seed,
        )
        found.save(evaluation / FILE)
    say(found.as_table())
    say(f"see {evaluation / FILE}", error=True)
