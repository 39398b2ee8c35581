"""The whole batch on every rank: vectors that the ranks computed of their shares, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def whole_batch(vectors: Float[Tensor, "m d"], shares: Sequence[int]) -> Float[Tensor, "b d"]:
    """Gather the vectors of all ranks, in the order of ranks.

    A gradient that reaches the result is added up over the ranks and handed to the rank that the vector comes from.
    When every rank computes the same loss of the whole batch, that sum is the loss's gradient times the number of
    ranks; ``DistributedDataParallel`` then averages the weights' gradients over the ranks, which gives the gradient
    that one process would have computed.

    Args:
        vectors: This rank's vectors.
        shares: Number of vectors of each rank; empty in one process, which has the whole batch.
    """
    return _Gather.apply(vectors, tuple(shares)) if shares else vectors  # pyright: ignore[reportReturnType]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, shares: tuple[int, ...]) -> Tensor:
        ctx.shares = shares
        # Collectives exchange tensors of one shape.
        padded = F.pad(vectors, (0, 0, 0, max(shares) - len(vectors))).contiguous()
        parts = [torch.empty_like(padded) for _ in shares]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, shares, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous()
        dist.all_reduce(total)
        return total.split(ctx.shares)[dist.get_rank()], None
