"""The optimiser, and its learning rate for the next step."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hetero.training.config import TrainingConfig
from hetero.training.optimisation.muon import Muon, takes_orthogonal_steps
from hetero.training.optimisation.rates import PEAK_RATES, decay

VECTOR_SHARE = 0.3
"""Under Muon, the learning rate of parameters that are not matrices, as a share of the matrices' rate."""


def build_optimizer(module: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Build AdamW, or Muon with AdamW; weight decay on matrices and filters, none on biases, norms, pooling powers."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in parameters if parameter.ndim > 1]
    vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
    matrix_decay = decay(config)
    if config.optimizer == "adamw":
        groups = [_group(matrices, matrix_decay), _group(vectors, 0.0)]
        return torch.optim.AdamW([group for group in groups if group["params"]], lr=PEAK_RATES["adamw"])
    orthogonal = [parameter for parameter in matrices if takes_orthogonal_steps(parameter)]
    depthwise = [parameter for parameter in matrices if not takes_orthogonal_steps(parameter)]
    groups = [
        _group(orthogonal, matrix_decay) | {"orthogonal": True},
        _group(depthwise, matrix_decay) | {"rate_share": VECTOR_SHARE},
        _group(vectors, 0.0) | {"rate_share": VECTOR_SHARE},
    ]
    return Muon([group for group in groups if group["params"]])


def _group(parameters: list[nn.Parameter], weight_decay: float) -> dict[str, Any]:
    return {"params": parameters, "weight_decay": weight_decay, "rate_share": 1.0}


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_share"]
