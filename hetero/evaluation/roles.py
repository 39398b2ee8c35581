"""Each model in the cloud's place on one side of a search, while the other side stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from hetero.evaluation.pairs import Pairs
from hetero.metrics.bootstrap import Interval, mean_interval
from hetero.metrics.chance import chance_of_rank_one
from hetero.metrics.paired import share_interval
from hetero.metrics.retrieval import TaskResult, evaluate, is_comparable
from hetero.schema import record
from hetero.text.described import DescribedImages

RoleName = Literal["gallery", "text to image", "image to text"]
"""``gallery``: the cloud's queries in the model's gallery; ``text to image``: texts in the model's gallery;
``image to text``: the model's queries among the texts."""


@record
class Role:
    """A model in the cloud's place.

    Attributes:
        model: Name of the model.
        role: Its place.
        metric: Name of the metric.
        value: The metric with the model in that place.
        cloud: The same with the cloud there.
        share: The first over the second, resampled together; None when the cloud finds nothing.
        chance: cmc@1 of a gallery in random order; None for other metrics.
        queries: Number of queries.
    """

    model: str
    role: RoleName
    metric: str
    value: Interval
    cloud: Interval
    share: Interval | None
    chance: float | None
    queries: int


def text_to_image(
    gallery: Float32[np.ndarray, "n d"], known: DescribedImages, *, metrics: tuple[str, ...] | None = None
) -> TaskResult:
    """Search images by texts.

    Args:
        gallery: float32 [n, d], a model's vectors of the images.
        known: The texts, and what describes what.
        metrics: Names of metrics; None for all of a full evaluation.

    Raises:
        InputError: When there is no text, or the vectors do not fit it.
    """
    values = evaluate(known.vectors, gallery, known.labels, known.image_labels, metrics=metrics)
    return TaskResult(("text to image",), (values,), (known.labels,))


def image_to_text(
    queries: Float32[np.ndarray, "n d"], known: DescribedImages, *, metrics: tuple[str, ...] | None = None
) -> TaskResult:
    """Search texts by the images that some text describes; see :func:`text_to_image`."""
    rows = np.flatnonzero(known.image_labels >= 0)
    labels = known.image_labels[rows]
    values = evaluate(queries[rows], known.vectors, labels, known.labels, metrics=metrics)
    return TaskResult(("image to text",), (values,), (labels,))


def chance_of_texts(known: DescribedImages) -> Float64[np.ndarray, " t"]:
    """Return each text's cmc@1 in a gallery in random order: the share of the images that it describes."""
    numbers, sizes = np.unique(known.image_labels, return_counts=True)
    return sizes[np.searchsorted(numbers, known.labels)] / len(known.image_labels)


def roles_of(
    pairs: Pairs,
    cloud: str,
    embeddings: Mapping[str, Float32[np.ndarray, "n _"]],
    labels: Int64[np.ndarray, " n"],
    texts: DescribedImages | None,
    **options: Any,
) -> tuple[Role, ...]:
    """Measure every other model in the cloud's place.

    Args:
        pairs: All pairs of models, measured.
        cloud: Name of the cloud model.
        embeddings: Model name -> float32 [n, d], its vectors of the same n images.
        labels: int64 [n], the class of each image.
        texts: Texts of the space with these images; None for none.
        **options: Of the bootstrap.
    """
    by_chance = chance_of_rank_one(labels, pairs.tasks)
    roles: list[Role] = []
    for model in pairs.models:
        if model == cloud or (cloud, model) not in pairs.results:
            continue
        sides: list[tuple[RoleName, TaskResult, TaskResult, float]] = [
            ("gallery", pairs.results[cloud, model], pairs.results[cloud, cloud], by_chance)
        ]
        if texts is not None and len(texts):
            sides += _text_sides(pairs, embeddings[model], embeddings[cloud], texts)
        for role, result, best, chance in sides:
            roles += _roles(model, role, result, best, chance, options)
    return tuple(roles)


def _text_sides(
    pairs: Pairs, model: Float32[np.ndarray, "n d"], cloud: Float32[np.ndarray, "n d"], texts: DescribedImages
) -> Iterator[tuple[RoleName, TaskResult, TaskResult, float]]:
    metrics = next(iter(pairs.results.values())).metrics
    found, best = (text_to_image(side, texts, metrics=metrics) for side in (model, cloud))
    yield "text to image", found, best, float(chance_of_texts(texts).mean())
    found, best = (image_to_text(side, texts, metrics=metrics) for side in (model, cloud))
    rows = np.flatnonzero(texts.image_labels >= 0)
    numbers, sizes = np.unique(texts.labels, return_counts=True)
    right = sizes[np.searchsorted(numbers, texts.image_labels[rows])]
    yield "image to text", found, best, float((right / len(texts)).mean())


def _roles(
    model: str, role: RoleName, result: TaskResult, best: TaskResult, chance: float, options: dict[str, Any]
) -> Iterator[Role]:
    for metric in result.metrics:
        if not is_comparable(metric, result, best):
            continue
        within: dict[str, Any] = {"clusters": result.labels, **options}
        yield Role(
            model=model,
            role=role,
            metric=metric,
            value=mean_interval(result.per_query(metric), **within),
            cloud=mean_interval(best.per_query(metric), **within),
            share=share_interval(result, best, metric, **within),
            chance=chance if metric == "cmc@1" else None,
            queries=sum(map(len, result.labels)),
        )
