"""Figures that need no labels, as candidates for what weights are chosen by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hetero.metrics import RetrievalTask, evaluate, neighbour_map, overlap
from hetero.metrics.top_overlap import nearest
from hetero.training.judging.agreement import agreement

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Held:
    """Held-out images as two models see them.

    Attributes:
        student: float32 [n, d].
        cloud: float32 [n, d].
        student_copies: float32 [n, d], of an altered copy of each image.
        cloud_copies: float32 [n, d].
        center: float32 [d], mean of the cloud's training vectors.
        tasks: Rows of the images.
    """

    student: Vectors
    cloud: Vectors
    student_copies: Vectors
    cloud_copies: Vectors
    center: Vectors
    tasks: tuple[RetrievalTask, ...]

    @property
    def copy_task(self) -> tuple[RetrievalTask]:
        """Altered copies searched among the images: rows of the images followed by their copies."""
        rows = np.arange(len(self.cloud))
        return (RetrievalTask("altered>original", rows + len(rows), rows),)

    def centred(self, vectors: Vectors) -> Vectors:
        """Without the space's mean, of length one."""
        return unit(vectors - self.center)


def unit(vectors: Vectors) -> Vectors:
    """Of length one."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _agreement(held: Held) -> float:
    return float(agreement(*(torch.from_numpy(one) for one in (held.student, held.cloud, held.center))))


def _copy_agreement(held: Held) -> float:
    return float(agreement(*(torch.from_numpy(one) for one in (held.student_copies, held.cloud_copies, held.center))))


def _cosine(held: Held) -> float:
    return float((held.student * held.cloud).sum(axis=1).mean())


def _neighbours(k: int) -> Callable[[Held], float]:
    return lambda held: neighbour_map(held.student, held.cloud, held.center, held.tasks, k=k)


def _neighbours_among_all(held: Held) -> float:
    rows = np.arange(len(held.cloud))
    task = RetrievalTask("leave-one-out", rows, rows, exclude_self=True)
    return neighbour_map(held.student, held.cloud, held.center, (task,))


def _raw_neighbours(held: Held) -> float:
    return neighbour_map(held.student, held.cloud, np.zeros_like(held.center), held.tasks)


def _neighbours_of_centred(held: Held) -> float:
    centred = [held.centred(vectors) for vectors in (held.student, held.cloud)]
    return neighbour_map(*centred, np.zeros_like(held.center), held.tasks)


def _copy_neighbours(held: Held) -> float:
    both = (np.concatenate(pair) for pair in ((held.student, held.student_copies), (held.cloud, held.cloud_copies)))
    return neighbour_map(*both, held.center, held.copy_task)


def _overlap(held: Held) -> float:
    centred = held.centred(held.cloud)
    sides = nearest(held.student, held.cloud, held.tasks), nearest(centred, centred, held.tasks)
    return float(np.mean([one.mean() for one in overlap(*sides)]))


def _own_copy(name: str) -> Callable[[Held], float]:
    """Retrieval of an image by its altered copy."""

    def figure(held: Held) -> float:
        rows = np.arange(len(held.cloud))
        if name != "reciprocal":
            return float(evaluate(held.student_copies, held.cloud, rows, rows, metrics=("cmc@1", "map@r"))[name].mean())
        scores = held.student_copies @ held.cloud.T
        return float((1 / (1 + (scores > np.diag(scores)[:, None]).sum(axis=1))).mean())

    return figure


def _margin(held: Held) -> float:
    scores = held.student_copies @ held.cloud.T
    own = np.diag(scores).copy()
    np.fill_diagonal(scores, -2.0)
    return float((own - scores.max(axis=1)).mean())


def _similarities(held: Held, student: Vectors, cloud: Vectors) -> tuple[Vectors, Vectors]:
    """Each image's similarities to all others in the cloud's gallery, by student and by cloud."""
    others = ~np.eye(len(cloud), dtype=bool)
    return tuple((one @ cloud.T)[others].reshape(len(cloud), -1) for one in (student, cloud))  # pyright: ignore


def _rows(rank: bool) -> Callable[[Held], float]:
    """Correlation of the rows of similarities, without the space's mean."""

    def figure(held: Held) -> float:
        both = _similarities(held, held.centred(held.student), held.centred(held.cloud))
        a, b = (one.argsort(axis=1).argsort(axis=1).astype(np.float32) if rank else one for one in both)
        a, b = (one - one.mean(axis=1, keepdims=True) for one in (a, b))
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        return float(((a * b).sum(axis=1) / lengths).mean())

    return figure


def _divergence(held: Held) -> float:
    """Minus the KL divergence of the cloud's softmax over the gallery to the student's, at temperature .1."""
    ours, theirs = (
        torch.log_softmax(torch.from_numpy(one) / 0.1, dim=1)
        for one in _similarities(held, held.centred(held.student), held.centred(held.cloud))
    )
    return -float((theirs.exp() * (theirs - ours)).sum(dim=1).mean())


FIGURES: Mapping[str, Callable[[Held], float]] = {
    "map@10 of the cloud's neighbours, on the tasks": _neighbours(10),
    "map@5 of the cloud's neighbours": _neighbours(5),
    "map@20 of the cloud's neighbours": _neighbours(20),
    "map@10 of neighbours with the mean": _raw_neighbours,
    "map@10 of neighbours, student centred too": _neighbours_of_centred,
    "map@10 of neighbours, each image among all others (label-free)": _neighbours_among_all,
    "map@10 of neighbours, asked by altered copies": _copy_neighbours,
    "overlap@10 with the cloud's neighbours": _overlap,
    "agreement": _agreement,
    "agreement of altered copies": _copy_agreement,
    "cosine with the mean": _cosine,
    "own altered copy, cmc@1": _own_copy("cmc@1"),
    "own altered copy, reciprocal rank": _own_copy("reciprocal"),
    "own altered copy, margin": _margin,
    "rows of similarities, Pearson": _rows(rank=False),
    "rows of similarities, Spearman": _rows(rank=True),
    "rows of similarities, -KL": _divergence,
}
