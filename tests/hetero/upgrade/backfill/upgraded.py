"""A gallery by an old and a new model, made up: the new model is sharper, and its vectors go with the old ones."""

from __future__ import annotations

import numpy as np

from hetero.metrics.backfill import Backfill

CLASSES, EACH, DIMENSION = 20, 12, 16


def near(rng: np.random.Generator, centres: np.ndarray, labels: np.ndarray, spread: np.ndarray | float) -> np.ndarray:
    vectors = centres[labels] + spread * rng.standard_normal((len(labels), DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def upgraded(seed: int = 0, *, queries: int = 200) -> Backfill:
    """The old model blurs a quarter of the gallery a lot and the rest a little; the new one is sharp throughout."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CLASSES, DIMENSION))
    labels, asked = np.repeat(np.arange(CLASSES), EACH), np.arange(queries) % CLASSES
    blur = np.where(rng.random(len(labels)) < 0.25, 2.5, 0.5)[:, None]
    return Backfill(
        query=near(rng, centres, asked, 0.8),
        new=near(rng, centres, labels, 0.4),
        old=near(rng, centres, labels, blur),
        query_labels=asked,
        gallery_labels=labels,
        exclude=np.full(queries, -1),
    )
