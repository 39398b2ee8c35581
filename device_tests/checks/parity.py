"""Rung 3: is an embedding of a real image what torch computes, and does the difference matter to a neighbour?

Unit vectors agree to within any loose absolute tolerance, so the angle counts. It is held against the margin: the
angle by which the nearest gallery vector is nearer than the next. A drift below half of it cannot change the nearest
neighbour (triangle inequality on the sphere).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from device_tests.checks.finding import Finding, judged
from device_tests.checks.margins import angle, cosine_distance, gallery_vectors, margins
from device_tests.checks.subject import Subject
from device_tests.gates import Gates

RUNG = "parity"
# Of different images, in any space worth the name, some pair of embeddings differs by far more.
_SAME = 1e-6
# Vectors of bytes are rounded to steps of the order of one hundredth; applications normalise them again.
_BYTE_NORM = 0.1


def check(subject: Subject, gates: Gates) -> Finding:
    """Compare golden images' embeddings with torch's.

    Fails for values that are not finite, for lengths that are not one, when all images have the same embedding, and
    when ``1 - cosine`` of any golden image exceeds the gate.
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
    drift = cosine_distance(subject.golden, subject.goldens.golden_embeddings)
    limit = gates.parity if subject.precision == "fp32" else gates.parity_reduced
    if over := int((drift > limit).sum()):
        problems.append(
            f"{over} of {len(drift)} golden images differ from torch by 1 - cosine up to {drift.max():.3g}; "
            f"allowed is {limit:g}"
        )
    return judged(RUNG, problems, {"largest_norm_error": worst_norm, **_figures(subject, drift)})


def _figures(subject: Subject, drift: Float64[np.ndarray, " n"]) -> dict[str, float | int | None]:
    goldens = subject.goldens
    margin = margins(goldens.golden_embeddings, gallery_vectors(goldens))
    turned = angle(drift)
    # A duplicate in the gallery leaves no margin for any model to respect.
    told = margin > _SAME
    return {
        "min_cosine": float(1 - drift.max()),
        "largest_one_minus_cosine": float(drift.max()),
        "median_one_minus_cosine": float(np.median(drift)),
        "largest_angle_degrees": float(np.degrees(turned.max())),
        "median_margin_degrees": float(np.degrees(np.median(margin))),
        "largest_share_of_margin": float((turned[told] / (margin[told] / 2)).max()) if told.any() else None,
        "neighbours_at_risk": int((turned[told] >= margin[told] / 2).sum()),
        "golden_images": len(drift),
        "worst_image": int(drift.argmax()),
        **_other_settings(subject),
    }


def _other_settings(subject: Subject) -> dict[str, float | int | None]:
    """The same model under other settings of its runtime: how far that is from torch, and from what is judged."""
    figures: dict[str, float | int | None] = {}
    count = len(subject.goldens.golden_images)
    for name, embeddings in subject.returned.also.items():
        other = embeddings[:count]
        figures[f"{name}_largest_one_minus_cosine"] = float(
            cosine_distance(other, subject.goldens.golden_embeddings).max()
        )
        figures[f"{name}_differs_by"] = float(cosine_distance(other, subject.golden).max())
    return figures


def _all_equal(vectors: Float64[np.ndarray, "n d"]) -> bool:
    return len(vectors) > 1 and bool(np.abs(vectors - vectors[0]).max() < _SAME)
