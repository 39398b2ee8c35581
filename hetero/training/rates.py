"""Peak learning rates of the optimisers. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping

from hetero.training.config import Optimizer, TrainingConfig

PEAK_RATES: Mapping[Optimizer, float] = {"adamw": 3e-3, "muon": 0.02}
"""Where the configuration names none."""


def peak_rate(config: TrainingConfig) -> float:
    """The largest learning rate: the configuration's, or what suits its optimiser."""
    return config.learning_rate or PEAK_RATES[config.optimizer]
