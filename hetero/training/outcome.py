"""The outcome of a training: the model's figures, and the space that it defines."""

from __future__ import annotations

import dataclasses
from typing import Any

from hetero.files import sha256_bytes
from hetero.models.cost import cost
from hetero.models.directory import weights_bytes
from hetero.models.model import EmbeddingModel
from hetero.space import EmbeddingSpace
from hetero.training.loop.run import Fitted


def own_space(model: EmbeddingModel, *, version: str = "1", prototypes: str = "") -> EmbeddingSpace:
    """Return the space that a model's weights define.

    Args:
        model: The trained model.
        version: Version for people.
        prototypes: SHA-256 of the class prototypes' file, if there is one.
    """
    return EmbeddingSpace.define(
        defined_by=sha256_bytes(weights_bytes(model)),
        name=model.name,
        version=version,
        dimension=model.config.dimension,
        preprocessing=model.preprocessing.digest,
        prototypes=prototypes,
    )


def training_metrics(fitted: Fitted, model: EmbeddingModel, seed: int) -> dict[str, Any]:
    """Return the contents of a trained model's ``metrics.json``.

    They are its figures on the validation images, the figure by which its weights were chosen, the advice of its
    training's curves, its cost and its seed.
    """
    best = fitted.best
    return {
        "validation": dict(best.judgement.figures),
        "judged_by": best.judgement.judged_by,
        "best_step": best.step,
        "steps": fitted.steps,
        "advice": list(fitted.advice),
        **dataclasses.asdict(cost(model)),
        "seed": seed,
    }
