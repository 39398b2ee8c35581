"""An additional rung: retrieval of a release manager's own photos in their own gallery.

Only the model comes from the bundle. The figures are cmc@1 and map@r by the photos' classes. For photos without
labels, the cloud's nearest neighbours of the cloud's own vectors are the relevant ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from device_tests.checks.finding import EVIDENCE, Figure, Finding, judged
from device_tests.checks.gates import EvidenceGates, Gates
from device_tests.checks.margins import cosine_distance
from device_tests.checks.quality import share_problem
from device_tests.checks.retrieval_gates import chance_gate, floor_gate, loss_gate
from device_tests.evidence.evidence import OwnEvidence
from device_tests.targets.target import Returned
from hetero.evaluation.limit import Gated, problems_of, unknown_of
from hetero.lengths import lengths, scaled
from hetero.metrics.bootstrap import Interval, mean_interval
from hetero.metrics.label_free import NEIGHBOURS, average_precision
from hetero.metrics.nearest import search
from hetero.metrics.paired import share_interval
from hetero.metrics.retrieval import TaskResult, evaluate

RUNG = EVIDENCE
METRICS = ("cmc@1", "map@r")

Vectors = Float32[np.ndarray, "q d"]


@dataclass(frozen=True)
class Reference:
    """The model that the others of a bundle are compared with.

    Attributes:
        vectors: float32 [r, d], of length one.
        rows: int64 [r], the photos' rows.
        name: Name to display.
    """

    vectors: Float32[np.ndarray, "r d"]
    rows: Int64[np.ndarray, " r"]
    name: str


def sound(returned: Returned, evidence: OwnEvidence, rows: Int64[np.ndarray, " k"]) -> Vectors | None:
    """Return a target's vectors of the photos, scaled to length one; None if they are malformed."""
    vectors = returned.embeddings
    if vectors is None or vectors.shape != (len(rows), evidence.gallery.shape[1]) or not np.isfinite(vectors).all():
        return None
    length = lengths(vectors)
    return scaled(vectors, length) if length.all() else None


def check(
    evidence: OwnEvidence,
    returned: Returned,
    rows: Int64[np.ndarray, " k"],
    reference: Reference | None,
    gates: Gates,
    asked: EvidenceGates,
    share: float | None,
) -> Finding:
    """Judge the retrieval of the photos by a target's vectors.

    It fails when the photos find clearly less than with the reference, which is the bundle's float32 file; less than
    the policy's floor, or its share of the retrieval by the cloud's own vectors; or no more than chance. All of it is
    judged by 95 % intervals; a figure whose interval decides nothing is not verified.

    Args:
        evidence: The photos and the gallery.
        returned: The target's answer.
        rows: The rows of the photos that the target embedded.
        reference: The model to compare with; None for the reference itself.
        gates: Limits on the target.
        asked: The policy's requirements on evidence.
        share: Least share of the cloud's own cmc@1; None for no requirement.
    """
    if returned.not_verified:
        return Finding(RUNG, "not verified", returned.error)
    if returned.embeddings is None:
        return judged(RUNG, [returned.error or "the target returned nothing"], {})
    vectors = sound(returned, evidence, rows)
    if vectors is None:
        return judged(RUNG, ["the embeddings of your photos are not finite vectors of the gallery's length"], {})
    result, own = measure(evidence, vectors, rows), _of_cloud(evidence, rows)
    limits = [chance_gate(result, chance(evidence, rows), unit="photos")]
    limits += [] if asked.floor is None else [floor_gate(result, asked.floor)]
    loss, figures = None, _figures(evidence, vectors, rows, result)
    if reference is not None:
        loss, same = _loss(evidence, vectors, rows, reference, gates)
        limits.append(loss)
        ends = {"loss": loss.figure.value, "loss_low": loss.figure.low, "loss_high": loss.figure.high}
        figures |= {f"cmc@1_{name}": value for name, value in ends.items()} | {"reference_vectors": same}
    figures["beside"] = "itself" if reference is None else reference.name
    problems, unknown = problems_of(limits), unknown_of(limits)
    if own is not None:
        ratio = share_interval(result, own, clusters=result.clusters(result.resampled))
        hits_of_cloud = int(own.per_query("cmc@1")[0].sum())
        figures |= {"cmc@1_cloud": own.mean("cmc@1"), "map@r_cloud": own.mean("map@r")}
        figures |= {f"share_of_cloud{end}": value for end, value in _ends(ratio).items()}
        if share is not None and (problem := share_problem(ratio, share, known=hits_of_cloud, queries=len(rows))):
            (problems if problem[0] == "fail" else unknown).append(f"of your photos, {problem[1]}")
    return judged(RUNG, problems, figures, unknown)


def measure(evidence: OwnEvidence, vectors: Vectors, rows: Int64[np.ndarray, " k"]) -> TaskResult:
    """Return cmc@1 and map@r of each photo.

    Args:
        evidence: The photos and the gallery.
        vectors: float32 [k, d], of length one.
        rows: The photos' rows.
    """
    own = evidence.own[rows]
    if evidence.labels is not None and evidence.gallery_labels is not None:
        labels = evidence.labels[rows]
        values = evaluate(vectors, evidence.gallery, labels, evidence.gallery_labels, exclude=own, metrics=METRICS)
        return TaskResult(("your photos",), (values,), (labels,))
    relevant, neighbours = _nearest(evidence, _cloud(evidence)[rows], own), _nearest(evidence, vectors, own)
    first = (neighbours[:, 0] == relevant[:, 0]).astype(np.float64)
    values = {"cmc@1": first, "map@r": average_precision(neighbours, relevant)}
    return TaskResult(("your photos",), (values,), (np.arange(len(rows)),))


def chance(evidence: OwnEvidence, rows: Int64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    """Return each photo's cmc@1 in a gallery in random order."""
    own = evidence.own[rows]
    candidates = len(evidence.gallery) - (own >= 0)
    if evidence.labels is None or evidence.gallery_labels is None:
        return 1 / candidates
    labels = evidence.labels[rows]
    sizes = np.bincount(evidence.gallery_labels[evidence.gallery_labels >= 0], minlength=int(labels.max()) + 1)
    itself = (own >= 0) & (evidence.gallery_labels[own] == labels)
    return (sizes[labels] - itself) / candidates


def _loss(
    evidence: OwnEvidence,
    vectors: Vectors,
    rows: Int64[np.ndarray, " k"],
    reference: Reference,
    gates: Gates,
) -> tuple[Gated, bool]:
    """Return the loss against the reference over the photos that both embedded, and True if their vectors agree."""
    common, ours, theirs = np.intersect1d(rows, reference.rows, assume_unique=True, return_indices=True)
    pair = vectors[ours], reference.vectors[theirs]
    same = float(cosine_distance(*pair).max()) <= gates.parity
    before, after = measure(evidence, pair[1], common), measure(evidence, pair[0], common)
    return loss_gate(before, after, gates.largest_loss, beside=reference.name, same=same), same


def _of_cloud(evidence: OwnEvidence, rows: Int64[np.ndarray, " k"]) -> TaskResult | None:
    """Return retrieval by the cloud's own vectors; None without labels, as those vectors then define relevance."""
    if evidence.cloud is None or evidence.labels is None:
        return None
    return measure(evidence, evidence.cloud[rows], rows)


def _figures(
    evidence: OwnEvidence, vectors: Vectors, rows: Int64[np.ndarray, " k"], result: TaskResult
) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for metric in METRICS:
        interval = mean_interval(result.per_query(metric), clusters=result.clusters(result.resampled))
        figures |= {f"{metric}{end}": value for end, value in _ends(interval).items()}
    return {
        **figures,
        "chance": float(chance(evidence, rows).mean()),
        "relevant": "the photos' classes" if evidence.labels is not None else "the cloud's own nearest",
        "agreement": None if evidence.cloud is None else _agreement(evidence, vectors, rows),
        "photos": len(rows),
        "gallery": len(evidence.gallery),
        "resampled": result.resampled,
    }


def _agreement(evidence: OwnEvidence, vectors: Vectors, rows: Int64[np.ndarray, " k"]) -> float:
    """Return the mean cosine of a photo's vector and the cloud's, after the gallery's mean is removed from both."""
    centre = evidence.gallery.mean(axis=0, dtype=np.float64)
    ours, theirs = vectors - centre, _cloud(evidence)[rows] - centre
    length = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(axis=1) / np.maximum(length, np.finfo(np.float64).tiny)).mean())


def _nearest(evidence: OwnEvidence, vectors: Vectors, own: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, "k n"]:
    depth = min(NEIGHBOURS, len(evidence.gallery) - bool((own >= 0).any()))
    return search(vectors, evidence.gallery, depth, exclude=own).rows


def _cloud(evidence: OwnEvidence) -> Vectors:
    if evidence.cloud is None:
        raise ValueError("the gallery has no vectors of the queries")
    return evidence.cloud


def _ends(interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {"": None, "_low": None, "_high": None}
    return {"": interval.value, "_low": interval.low, "_high": interval.high}
