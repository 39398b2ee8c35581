"""Queries with the nearest gallery images of three query models: cloud, student in torch, and student on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from device_tests.answers.embeddings import DeviceEmbeddings
from device_tests.ladder.sample import with_queries
from export.bundle.goldens import Goldens
from hetero.metrics.nearest import search
from hetero.metrics.retrieval import rows_of_self
from hetero.metrics.task import RetrievalTask

DEPTH = 5


@dataclass(frozen=True)
class Hits:
    """The nearest gallery images of one query by one query model, nearest first.

    Attributes:
        model: The model that embedded the query, for people.
        rows: int64 [k], retrieval rows.
        right: bool [k], True if the class is the query's.
    """

    model: str
    rows: Int64[np.ndarray, " k"]
    right: Bool[np.ndarray, " k"]


@dataclass(frozen=True)
class Example:
    """One query.

    Attributes:
        task: The retrieval task's name.
        row: Its retrieval row.
        kind: The reason for showing it: ``flipped``, ``right`` or ``wrong``.
        hits: Hits of each query model.
    """

    task: str
    row: int
    kind: str
    hits: tuple[Hits, ...]


def examples(goldens: Goldens, device: DeviceEmbeddings, label: str, counts: Mapping[str, int]) -> list[Example]:
    """Choose queries deterministically, evenly spread among those of a kind.

    Args:
        goldens: The bundle's goldens.
        device: The device's query embeddings.
        label: Name of the device.
        counts: Most queries of each kind: ``flipped`` (the device's first hit is right where torch's is wrong,
            or the other way round), ``right`` and ``wrong`` (the device's first hit).
    """
    candidates: dict[str, list[Example]] = {kind: [] for kind in counts}
    for task in with_queries(goldens, device.query_rows).tasks:
        for example in _of_task(goldens, task, device, label):
            candidates[example.kind].append(example)
    return [example for kind, count in counts.items() for example in _spread(candidates[kind], count)]


def _of_task(goldens: Goldens, task: RetrievalTask, device: DeviceEmbeddings, label: str) -> list[Example]:
    place = np.searchsorted(device.query_rows, task.query)
    queries = {
        "cloud": goldens.retrieval_cloud[task.query],
        "student (torch)": goldens.retrieval_student[task.query],
        label: device.query[place],
    }
    exclude = rows_of_self(task) if task.exclude_self else None
    rows = {name: _top(vectors, goldens.retrieval_cloud[task.gallery], exclude) for name, vectors in queries.items()}
    labels = goldens.retrieval_labels
    candidates: list[Example] = []
    for index, query in enumerate(task.query):
        hits = tuple(
            Hits(name, task.gallery[top[index]], labels[task.gallery[top[index]]] == labels[query])
            for name, top in rows.items()
        )
        candidates.append(Example(task.name, int(query), _kind(hits), hits))
    return candidates


def _top(
    vectors: Float32[np.ndarray, "q d"], gallery: Float32[np.ndarray, "g d"], exclude: Int64[np.ndarray, " q"] | None
) -> Int64[np.ndarray, "q k"]:
    return search(vectors, gallery, min(DEPTH, len(gallery) - (exclude is not None)), exclude=exclude).rows


def _kind(hits: tuple[Hits, ...]) -> str:
    student, device = (bool(hit.right[0]) for hit in hits[1:])
    if student != device:
        return "flipped"
    return "right" if device else "wrong"


def _spread(candidates: list[Example], count: int) -> list[Example]:
    """Choose evenly, without the first and last: with few queries these are of the first and last task alone."""
    if len(candidates) <= count:
        return candidates
    places = (np.arange(count) + 0.5) * len(candidates) / count
    return [candidates[int(place)] for place in places]
