"""The precisions that this machine can train in."""

from __future__ import annotations

from collections.abc import Mapping

from hetero.errors import InputError
from hetero.training.config import TrainingConfig


def require_precision(config: TrainingConfig) -> None:
    """Refuse a precision that this machine cannot train in, rather than train in another.

    Raises:
        InputError: When float16 is configured on a machine without a GPU.
    """
    if problems := precision_problems({"training": config}):
        raise InputError(problems[0])


def precision_problems(trainings: Mapping[str, TrainingConfig]) -> list[str]:
    """Return one line for each training whose precision this machine does not support; empty when it supports all.

    Args:
        trainings: Trainings by their place in the recipe.
    """
    places = [place for place, training in trainings.items() if training.precision == "16-mixed"]
    if not places or _has_gpu():
        return []
    return [
        f'{place}.precision: "16-mixed" needs a GPU, and there is none here; set "bf16-mixed" or "32-true"'
        for place in places
    ]


def _has_gpu() -> bool:
    import torch

    return torch.accelerator.is_available()
