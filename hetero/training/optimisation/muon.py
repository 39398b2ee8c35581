"""Muon: momentum whose matrices are made orthogonal, beside AdamW for everything that is not a matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

ADAM_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon) for matrices and filters, AdamW beside it.

    A group with ``orthogonal=True`` takes Nesterov momentum, brought near to the nearest semi-orthogonal matrix by five
    Newton-Schulz steps in float32; filters are matrices of one row an output channel. Other groups take AdamW's step
    (arXiv 1711.05101). ``torch.optim.Muon`` takes matrices alone, no filters, and computes in bfloat16, which CPUs
    emulate.

    Args:
        groups: Parameter groups, each with ``orthogonal``, ``lr`` and ``weight_decay``.
        momentum: Momentum of the orthogonal groups.
    """

    def __init__(self, groups: list[dict[str, Any]], momentum: float = 0.95) -> None:
        super().__init__(groups, {"lr": 0.02, "weight_decay": 0.0, "orthogonal": False, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
                state = self.state[parameter]
                if group["orthogonal"]:
                    change = _orthogonal_change(parameter.grad, state, group["momentum"])
                else:
                    change = _adam_change(parameter.grad, state)
                parameter.sub_(change, alpha=group["lr"])
        return loss


def takes_orthogonal_steps(parameter: nn.Parameter) -> bool:
    """Return True if Muon's step makes sense for a parameter: a matrix or a filter over several input channels.

    Depthwise filters are many small vectors rather than one matrix.
    """
    return parameter.ndim > 1 and parameter.shape[0] > 1 and parameter.shape[1] > 1


def orthogonalised(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """Bring the singular values of a matrix near to one, keeping its singular vectors.

    Five steps of the quintic Newton-Schulz iteration that Muon is defined by; singular values end between about .7
    and 1.2.
    """
    a, b, c = _QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def _orthogonal_change(gradient: Tensor, state: dict[str, Tensor], momentum: float) -> Tensor:
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    average = state["momentum"].mul_(momentum).add_(gradient)
    ahead = gradient + momentum * average
    matrix = ahead.flatten(1)
    scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
    return orthogonalised(matrix).view(ahead.shape) * scale


def _adam_change(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32)
        state["mean"] = torch.zeros_like(gradient)
        state["square"] = torch.zeros_like(gradient)
    state["step"] += 1
    step, (first, second) = float(state["step"]), ADAM_BETAS
    mean = state["mean"].lerp_(gradient, 1.0 - first)
    square = state["square"].lerp_(gradient.square(), 1.0 - second)
    return (mean / (1.0 - first**step)) / ((square / (1.0 - second**step)).sqrt() + _EPSILON)
