"""The cost of one image: multiply-accumulates and parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hetero.errors import InputError
from hetero.models.config import ModelConfig
from hetero.models.families import family_called
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.processes.threads import torch_threads

WIDTHS = tuple(step / 20 for step in range(1, 121))
"""Candidate widths, of which the widest that fits a budget is chosen."""


@dataclass(frozen=True)
class Cost:
    """The cost of one image.

    Attributes:
        macs: Multiply-accumulates of convolutions and linear layers.
        parameters: Number of weights that an image passes, learnable or not: not those of a head that is not exported.
    """

    macs: int
    parameters: int


def cost(model: EmbeddingModel) -> Cost:
    """Count a model's cost by running one image through it."""
    return module_cost(model, model.preprocessing)


def untrained_cost(config: ModelConfig, preprocessing: Preprocessing) -> Cost:
    """Count the cost of an architecture with random weights; no pretrained weights are fetched for it.

    Raises:
        InputError: When it cannot be built, or does not take images of this size.
    """
    try:
        return cost(EmbeddingModel("candidate", dataclasses.replace(config, pretrained=False), preprocessing))
    except (RuntimeError, ValueError, TypeError) as error:
        size = f"{preprocessing.height} x {preprocessing.width}"
        raise InputError(f"this {config.family} model cannot be built for images of {size}: {error}") from error


def module_cost(module: nn.Module, preprocessing: Preprocessing) -> Cost:
    """Count the cost of any module that takes uint8 [1, h, w, 3] by running one image through it."""
    shape = (1, preprocessing.height, preprocessing.width, 3)
    device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))
    return counted(module, torch.zeros(shape, dtype=torch.uint8, device=device))


def counted(module: nn.Module, example: Tensor) -> Cost:
    """Count the cost of any module by running an example, a batch of one, through it."""
    macs = 0

    def count(layer: nn.Conv2d | nn.Linear, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        macs += output[0].numel() * layer.weight[0].numel()

    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    training = [layer.training for layer in module.modules()]
    try:
        # Synchronising threads takes longer than one small image, on a busy machine ten times as long.
        with torch_threads(1), torch.no_grad(), _Reads() as reads:
            module.eval()(example)
    finally:
        # Layer by layer: a network in evaluation mode may be part of a module that is not.
        for layer, mode in zip(module.modules(), training, strict=True):
            layer.training = mode
        for handle in handles:
            handle.remove()
    read = (parameter for parameter in module.parameters() if _memory(parameter) in reads.memory)
    return Cost(macs=macs, parameters=sum(parameter.numel() for parameter in read))


class _Reads(TorchDispatchMode):
    """Notes the memory that operators read: a layer's weights may be read by others than its ``forward``."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator."""
        self.memory |= {_memory(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        return func(*args, **(kwargs or {}))


def _memory(tensor: Tensor) -> int:
    """Return the address of a tensor's storage, which views of it share; torch's device ``meta`` has these alone."""
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]


def widths_of(config: ModelConfig) -> tuple[float, ...]:
    """Return the widths that an architecture can have, ascending, all from :data:`WIDTHS`."""
    family = family_called(config.family)
    return (1.0,) if family.one_width else tuple(width for width in WIDTHS if width <= family.widest)


def widest_within(
    config: ModelConfig, preprocessing: Preprocessing, *, macs: int, parameters: int | None = None
) -> ModelConfig:
    """Return the widest version of an architecture that fits a budget.

    Args:
        config: The architecture; its ``width`` is replaced.
        preprocessing: Gives the input size.
        macs: Maximum multiply-accumulates of an image.
        parameters: Maximum number of weights; None for no limit.

    Raises:
        InputError: When even the narrowest version does not fit.
    """
    require_fit(config, preprocessing, macs=macs, parameters=parameters)

    def fits(width: float) -> bool:
        return _fits(_width_cost(config, width, preprocessing), macs, parameters)

    return config.with_width(_largest(fits, widths_of(config)))


def require_fit(config: ModelConfig, preprocessing: Preprocessing, *, macs: int, parameters: int | None = None) -> None:
    """Refuse a budget that not even the narrowest version of an architecture fits; see :func:`widest_within`.

    Raises:
        InputError: With the cost of the narrowest version.
    """
    least = _width_cost(config, widths_of(config)[0], preprocessing)
    if not _fits(least, macs, parameters):
        raise InputError(
            f"no width of this {config.family} architecture fits the budget of {macs:,} MACs"
            + (f" and {parameters:,} parameters" if parameters is not None else "")
            + f": the narrowest needs {least.macs:,} MACs and {least.parameters:,} parameters; "
            "raise the budget or take fewer stages"
        )


def _width_cost(config: ModelConfig, width: float, preprocessing: Preprocessing) -> Cost:
    return untrained_cost(config.with_width(width), preprocessing)


def _fits(counts: Cost, macs: int, parameters: int | None) -> bool:
    return counts.macs <= macs and (parameters is None or counts.parameters <= parameters)


def _largest(fits: Callable[[float], bool], ascending: Sequence[float]) -> float:
    """Return the largest that fits; the first must fit."""
    low, high = 0, len(ascending)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(ascending[middle]) else (low, middle)
    return ascending[low]
