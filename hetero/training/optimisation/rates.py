"""Peak learning rates and weight decays of the optimisers. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping

from hetero.training.config import Optimizer, TrainingConfig

PEAK_RATES: Mapping[Optimizer, float] = {"adamw": 3e-3, "muon": 0.06}
"""Peak rates where the configuration sets none."""
DECAYS: Mapping[Optimizer, float] = {"adamw": 0.05, "muon": 0.3}
"""Weight decays where the configuration sets none."""
STABLE = 0.5
"""Share of the peak at which a rate stays constant (``steps = "auto"``): the mean of a cosine, about what Hägele et al.
(arXiv 2405.18392) found best. At the full peak held-out curves level off too soon."""


def peak_rate(config: TrainingConfig) -> float:
    """Return the largest learning rate: the configuration's, or the default of its optimiser and schedule."""
    if config.learning_rate:
        return config.learning_rate
    return PEAK_RATES[config.optimizer] * (STABLE if config.steps == "auto" else 1.0)


def decay(config: TrainingConfig) -> float:
    """Return the weight decay: the configuration's, or the default of its optimiser."""
    return DECAYS[config.optimizer] if config.weight_decay is None else config.weight_decay
