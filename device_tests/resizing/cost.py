"""The retrieval that a resizer other than the contract's would cost a bundle, measured on this desktop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8

import device_tests.resizing.resizers
from device_tests.answers.handed import handed
from device_tests.answers.sealed import load_sealed, save_sealed
from device_tests.checks.margins import angle, cosine_distance
from device_tests.resizing.resizers import RESIZERS, resized_with
from device_tests.targets.target import Request, Target
from export.bundle.goldens import Goldens
from export.bundle.manifest import ModelEntry
from export.bundle.reading import Bundle
from hetero.files import cache_directory, canonical_json, digest, sha256_file
from hetero.metrics.bootstrap import difference_interval
from hetero.metrics.retrieval import evaluate_tasks
from hetero.metrics.task import RetrievalTask
from hetero.schema import parse, record


@record
class ResizerCost:
    """One resizer, compared with the contract's, on the queries whose original files the bundle ships.

    Attributes:
        bundle: The bundle's name.
        resizer: Name of the resizer's stand-in.
        queries: Number of queries.
        cmc1: Share of queries that find the right class first in the cloud gallery.
        cmc1_contract: The same with the contract's pixels.
        loss: ``cmc1_contract - cmc1``, mean over tasks.
        low: Lower end of its 95 % interval, paired and resampled over classes.
        high: Upper end.
        negative_flips: Queries that only the contract's pixels get right.
        mean_difference: Mean absolute difference of pixels, in grey levels.
        median_angle_degrees: Median angle between the two embeddings of a query.
        largest_angle_degrees: Largest such angle.
    """

    bundle: str
    resizer: str
    queries: int
    cmc1: float
    cmc1_contract: float
    loss: float
    low: float
    high: float
    negative_flips: int
    mean_difference: float
    median_angle_degrees: float
    largest_angle_degrees: float


def resizer_costs(bundle: Bundle, target: Target, *, again: bool = False) -> list[ResizerCost]:
    """Price every stand-in with the first of the bundle's models that the target runs.

    Args:
        bundle: The bundle.
        target: A target that is set up; only its numbers matter, not its times.
        again: True to measure also what is kept from an earlier call.

    Returns:
        The costs; empty if the bundle ships no original files of queries, or the target runs none of its models.
    """
    entry = next((entry for entry in bundle.manifest.models if entry.format in target.runtimes), None)
    if entry is None or not _tasks(bundle):
        return []
    made_by = [sha256_file(Path(file)) for file in (__file__, device_tests.resizing.resizers.__file__)]
    files = [file.sha256 for file in bundle.manifest.files]
    key = digest([made_by, files, bundle.manifest.name, dict(target.describe())])
    path = cache_directory() / "resizers" / f"{key}.json"
    if not again and (stored := load_sealed(path)) is not None:
        return [parse(ResizerCost, value, what=str(path)) for value in json.loads(stored)]
    costs = _measure(bundle, entry, target)
    if costs:
        save_sealed(path, canonical_json([vars(cost) for cost in costs]).encode())
    return costs


def _measure(bundle: Bundle, entry: ModelEntry, target: Target) -> list[ResizerCost]:
    tasks = _tasks(bundle)
    rows = np.unique(np.concatenate([task.query for task in tasks]))
    contract = bundle.goldens.retrieval_images[rows]
    variants = [
        np.stack([resized_with(bundle.originals[row], bundle.preprocessing, weights) for row in rows.tolist()])
        for weights in RESIZERS.values()
    ]
    embedded = _embed(bundle, entry, target, [contract, *variants])
    if not embedded:
        return []
    return [
        _cost(bundle, name, rows, tasks, (contract, pixels), (embedded[0], vectors))
        for name, pixels, vectors in zip(RESIZERS, variants, embedded[1:], strict=True)
    ]


def _tasks(bundle: Bundle) -> list[RetrievalTask]:
    """Return the bundle's tasks with the queries that have an original file."""
    rows = np.array(list(bundle.originals), np.int64)
    tasks = [
        RetrievalTask(task.name, task.query[np.isin(task.query, rows)], task.gallery, task.exclude_self)
        for task in bundle.goldens.tasks
    ]
    return [task for task in tasks if len(task.query)]


def _embed(
    bundle: Bundle, entry: ModelEntry, target: Target, sets: Sequence[UInt8[np.ndarray, "n h w 3"]]
) -> list[Float32[np.ndarray, "n d"]]:
    name = f"{bundle.manifest.name} {entry.format} {entry.precision}"
    request = Request(
        name, target.runtimes[entry.format], bundle.file(entry), np.concatenate(sets), precision=entry.precision
    )
    with handed(request, bundle) as asked:
        returned = target.run(asked, lambda _done, _total: None)
    return [] if returned.embeddings is None else np.split(returned.embeddings, len(sets))


def _cost(
    bundle: Bundle,
    name: str,
    rows: Int64[np.ndarray, " n"],
    tasks: Sequence[RetrievalTask],
    pixels: tuple[UInt8[np.ndarray, "n h w 3"], UInt8[np.ndarray, "n h w 3"]],
    vectors: tuple[Float32[np.ndarray, "n d"], Float32[np.ndarray, "n d"]],
) -> ResizerCost:
    goldens = bundle.goldens
    before, after = (
        evaluate_tasks(_placed(goldens, rows, found), goldens.retrieval_cloud, goldens.retrieval_labels, tasks)
        for found in vectors
    )
    old, new = before.per_query("cmc@1"), after.per_query("cmc@1")
    loss = difference_interval(old, new, clusters=before.labels)
    turned = np.degrees(angle(cosine_distance(*vectors)))
    return ResizerCost(
        bundle=bundle.manifest.name,
        resizer=name,
        queries=sum(len(task.query) for task in tasks),
        cmc1=after.mean("cmc@1"),
        cmc1_contract=before.mean("cmc@1"),
        loss=loss.value,
        low=loss.low,
        high=loss.high,
        negative_flips=sum(int((a > b).sum()) for a, b in zip(old, new, strict=True)),
        mean_difference=float(np.abs(pixels[0].astype(np.int16) - pixels[1]).mean()),
        median_angle_degrees=float(np.median(turned)),
        largest_angle_degrees=float(turned.max()),
    )


def _placed(
    goldens: Goldens, rows: Int64[np.ndarray, " n"], vectors: Float32[np.ndarray, "n d"]
) -> Float32[np.ndarray, "m d"]:
    placed = np.zeros_like(goldens.retrieval_student)
    placed[rows] = vectors
    return placed
