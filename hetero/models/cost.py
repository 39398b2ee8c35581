"""What one image costs: multiply-accumulates and parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hetero.errors import InputError
from hetero.models.config import ModelConfig
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing


@dataclass(frozen=True)
class Cost:
    """The cost of one image.

    Attributes:
        macs: Multiply-accumulates of convolutions and linear layers.
        parameters: Number of weights, learnable or not.
    """

    macs: int
    parameters: int


def cost(model: EmbeddingModel) -> Cost:
    """Count by running one image through the model."""
    return module_cost(model, model.preprocessing)


def module_cost(module: nn.Module, preprocessing: Preprocessing) -> Cost:
    """Count by running one image through any module that takes uint8 [1, h, w, 3]."""
    shape = (1, preprocessing.height, preprocessing.width, 3)
    device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))
    return counted(module, torch.zeros(shape, dtype=torch.uint8, device=device))


def counted(module: nn.Module, example: Tensor) -> Cost:
    """Count by running an example through any module, a batch of one."""
    macs = 0

    def count(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        if isinstance(layer, nn.Conv2d):
            macs += output[0].numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.Linear):
            macs += output[0].numel() * layer.in_features

    handles = [layer.register_forward_hook(count) for layer in module.modules()]
    was_training = module.training
    try:
        with torch.no_grad():
            module.eval()(example)
    finally:
        module.train(was_training)
        for handle in handles:
            handle.remove()
    return Cost(macs=macs, parameters=sum(parameter.numel() for parameter in module.parameters()))


def widest_within(
    config: ModelConfig, preprocessing: Preprocessing, *, macs: int, parameters: int | None = None
) -> ModelConfig:
    """The widest version of an architecture that fits a budget.

    Args:
        config: The architecture; its ``width`` is replaced.
        preprocessing: Gives the input size.
        macs: Most multiply-accumulates an image may take.
        parameters: Most weights, if limited.

    Raises:
        InputError: When even the narrowest version does not fit.
    """

    def measured(width: float) -> Cost:
        return cost(EmbeddingModel("candidate", config.with_width(width), preprocessing))

    def fits(width: float) -> bool:
        one = measured(width)
        return one.macs <= macs and (parameters is None or one.parameters <= parameters)

    best = _largest(fits, [step / 20 for step in range(1, 121)])
    if best is None:
        least = measured(0.05)
        raise InputError(
            f"no width of this {config.family} architecture fits the budget of {macs:,} MACs"
            + (f" and {parameters:,} parameters" if parameters is not None else "")
            + f": the narrowest needs {least.macs:,} MACs and {least.parameters:,} parameters; "
            "raise the budget or take fewer stages"
        )
    return config.with_width(best)


def _largest(fits: Callable[[float], bool], ascending: list[float]) -> float | None:
    low, high = -1, len(ascending)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(ascending[middle]) else (low, middle)
    return ascending[low] if low >= 0 else None
