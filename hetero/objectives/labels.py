"""Objectives that learn from labels, and the remedy where training images have none. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable

from hetero.errors import InputError
from hetero.objectives.catalog import CATALOG, Declaration, entry_of, expanded
from hetero.objectives.config import ObjectiveConfig

FIRST = ("instance_contrastive", "cloud_regression")
"""The objectives that a student without labels is best trained by, named before the others."""


def without_labels() -> list[str]:
    """Return the names of the objectives by which a student can learn from images without labels."""
    entries = [(name, entry) for name, entry in CATALOG.items() if isinstance(entry, Declaration)]
    names = [name for name, entry in entries if not entry.needs & {"labels", "texts"}]
    return [*FIRST, *(name for name in names if name not in FIRST)]


def needing_labels(terms: Iterable[ObjectiveConfig]) -> list[str]:
    """Return the names of the terms that learn from labels; unknown ones are skipped."""
    return [term.name for term in terms if any(_needs_labels(part.name) for part in expanded([term]))]


def label_problems(
    terms: Iterable[ObjectiveConfig], *, unlabelled: int, images: int, has_cloud: bool = True
) -> list[str]:
    """Return the problem of a model's objectives where training images have no label; one line, or none.

    Args:
        terms: Terms of the objective.
        unlabelled: Number of training images without a label.
        images: Number of training images in all.
        has_cloud: True if there is a cloud (or old) model to learn from instead.
    """
    needing = needing_labels(terms) if unlabelled else []
    if not needing:
        return []
    have = "none has one" if unlabelled == images else f"{unlabelled} of them have none"
    remedy = (
        f"use {', '.join(without_labels())}, which learn from the cloud model alone"
        if has_cloud
        else "bring labels, or learn from a model that is trained already (cloud.backbone, cloud.onnx or "
        "cloud.embeddings in a recipe)"
    )
    verb = "learns" if len(needing) == 1 else "learn"
    return [f"{', '.join(needing)} {verb} from the labels of the {images} training images, and {have}; {remedy}"]


def _needs_labels(name: str) -> bool:
    try:
        return "labels" in entry_of(name).needs
    except InputError:
        return False
