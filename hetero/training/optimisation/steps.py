"""The fewest steps of ``steps = "auto"``, and the steps that its falling rate adds."""

from __future__ import annotations

import math

from hetero.training.judging.curves import FEWEST_LOOKS

DECAY = 0.3
"""Steps of ``"auto"`` whose rate falls, as a share of those before them."""


def fewest_steps(validate_every: int) -> int:
    """Return the fewest steps of ``"auto"`` from which the curve can be read, with those of its falling rate."""
    return end_of_decay(FEWEST_LOOKS * validate_every)


def end_of_decay(decay_from: int) -> int:
    """Return the last step when the rate begins to fall after ``decay_from`` steps."""
    return decay_from + max(1, math.ceil(DECAY * decay_from))
