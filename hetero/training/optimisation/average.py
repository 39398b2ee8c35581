"""A moving average of the weights in training, which is validated and kept in their place."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from hetero.training.loop.module import TrainingModule


class AveragedWeights:
    """Exponential moving average of a module's weights and of its batch norms' statistics.

    Early on the decay is lower, ``(1 + step) / (10 + step)``, so that the first weights are soon forgotten (as in
    TensorFlow's ``ExponentialMovingAverage``). Counters, such as batches seen, are copied.

    Args:
        module: The module in training; the average starts from its weights.
        decay: Share of the average that a step keeps in the end.

    Attributes:
        module: A copy of the module with the average weights.
    """

    def __init__(self, module: TrainingModule, decay: float) -> None:
        self.module = deepcopy(module).requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Add the weights after this step, counted from 1, to the average."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for ours, theirs in zip(self.module.state_dict().values(), module.state_dict().values(), strict=True):
            if ours.is_floating_point():
                ours.lerp_(theirs, 1 - decay)
            else:
                ours.copy_(theirs)
