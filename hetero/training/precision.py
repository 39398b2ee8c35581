"""Which precisions this machine can train in."""

from __future__ import annotations

from hetero.errors import InputError
from hetero.training.config import TrainingConfig


def require_precision(config: TrainingConfig) -> None:
    """Refuse a precision that this machine cannot train in, rather than train in another one.

    Raises:
        InputError: When float16 is asked for where there is no GPU.
    """
    if problem := precision_problem(config):
        raise InputError(problem)


def precision_problem(config: TrainingConfig) -> str:
    """What is wrong with a configuration's precision on this machine; empty when nothing is."""
    if config.precision != "16-mixed":
        return ""
    import torch

    if torch.accelerator.is_available():
        return ""
    return (
        'precision = "16-mixed" needs a GPU, and there is none here: CPUs do not train in float16; '
        'set "bf16-mixed" or "32-true"'
    )
