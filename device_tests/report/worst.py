"""The golden images whose embeddings differ most from torch's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from device_tests.checks.margins import angle, cosine_distance, gallery_vectors, margins
from device_tests.report.evidence import Evidence, label
from hetero.display.pages import data_uri


@dataclass(frozen=True)
class WorstImage:
    """One golden image on one target.

    Attributes:
        where: Bundle, target, format and precision, for people.
        picture: A data URI.
        degrees: Angle to torch's embedding.
        margin: Angle by which the nearest gallery vector is nearer than the next.
    """

    where: str
    picture: str
    degrees: float
    margin: float


def worst_images(evidence: Evidence, count: int) -> list[WorstImage]:
    """Return the worst image of each line, the worst lines first."""
    images: list[WorstImage] = []
    for line, answer in evidence.embeddings.items():
        if not (np.isfinite(answer.golden).all() and np.linalg.norm(answer.golden, axis=1).all()):
            continue
        goldens = evidence.bundles[line.bundle].goldens
        turned = np.degrees(angle(cosine_distance(answer.golden, goldens.golden_embeddings)))
        row = int(turned.argmax())
        margin = np.degrees(margins(goldens.golden_embeddings[row : row + 1], gallery_vectors(goldens)))
        images.append(
            WorstImage(
                f"{line.bundle} {line.precision}, {label(line)}",
                data_uri(goldens.golden_images[row]),
                float(turned[row]),
                float(margin[0]),
            )
        )
    return sorted(images, key=lambda one: -one.degrees)[:count]
