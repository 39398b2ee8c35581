"""A moving average of the weights in training, which is what is validated and kept."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from hetero.training.loop.module import TrainingModule


class AveragedWeights:
    """Exponential moving average of a module's weights and of its batch norms' statistics.

    Early on the decay is lower, ``(1 + step) / (10 + step)``, so that the first weights are soon forgotten (as in
    TensorFlow's ``ExponentialMovingAverage``). What counts, such as batches seen, is copied.

    Args:
        module: Whose weights are averaged; the average starts from them.
        decay: Share of the average that a step keeps, in the end.

    Attributes:
        module: Of the average weights.
    """

    def __init__(self, module: TrainingModule, decay: float) -> None:
        self.module = deepcopy(module).requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights after this step, counted from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for ours, theirs in zip(self.module.state_dict().values(), module.state_dict().values(), strict=True):
            if ours.is_floating_point():
                ours.lerp_(theirs, 1 - decay)
            else:
                ours.copy_(theirs)
