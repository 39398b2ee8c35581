"""Which precisions this machine can train in."""

from __future__ import annotations

from collections.abc import Mapping

from hetero.errors import InputError
from hetero.training.config import TrainingConfig


def require_precision(config: TrainingConfig) -> None:
    """Refuse a precision that this machine cannot train in, rather than train in another.

    Raises:
        InputError: When float16 is asked for where there is no GPU.
    """
    if problems := precision_problems({"training": config}):
        raise InputError(problems[0])


def precision_problems(trainings: Mapping[str, TrainingConfig]) -> list[str]:
    """What this machine cannot do of several trainings, one line each; nothing when it can do them all.

    Args:
        trainings: By the place that asks for them.
    """
    asking = [place for place, training in trainings.items() if training.precision == "16-mixed"]
    if not asking or _has_gpu():
        return []
    return [
        f'{place}.precision: "16-mixed" needs a GPU, and there is none here; set "bf16-mixed" or "32-true"'
        for place in asking
    ]


def _has_gpu() -> bool:
    import torch

    return torch.accelerator.is_available()
