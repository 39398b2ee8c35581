"""AdamW, and its learning rate of the next step."""

from __future__ import annotations

import torch
from torch import nn

from hetero.training.config import TrainingConfig


def build_optimizer(module: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices and filters, none on biases, norms and pooling powers."""
    learnt = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in learnt if parameter.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in learnt if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.learning_rate)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use this rate for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
