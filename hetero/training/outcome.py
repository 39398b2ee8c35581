"""What is said of a trained model: its figures, and the space that it defines."""

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
    """The space that a model's weights define.

    Args:
        model: Trained.
        version: For people.
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
    """What ``metrics.json`` says of a trained model.

    Its figures on the validation images and by which of them its weights were chosen, what the curves of its training
    say (``advice``), its cost and its seed.
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
