"""Directions of the outputs whose outer products have the identity as their mean."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor


def output_directions(
    count: int, dimension: int, draws: int, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> Iterator[Float[Tensor, "n k"]]:
    """Yield directions ``u``, one a sample, such that ``sum u u'`` over all yields is the identity.

    This is exact where there are at least as many draws as dimensions: then they are the axes. Otherwise the signs of
    each sample are random, and the sum is the identity on average.

    Args:
        count: Number of samples.
        dimension: Dimension of the outputs.
        draws: Most yields.
        seed: Seed of the signs.
        dtype: Dtype of the directions.
    """
    if draws >= dimension:
        for axis in torch.eye(dimension, dtype=dtype):
            yield axis.expand(count, -1)
        return
    generator = torch.Generator().manual_seed(seed)
    for _ in range(draws):
        signs = torch.randint(0, 2, (count, dimension), generator=generator).to(dtype)
        yield (2 * signs - 1) / draws**0.5
