"""Rung 3: agreement of embeddings of real images with torch's, measured by its effect on nearest neighbours.

Unit vectors agree to within any loose absolute tolerance, so the angle counts. In float32 it is compared with
rounding. In reduced precisions it is compared with the margins of the nearest gallery vectors: the share of queries
whose drift uses them up is judged (:mod:`device_tests.checks.neighbours`).
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from jaxtyping import Float64

from device_tests.checks.finding import Figure, Finding, judged
from device_tests.checks.gates import Gates
from device_tests.checks.margins import SAME, angle, cosine_distance, gallery_vectors, margins
from device_tests.checks.neighbours import depth_of, lost_neighbours, mistaken_gate, neighbours_gate
from device_tests.checks.subject import Subject
from export.bundle.goldens import Goldens
from export.conversion.telling import degrees, mistaken, nearest_other, tells, why_not
from hetero.evaluation.limit import problems_of, unknown_of
from hetero.files import sha256_bytes
from hetero.metrics.bootstrap import mean_interval
from hetero.metrics.retrieval import TaskResult

RUNG = "parity"
# Byte vectors are rounded to steps of about one hundredth; applications normalise them again.
_BYTE_NORM = 0.1
# Between two embeddings of one image by one model, in batches of different sizes.
_SAME_IN_TORCH = 1e-5


def check(subject: Subject, gates: Gates) -> Finding:
    """Compare golden images' and queries' embeddings with torch's.

    Fails for values that are not finite, for lengths that are not one, when all images have the same embedding, when
    the bundle's own torch vectors contradict each other, and when the drift is larger than the precision's gate
    allows. Not verified if the only fault is that the golden images cannot tell models apart
    (:mod:`export.conversion.telling`) or that there are too few queries.
    """
    device = subject.embeddings.astype(np.float64)
    bad = int((~np.isfinite(device).all(axis=1)).sum())
    if bad:
        return judged(RUNG, [f"{bad} of {len(device)} embeddings hold values that are not finite"], {"not_finite": bad})
    norms = np.linalg.norm(device, axis=1)
    worst_norm = float(np.abs(norms - 1).max())
    problems: list[str] = []
    allowed = max(gates.norm, _BYTE_NORM) if subject.precision == "int8-uint8io" else gates.norm
    if subject.unit_norm and worst_norm > allowed:
        problems.append(f"an embedding's length is off by {worst_norm:.3g}; allowed is {allowed:g}")
    if not norms.all():
        figures = {"largest_norm_error": worst_norm, "zero_vectors": int((norms == 0).sum())}
        return judged(RUNG, [f"{figures['zero_vectors']} embeddings are all zero", *problems], figures)
    if _all_equal(device):
        problems.append("every image has the same embedding: the model does not look at its input")
    problems += _contradictions(subject.goldens)
    drift = cosine_distance(subject.golden, subject.goldens.golden_embeddings)
    # Recomputed from the embeddings: a bundle's claim about its own proof is no proof.
    room = float(np.median(nearest_other(subject.goldens.golden_embeddings)))
    unknown = [] if tells(room, gates.parity) else [why_not(room, gates.parity)]
    losses = lost_neighbours(subject.goldens, subject.queries, depth_of(subject.precision))
    if subject.precision == "fp32":
        problems += _over(drift, gates.parity)
    else:
        gated = [
            neighbours_gate(losses, gates.neighbours, same=same_vectors(subject, gates.parity)),
            mistaken_gate(subject.golden, subject.goldens.golden_embeddings),
        ]
        problems += problems_of(gated)
        unknown += unknown_of(gated)
    figures = {
        "largest_norm_error": worst_norm,
        **_drift_figures(subject, drift),
        "golden_room": room,
        "golden_room_degrees": degrees(room),
        **_neighbour_figures(losses),
        "goldens_mistaken": int(mistaken(subject.golden, subject.goldens.golden_embeddings).sum()),
        **_other_settings(subject),
    }
    return judged(RUNG, problems, figures, unknown)


def same_vectors(subject: Subject, limit: float) -> bool:
    """Return True if the queries' vectors are torch's up to float32 rounding."""
    goldens, queries = subject.goldens, subject.queries
    if not np.linalg.norm(queries, axis=1).all():
        return False
    return float(cosine_distance(queries, goldens.retrieval_student[goldens.query_rows]).max()) <= limit


def _over(drift: Float64[np.ndarray, " n"], limit: float) -> list[str]:
    if not (over := int((drift > limit).sum())):
        return []
    return [
        f"{over} of {len(drift)} golden images differ from torch by 1 - cosine up to {drift.max():.3g}; "
        f"allowed is {limit:g}"
    ]


def _contradictions(goldens: Goldens) -> list[str]:
    """Check that golden images that are also retrieval images have one embedding in torch, not two."""
    known = [sha256_bytes(image.tobytes()) for image in goldens.retrieval_images]
    times = Counter(known)
    rows = {digest: row for row, digest in enumerate(known) if times[digest] == 1}
    digests = [sha256_bytes(image.tobytes()) for image in goldens.golden_images]
    pairs = [(place, rows[digest]) for place, digest in enumerate(digests) if digest in rows]
    if not pairs:
        return []
    places, retrieval_rows = map(list, zip(*pairs, strict=True))
    apart = cosine_distance(goldens.golden_embeddings[places], goldens.retrieval_student[retrieval_rows])
    if not (wrong := int((apart > _SAME_IN_TORCH).sum())):
        return []
    return [
        f"{wrong} of {len(pairs)} golden images have another embedding than the same image has for retrieval: "
        "the bundle's torch vectors are not of one model"
    ]


def _drift_figures(subject: Subject, drift: Float64[np.ndarray, " n"]) -> dict[str, Figure]:
    goldens = subject.goldens
    margin = margins(goldens.golden_embeddings, gallery_vectors(goldens))
    turned = angle(drift)
    # A duplicate in the gallery leaves no margin for any model to respect.
    separable = margin > SAME
    return {
        "min_cosine": float(1 - drift.max()),
        "largest_one_minus_cosine": float(drift.max()),
        "median_one_minus_cosine": float(np.median(drift)),
        "largest_angle_degrees": float(np.degrees(turned.max())),
        "median_margin_degrees": float(np.degrees(np.median(margin))),
        "largest_share_of_margin": float((turned[separable] / (margin[separable] / 2)).max())
        if separable.any()
        else None,
        "neighbours_at_risk": int((turned[separable] >= margin[separable] / 2).sum()),
        "golden_images": len(drift),
        "worst_image": int(drift.argmax()),
    }


def _neighbour_figures(lost: TaskResult | None) -> dict[str, Figure]:
    """Return the number of queries that lose their neighbours, with the share's 95 % interval."""
    if lost is None:
        return {"neighbours": 0}
    values = lost.per_query("neighbours_lost")
    share = mean_interval(values, clusters=lost.clusters(lost.resampled))
    return {
        "neighbours_lost": int(sum(each.sum() for each in values)),
        "neighbours": sum(map(len, values)),
        "neighbours_lost_share": share.value,
        "neighbours_lost_low": share.low,
        "neighbours_lost_high": share.high,
    }


def _other_settings(subject: Subject) -> dict[str, Figure]:
    """Compare the same model under other settings of its runtime with torch, and with the judged settings."""
    figures: dict[str, Figure] = {}
    count = len(subject.goldens.golden_images)
    for name, embeddings in subject.returned.also.items():
        other = embeddings[:count]
        figures[f"{name}_largest_one_minus_cosine"] = float(
            cosine_distance(other, subject.goldens.golden_embeddings).max()
        )
        figures[f"{name}_differs_by"] = float(cosine_distance(other, subject.golden).max())
    return figures


def _all_equal(vectors: Float64[np.ndarray, "n d"]) -> bool:
    return len(vectors) > 1 and bool(np.abs(vectors - vectors[0]).max() < SAME)
