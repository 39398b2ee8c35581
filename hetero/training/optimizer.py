"""The optimiser, with a learning rate that depends on the step alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hetero.training.config import Optimizer, TrainingConfig
from hetero.training.muon import Muon, takes_orthogonal_steps

PEAK_RATES: Mapping[Optimizer, float] = {"adamw": 3e-3, "muon": 0.02}
"""Peak learning rates where the configuration names none."""

VECTOR_SHARE = 0.3
"""Under Muon, the learning rate of what is no matrix, as a share of that of matrices."""


def build_optimizer(module: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW, or Muon beside it; weight decay on matrices and filters, none on biases, norms and pooling powers."""
    learnt = [parameter for parameter in module.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in learnt if parameter.ndim > 1]
    vectors = [parameter for parameter in learnt if parameter.ndim <= 1]
    if config.optimizer == "adamw":
        groups = [_group(matrices, config.weight_decay), _group(vectors, 0.0)]
        return torch.optim.AdamW([group for group in groups if group["params"]], lr=PEAK_RATES["adamw"])
    orthogonal = [parameter for parameter in matrices if takes_orthogonal_steps(parameter)]
    others = [parameter for parameter in matrices if not takes_orthogonal_steps(parameter)]
    groups = [
        _group(orthogonal, config.weight_decay) | {"orthogonal": True},
        _group(others, config.weight_decay) | {"rate_share": VECTOR_SHARE},
        _group(vectors, 0.0) | {"rate_share": VECTOR_SHARE},
    ]
    return Muon([group for group in groups if group["params"]])


def _group(parameters: list[nn.Parameter], weight_decay: float) -> dict[str, Any]:
    return {"params": parameters, "weight_decay": weight_decay, "rate_share": 1.0}


def peak_rate(config: TrainingConfig) -> float:
    """The largest learning rate: the configuration's, or what suits its optimiser."""
    return config.learning_rate or PEAK_RATES[config.optimizer]


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to zero; a pure function of the step (1 to ``steps``)."""
    warm = max(1, round(config.warmup * config.steps))
    if step <= warm:
        return peak_rate(config) * step / warm
    return peak_rate(config) * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, config.steps - warm)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use this rate for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_share"]
