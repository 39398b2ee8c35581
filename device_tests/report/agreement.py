"""Agreement between targets' embeddings, and which target is right where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from device_tests.answers.embeddings import DeviceEmbeddings
from device_tests.checks.margins import cosine_distance
from device_tests.report.table import Line

_SAME = 1e-6


@dataclass(frozen=True)
class Agreement:
    """One exported model on all targets that ran it.

    Attributes:
        bundle: The bundle's name.
        format: A format, for instance ``onnx``.
        precision: A precision, for instance ``int8``.
        targets: Targets that ran it.
        largest: Largest ``1 - cosine`` between two targets' embeddings of a golden image.
        apart: The two targets that differ most.
        told: Conclusion, for people.
    """

    bundle: str
    format: str
    precision: str
    targets: tuple[str, ...]
    largest: float
    apart: tuple[str, str]
    told: str


def agreements(embeddings: Mapping[Line, DeviceEmbeddings]) -> list[Agreement]:
    """Compare the targets of every model that at least two of them ran."""
    groups: dict[tuple[str, str, str], dict[str, tuple[Line, DeviceEmbeddings]]] = {}
    for line, answer in embeddings.items():
        if np.isfinite(answer.golden).all() and np.linalg.norm(answer.golden, axis=1).all():
            groups.setdefault((line.bundle, line.format, line.precision), {})[line.target] = line, answer
    return [_agreement(*key, group) for key, group in groups.items() if len(group) > 1]


def _agreement(
    bundle: str, format: str, precision: str, group: Mapping[str, tuple[Line, DeviceEmbeddings]]
) -> Agreement:
    distances = {
        (one, other): cosine_distance(group[one][1].golden, group[other][1].golden)
        for one, other in combinations(group, 2)
    }
    apart = max(distances, key=lambda pair: float(distances[pair].max()))
    largest = float(distances[apart].max())
    text = "the same to rounding"
    if largest > _SAME:
        text = f"{apart[0]} and {apart[1]} differ"
        if float(np.median(distances[apart])) <= _SAME:
            text += " on fewer than half of the images; the others agree"
    return Agreement(bundle, format, precision, tuple(group), largest, apart, text + _int8(group))


def _int8(group: Mapping[str, tuple[Line, DeviceEmbeddings]]) -> str:
    """Describe the result of the x86 processor's own int8 arithmetic."""
    for line, _ in group.values():
        differs = line.figure("parity", "x86_default_differs_by")
        if differs is None:
            continue
        if differs <= _SAME:
            return "; this x86 processor computes int8 exactly by default, too"
        return (
            f"; by default this x86 processor would be off by {differs:.1e}, because it adds int8 products in 16 bits, "
            "which saturate: ARM processors do not, so the exact way is right, and it is what was judged"
        )
    return ""
