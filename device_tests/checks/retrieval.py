"""Rung 4: do the target's embeddings, as queries, still find the right things in the cloud model's gallery?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from device_tests.checks.finding import Figure, Finding, judged
from device_tests.checks.subject import Subject
from device_tests.gates import Gates
from export.goldens import Goldens
from hetero.errors import InputError
from hetero.evaluation.bootstrap import difference_interval
from hetero.evaluation.retrieval import TaskResult, evaluate_tasks, rows_of_self
from hetero.evaluation.search import search
from hetero.evaluation.task import RetrievalTask

RUNG = "retrieval"
METRICS = ("cmc@1", "cmc@10", "map@r")
_DEPTH = 10


def check(subject: Subject, gates: Gates) -> Finding:
    """Compare retrieval with the device's queries to retrieval with torch's, both in the cloud gallery.

    Figures are means over queries within a task, then over tasks. ``*_student`` are those of the student in torch,
    ``*_student_own_gallery`` those of the student searching vectors of its own.
    """
    goldens = subject.goldens
    if not np.isfinite(subject.queries).all():
        return judged(RUNG, ["query embeddings hold values that are not finite"], {})
    device = np.zeros_like(goldens.retrieval_student)
    device[goldens.query_rows] = subject.queries
    try:
        figures = _figures(goldens, device)
    except InputError as error:
        return judged(RUNG, [str(error)], {})
    return judged(RUNG, _problems(figures, gates), figures)


def _figures(goldens: Goldens, device: Float32[np.ndarray, "m d"]) -> dict[str, Figure]:
    student, cloud = goldens.retrieval_student, goldens.retrieval_cloud

    def measure(query: Float32[np.ndarray, "m d"], gallery: Float32[np.ndarray, "m d"]) -> TaskResult:
        return evaluate_tasks(query, gallery, goldens.retrieval_labels, goldens.tasks)

    on_device, in_torch, own = measure(device, cloud), measure(student, cloud), measure(student, student)
    figures: dict[str, Figure] = {}
    for metric in METRICS:
        figures[metric] = on_device.mean(metric)
        figures[f"{metric}_student"] = in_torch.mean(metric)
        figures[f"{metric}_student_own_gallery"] = own.mean(metric)
    new, old = on_device.per_query("cmc@1"), in_torch.per_query("cmc@1")
    losses = [before - after for before, after in zip(old, new, strict=True)]
    # Queries of a class are not independent, so classes are resampled.
    loss = difference_interval(old, new, clusters=on_device.labels)
    return {
        **figures,
        "cmc@1_loss": loss.value,
        "cmc@1_loss_low": loss.low,
        "cmc@1_loss_high": loss.high,
        "cmc@1_identical": not any(values.any() for values in losses),
        "negative_flips": sum(int((values > 0).sum()) for values in losses),
        "negative_flip_rate": float(np.mean([(values > 0).mean() for values in losses])),
        "overlap@10": float(np.mean([_overlap(goldens, task, device).mean() for task in goldens.tasks])),
        "above_own_gallery": on_device.mean("cmc@1") > own.mean("cmc@1"),
        "queries": sum(len(values) for values in losses),
        "tasks": len(goldens.tasks),
    }


def _overlap(goldens: Goldens, task: RetrievalTask, device: Float32[np.ndarray, "m d"]) -> Float64[np.ndarray, " q"]:
    """Share of the ten nearest gallery rows that the device's query and torch's have in common."""
    gallery = goldens.retrieval_cloud[task.gallery]
    exclude = rows_of_self(task) if task.exclude_self else None
    depth = min(_DEPTH, len(gallery) - task.exclude_self)
    found = search(device[task.query], gallery, depth, exclude=exclude).rows
    expected = search(goldens.retrieval_student[task.query], gallery, depth, exclude=exclude).rows
    return np.array([len(np.intersect1d(a, b)) / depth for a, b in zip(found, expected, strict=True)])


def _problems(figures: dict[str, Figure], gates: Gates) -> list[str]:
    found, loss, own = (float(figures[name] or 0) for name in ("cmc@1", "cmc@1_loss", "cmc@1_student_own_gallery"))
    problems: list[str] = []
    if found < gates.floor:
        problems.append(f"cmc@1 is {found:.4f}; the floor is {gates.floor:g}")
    # Means of counts: a loss on the limit may exceed it by rounding.
    if loss > gates.largest_loss + 1e-12:
        problems.append(f"cmc@1 is {loss:.4f} below the student in torch; allowed is {gates.largest_loss:g}")
    if gates.above_own and not figures["above_own_gallery"]:
        problems.append(f"cmc@1 in the cloud gallery, {found:.4f}, is not above that in the student's own, {own:.4f}")
    return problems
