"""The rotation of an embedding at each step: decoding and resizing, export, precision, target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from device_tests.answers.embeddings import DeviceEmbeddings
from device_tests.checks.margins import angle, cosine_distance
from device_tests.report.table import Line
from export.bundle.reading import Bundle

_DESKTOP = "desktop"


@dataclass(frozen=True)
class Bar:
    """One step.

    Attributes:
        name: Name for people.
        degrees: Median angle by which it turns a golden image's embedding; None if it was not measured separately.
        share: Share of the longest bar, 0 to 1, on a logarithmic scale.
    """

    name: str
    degrees: float | None
    share: float


@dataclass(frozen=True)
class Way:
    """All steps of one model on one target.

    Attributes:
        line: The model and target.
        steps: The steps in order.
        margin: Median angle by which the nearest gallery vector is nearer than the next.
    """

    line: Line
    steps: Sequence[Bar]
    margin: float


def ways(embeddings: Mapping[Line, DeviceEmbeddings], bundles: Mapping[str, Bundle]) -> list[Way]:
    """Return the steps of each line with sound embeddings, the largest total first."""
    answers = {
        (line.bundle, line.target, line.format, line.precision): answer
        for line, answer in embeddings.items()
        if np.isfinite(answer.golden).all() and np.linalg.norm(answer.golden, axis=1).all()
    }
    results = [
        _way(line, answers, bundles[line.bundle].goldens.golden_embeddings)
        for line in embeddings
        if (line.bundle, line.target, line.format, line.precision) in answers
    ]
    return sorted(results, key=lambda way: -(way.steps[-1].degrees or 0))


def _way(
    line: Line, answers: Mapping[tuple[str, str, str, str], DeviceEmbeddings], in_torch: Float32[np.ndarray, "n d"]
) -> Way:
    def golden(target: str, precision: str) -> Float32[np.ndarray, "n d"] | None:
        answer = answers.get((line.bundle, target, line.format, precision))
        return None if answer is None else answer.golden

    own, full, same = golden(line.target, line.precision), golden(_DESKTOP, "fp32"), golden(_DESKTOP, line.precision)
    assert own is not None
    margin = float(line.figure("parity", "median_margin_degrees") or 0)
    turned: list[tuple[str, float | None]] = [
        ("decode and resize", line.figure("preprocessing", "median_angle_degrees")),
        ("export", _degrees(in_torch, full)),
    ]
    if line.precision != "fp32":
        turned.append((f"to {line.precision}", _degrees(full, same)))
    if line.target != _DESKTOP:
        turned.append(("target", _degrees(same, own)))
    turned.append(("all, from torch", _degrees(in_torch, own)))
    return Way(line, [Bar(name, value, _share(value, margin)) for name, value in turned], margin)


def _degrees(first: Float32[np.ndarray, "n d"] | None, second: Float32[np.ndarray, "n d"] | None) -> float | None:
    if first is None or second is None:
        return None
    return float(np.degrees(np.median(angle(cosine_distance(first, second)))))


def _share(degrees: float | None, margin: float) -> float:
    """Return the position on a logarithmic scale from a millionth of a degree to the margin."""
    if not degrees or not margin:
        return 0.0
    low, high = -6.0, float(np.log10(max(margin, 1e-5)))
    return float(np.clip((np.log10(degrees) - low) / (high - low), 0, 1))
