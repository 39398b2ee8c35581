"""Peak learning rates and weight decays of the optimisers. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping

from hetero.training.config import Optimizer, TrainingConfig

PEAK_RATES: Mapping[Optimizer, float] = {"adamw": 3e-3, "muon": 0.06}
"""Where the configuration names none."""
DECAYS: Mapping[Optimizer, float] = {"adamw": 0.05, "muon": 0.3}
"""The same of weight decay."""
STABLE = 0.5
"""Of the peak, where a rate stays constant (``steps = "auto"``): the mean of a cosine, about what Hägele et al. (arXiv
2405.18392) found best. At the whole peak held-out curves are level too soon."""


def peak_rate(config: TrainingConfig) -> float:
    """The largest learning rate: the configuration's, or what suits its optimiser and schedule."""
    if config.learning_rate:
        return config.learning_rate
    return PEAK_RATES[config.optimizer] * (STABLE if config.steps == "auto" else 1.0)


def decay(config: TrainingConfig) -> float:
    """The weight decay: the configuration's, or what suits its optimiser."""
    return DECAYS[config.optimizer] if config.weight_decay is None else config.weight_decay
