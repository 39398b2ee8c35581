"""Rung 4: retrieval in the cloud model's gallery with the target's embeddings as queries."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float32

from device_tests.checks.finding import Figure, Finding, judged
from device_tests.checks.gates import Gates
from device_tests.checks.margins import cosine_distance
from device_tests.checks.retrieval_gates import (
    above_gate,
    answers_lost,
    flips,
    floor_gate,
    loss_gate,
    metric_gates,
    queries,
    store_gate,
)
from device_tests.checks.subject import Subject
from device_tests.evidence.approximate import DEPTH, ApproximateGallery
from export.bundle.goldens import Goldens
from hetero.errors import InputError
from hetero.evaluation.limit import Gated, problems_of, unknown_of
from hetero.metrics.bootstrap import Interval
from hetero.metrics.registry import in_full
from hetero.metrics.retrieval import TaskResult, evaluate_tasks
from hetero.metrics.task import RetrievalTask, both_ways
from hetero.metrics.top_overlap import nearest, overlap

RUNG = "retrieval"


def check(subject: Subject, gates: Gates, approximate: ApproximateGallery | None = None) -> Finding:
    """Compare retrieval with the device's queries to retrieval with torch's, both in the cloud gallery.

    Figures are means over queries within a task, then over tasks. ``*_student`` are those of the student in torch,
    ``*_student_own_gallery`` those of the student searching vectors of its own. A gate fails when the whole 95 %
    interval of its figure lies beyond it, and is not verified when there were too few queries to decide. Vectors that
    are torch's up to float32 rounding find the same as torch's: no number of queries has to show that.

    Args:
        subject: The model on the target.
        gates: Limits on the target.
        approximate: A gallery store that the device's queries search, too; what its index loses is limited as what the
            target loses.
    """
    goldens = subject.goldens
    student, cloud = goldens.retrieval_student, goldens.retrieval_cloud
    if not np.isfinite(subject.queries).all():
        return judged(RUNG, ["query embeddings hold values that are not finite"], {})
    device = np.zeros_like(student)
    device[goldens.query_rows] = subject.queries

    def measure(query: Float32[np.ndarray, "m d"], gallery: Float32[np.ndarray, "m d"]) -> TaskResult:
        return evaluate_tasks(query, gallery, goldens.retrieval_labels, goldens.tasks, metrics=in_full(*gates.metrics))

    try:
        on_device, in_torch, own = measure(device, cloud), measure(student, cloud), measure(student, student)
    except InputError as error:
        return judged(RUNG, [str(error)], {})
    same = _same(subject.queries, student[goldens.query_rows], gates.parity)
    loss = loss_gate(in_torch, on_device, gates.largest_loss, beside="the student in torch", same=same)
    gated = [floor_gate(on_device, gates.floor), loss, *([above_gate(on_device, own)] if gates.above_own else [])]
    gated += metric_gates(on_device, gates.metrics)
    hits = (nearest(query, cloud, goldens.tasks) for query in (device, student))
    figures = {
        **_figures(on_device, in_torch, own, loss.figure),
        **_as_gallery(subject),
        "overlap@10": float(np.mean([shares.mean() for shares in overlap(*hits)])),
        "torch_vectors": same,
    }
    # A vector without a direction has failed the parity rung.
    if approximate is not None and np.linalg.norm(subject.queries, axis=1).all():
        gate, further = _in_store(subject.queries, gates, approximate)
        gated, figures = [*gated, gate], {**figures, **further}
    return judged(RUNG, problems_of(gated), figures, unknown_of(gated))


def _in_store(
    device: Float32[np.ndarray, "q d"], gates: Gates, approximate: ApproximateGallery
) -> tuple[Gated, dict[str, Figure]]:
    changed, recall = approximate.compare(device)
    store = f"{approximate.address} at effort {approximate.effort}"
    gate = store_gate(changed, gates.largest_loss, store=store)
    share = gate.figure
    ends = {"store_changed": share.value, "store_changed_low": share.low, "store_changed_high": share.high}
    return gate, {**ends, f"store_recall@{DEPTH}": recall, "store_effort": approximate.effort}


def _as_gallery(subject: Subject) -> dict[str, Figure]:
    """Return cmc@1 of the cloud's queries in a gallery of the photos that the target embedded, and of other vectors."""
    goldens = subject.goldens
    if not (tasks := _turned(goldens)):
        return {}
    device = np.zeros_like(goldens.retrieval_student)
    device[goldens.query_rows] = subject.queries
    galleries = {"": device, "_student": goldens.retrieval_student, "_cloud": goldens.retrieval_cloud}
    return {
        f"as_gallery_cmc@1{of}": evaluate_tasks(
            goldens.retrieval_cloud, gallery, goldens.retrieval_labels, tasks, metrics=("cmc@1",)
        ).mean("cmc@1")
        for of, gallery in galleries.items()
    }


def _turned(goldens: Goldens) -> list[RetrievalTask]:
    """Return the tasks with the images that a target embeds as galleries."""
    labels = goldens.retrieval_labels
    tasks = list(both_ways(goldens.tasks, labels)[len(goldens.tasks) :])
    for task in goldens.tasks:
        if task.exclude_self:
            _, place, counts = np.unique(labels[task.query], return_inverse=True, return_counts=True)
            asking = task.query[counts[place] > 1]
            tasks += [dataclasses.replace(task, query=asking, gallery=task.query)] if len(asking) else []
    return tasks


def _same(device: Float32[np.ndarray, "q d"], torch: Float32[np.ndarray, "q d"], limit: float) -> bool:
    """Return True if the vectors are torch's up to float32 rounding."""
    return bool(np.linalg.norm(device, axis=1).all()) and float(cosine_distance(device, torch).max()) <= limit


def _figures(on_device: TaskResult, in_torch: TaskResult, own: TaskResult, loss: Interval) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for metric in on_device.metrics:
        figures[metric] = on_device.mean(metric)
        figures[f"{metric}_student"] = in_torch.mean(metric)
        figures[f"{metric}_student_own_gallery"] = own.mean(metric)
    losses, (lost, gained) = answers_lost(in_torch, on_device), flips(in_torch, on_device)
    return {
        **figures,
        "cmc@1_loss": loss.value,
        "cmc@1_loss_low": loss.low,
        "cmc@1_loss_high": loss.high,
        "cmc@1_identical": lost + gained == 0,
        "negative_flips": lost,
        "positive_flips": gained,
        "negative_flip_rate": float(np.mean([(values > 0).mean() for values in losses])),
        "above_own_gallery": on_device.mean("cmc@1") > own.mean("cmc@1"),
        "queries": queries(on_device),
        "tasks": len(losses),
        "resampled": on_device.resampled,
    }
