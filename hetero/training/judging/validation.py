"""Judge a model on the validation images, with their labels or without.

Figures of three kinds, of which each needs something:

- ``map@r``, ``cmc@1`` and other metrics of retrieval (:mod:`hetero.metrics.registry`) on the validation tasks, by
  class; in the cloud's gallery where its vectors of the validation images are known, otherwise in the model's own.
- ``label-free``: how well the model finds in the cloud's gallery what the cloud takes for near, see
  :func:`hetero.metrics.label_free.neighbour_map`, each image among all others. It needs the cloud's vectors, and
  looks at no label.
- ``agreement``: mean cosine with the cloud's vectors, the space's mean removed. It needs them, too. It says how far a
  student has come, and is comparable with that of its training images; it ranks methods less well.

Weights are chosen by one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from hetero.data.images import Dataset
from hetero.errors import InputError
from hetero.metrics.label_free import neighbour_map
from hetero.metrics.registry import choices_in_words, in_brief
from hetero.metrics.retrieval import evaluate_tasks
from hetero.metrics.task import RetrievalTask
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel
from hetero.training.config import COMPARES_WITH_CLOUD, JudgedBy
from hetero.training.judging.agreement import agreement
from hetero.training.judging.curves import AGREEMENT
from hetero.training.judging.judgement import Judgement
from hetero.training.reference.cloud_reference import CloudReference

BY_CLASS = "map@r"
"""By which weights are chosen where there are labels and nothing else is asked for."""
LABEL_FREE = "label-free"


def validation(
    dataset: Dataset, cloud: CloudReference | None = None, judged_by: JudgedBy = "auto"
) -> Callable[[EmbeddingModel], Judgement]:
    """Return a function that judges a model in training.

    Args:
        dataset: Provides validation images and tasks.
        cloud: The cloud model, for a model that lives in its space; None for a model with its own space.
        judged_by: The figure by which weights are chosen; ``auto`` takes ``map@r`` where the images have labels or
            nothing else can be measured, otherwise ``label-free``.

    Raises:
        InputError: When the figure needs the cloud's vectors of the validation images and they are not known.
    """
    labels, tasks = np.asarray(dataset.validation.labels), dataset.validation_tasks
    gallery = None if cloud is None else cloud.validation
    centre = np.zeros(0, np.float32) if cloud is None else cloud.centre
    among_others = _among_others(tasks)
    figure = _figure(judged_by, has_labels=dataset.validation.has_labels, has_vectors=gallery is not None)
    by_class = metrics_of(figure)

    def validate(model: EmbeddingModel) -> Judgement:
        queries = embed_images(model, dataset.validation.images)
        retrieval = evaluate_tasks(queries, queries if gallery is None else gallery, labels, tasks, metrics=by_class)
        figures = {name: retrieval.mean(name) for name in by_class}
        if gallery is not None:
            figures[LABEL_FREE] = neighbour_map(queries, gallery, centre, (among_others,))
            figures[AGREEMENT] = float(agreement(*map(torch.as_tensor, (queries, gallery, centre))))
        return Judgement(figure, figures)

    return validate


def metrics_of(chosen: str) -> tuple[str, ...]:
    """The metrics of retrieval that validation measures, what weights are chosen by among them.

    Args:
        chosen: Any figure of :func:`validation`.
    """
    return in_brief() if chosen in COMPARES_WITH_CLOUD else in_brief(chosen)


def _figure(judged_by: JudgedBy, *, has_labels: bool, has_vectors: bool) -> str:
    if judged_by == "auto":
        return LABEL_FREE if has_vectors and not has_labels else BY_CLASS
    if judged_by in COMPARES_WITH_CLOUD and not has_vectors:
        raise InputError(
            f"training.judged_by: {judged_by} compares with the cloud's vectors of the validation images, and they are "
            f"not known here; give them, or choose {choices_in_words('auto')}"
        )
    return judged_by


def _among_others(tasks: Sequence[RetrievalTask]) -> RetrievalTask:
    """Return a search of each gallery image among all others; altered copies, which are only queries, are left out."""
    rows = np.unique(np.concatenate([task.gallery for task in tasks]))
    return RetrievalTask("among the others", rows, rows, exclude_self=True)
