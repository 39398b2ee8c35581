"""Batch norm over the batches of all ranks, on any device.

``torch.nn.SyncBatchNorm`` runs on GPUs only and replaces modules, along with their hooks and subclasses. Here every
call of ``torch.nn.functional.batch_norm`` in training mode is intercepted, whichever module makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode


class SynchronisedBatchNorm(TorchFunctionMode):
    """A block in which batch norms in training mode take their statistics over the images of all ranks."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace batch norms in training mode, and pass on every other call."""
        kwargs = kwargs or {}
        if func is F.batch_norm and kwargs.get("training"):
            return synchronised_batch_norm(*args, **{key: value for key, value in kwargs.items() if key != "training"})
        return func(*args, **kwargs)


def synchronised_batch_norm(
    inputs: Float[Tensor, "b c ..."],
    running_mean: Float[Tensor, " c"] | None,
    running_var: Float[Tensor, " c"] | None,
    weight: Float[Tensor, " c"] | None = None,
    bias: Float[Tensor, " c"] | None = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Float[Tensor, "b c ..."]:
    """Apply ``torch.nn.functional.batch_norm`` in training mode over the inputs of all ranks, in equal numbers or not.

    Moving averages are updated with the statistics of the whole batch, on every rank alike. A weight's gradient on a
    rank is that rank's share of the whole.

    Args:
        inputs: This rank's inputs.
        running_mean: Updated in place.
        running_var: Updated in place, by the unbiased variance.
        weight: Multiplies the normalised values; None for 1.
        bias: Is added to them; None for 0.
        momentum: Momentum of the update.
        eps: Added to the variance.
    """
    count, mean, variance = _statistics(inputs)
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        running_var.lerp_((variance * (count / (count - 1))).to(running_var.dtype), momentum)
    normalised: Tensor = _Normalise.apply(inputs, mean, (variance + eps).rsqrt(), count)  # pyright: ignore[reportAssignmentType]
    shape = _along_channels(inputs)
    if weight is not None:
        normalised = normalised * weight.view(shape)
    if bias is not None:
        normalised = normalised + bias.view(shape)
    return normalised.to(inputs.dtype)


def _statistics(inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return count, mean and biased variance over all ranks, from those of each."""
    values = _precise(inputs.detach())
    count = values.numel() // values.shape[1]
    mean = _sum(values) / count
    variance = _sum((values - mean.to(values.dtype).view(_along_channels(values))).square()) / count
    own = torch.cat([mean.new_full((1,), count), mean, variance])
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    counts, means, variances = torch.stack(parts).split([1, len(mean), len(mean)], dim=1)
    total = counts.sum()
    centre = (counts * means).sum(dim=0) / total
    spread = (counts * (variances + (means - centre).square())).sum(dim=0) / total
    return total.to(values.dtype), centre.to(values.dtype), spread.to(values.dtype)


class _Normalise(torch.autograd.Function):
    """``(x - mean) / deviation``, whose gradient takes into account that both come from all ranks' inputs."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, mean: Tensor, inverse_deviation: Tensor, count: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, mean, inverse_deviation, count)
        shape = _along_channels(inputs)
        return (_precise(inputs) - mean.view(shape)) * inverse_deviation.view(shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        inputs, mean, inverse_deviation, count = ctx.saved_tensors
        (gradient,), shape = gradients, _along_channels(inputs)
        normalised = (_precise(inputs) - mean.view(shape)) * inverse_deviation.view(shape)
        sums = torch.stack([_sum(gradient), _sum(gradient * normalised)])
        dist.all_reduce(sums)
        along, across = (sums / count).to(gradient.dtype).unbind()
        centred = gradient - along.view(shape) - normalised * across.view(shape)
        return (centred * inverse_deviation.view(shape)).to(inputs.dtype), None, None, None


def _precise(inputs: Tensor) -> Tensor:
    return inputs.to(torch.promote_types(inputs.dtype, torch.float32))


def _sum(values: Tensor) -> Tensor:
    """Sum over all axes but channels. In float32 a run drifts from that of one process a hundred times faster."""
    return values.sum(dim=[0, *range(2, values.dim())], dtype=torch.float64)


def _along_channels(inputs: Tensor) -> list[int]:
    return [1, -1, *[1] * (inputs.dim() - 2)]
