"""A student's architecture within its budget. Needs torch to count, but none of the training code."""

from __future__ import annotations

import dataclasses
from typing import TypedDict

from hetero.errors import InputError
from hetero.geometry.directions import LEAST
from hetero.models.config import ModelConfig
from hetero.models.cost import require_fit, widest_within, widths_of
from hetero.preprocessing import Preprocessing
from hetero.training.config import StudentConfig


def fit_budget(
    config: StudentConfig, dimension: int, preprocessing: Preprocessing, cloud_macs: int, *, principal: int = 0
) -> ModelConfig:
    """Return the student's architecture: the cloud's dimension, and the widest version within its budget.

    Args:
        config: Architecture and budget.
        dimension: Dimension of the space.
        preprocessing: Gives the input size.
        cloud_macs: The cloud model's cost, for ``max_macs_share``.
        principal: Number of principal directions that its last layer works in, once it is known; 0 for none.

    Raises:
        InputError: When no width fits, or the budget is a share of a cost that is not known.
    """
    architecture, limits = _within(config, dimension, cloud_macs, principal)
    return widest_within(architecture, preprocessing, **limits) if limits else architecture


def require_budget(config: StudentConfig, dimension: int, preprocessing: Preprocessing, cloud_macs: int) -> ModelConfig:
    """Check in one count that some width fits the budget of :func:`fit_budget`, and return the narrowest version."""
    # Until the cloud's vectors are known, assume the fewest directions possible.
    principal = min(LEAST, dimension) if config.principal == "auto" else config.principal
    architecture, limits = _within(config, dimension, cloud_macs, principal)
    if not limits:
        return architecture
    require_fit(architecture, preprocessing, **limits)
    return architecture.with_width(widths_of(architecture)[0])


def most_macs(config: StudentConfig, cloud_macs: int) -> int | None:
    """Return the most multiply-accumulates that an image may take; None for no limit.

    Raises:
        InputError: When the limit is a share of a cost that is not known.
    """
    if config.max_macs_share and not cloud_macs:
        raise InputError(
            f"student {config.name}: max_macs_share = {config.max_macs_share:g} is a share of the cloud model's cost, "
            "which is not known; say max_macs, or what an image costs the cloud model: cloud.macs in a recipe, "
            "cloud_macs of train_student"
        )
    macs = [config.max_macs] if config.max_macs else []
    macs += [int(config.max_macs_share * cloud_macs)] if config.max_macs_share else []
    return min(macs, default=None)


class _Limits(TypedDict):
    macs: int
    parameters: int | None


def _within(
    config: StudentConfig, dimension: int, cloud_macs: int, principal: int
) -> tuple[ModelConfig, _Limits | None]:
    macs = most_macs(config, cloud_macs)
    architecture = dataclasses.replace(config.model, dimension=dimension, principal=principal)
    if macs is None and not config.max_parameters:
        return architecture, None
    return architecture, {"macs": 2**62 if macs is None else macs, "parameters": config.max_parameters or None}
