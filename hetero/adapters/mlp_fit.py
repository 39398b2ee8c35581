"""The part of the network adapter that needs torch: its training."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

_BATCH = 256


class _Network(nn.Module):
    def __init__(self, source: int, hidden: int, target: int) -> None:
        super().__init__()
        self.skip = nn.Linear(source, target, bias=False)
        self.inner = nn.Linear(source, hidden)
        self.outer = nn.Linear(hidden, target)

    def forward(self, vectors: Float[Tensor, "n s"]) -> Float[Tensor, "n t"]:
        return self.skip(vectors) + self.outer(F.relu(self.inner(vectors)))


def fitted_weights(
    source: Float32[np.ndarray, "n s"],
    target: Float32[np.ndarray, "n t"],
    hidden: int,
    steps: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
) -> dict[str, NDArray[np.float32]]:
    """Train the network, and return its weights by the names of :class:`hetero.adapters.mlp.Mlp`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _Network(source.shape[1], hidden, target.shape[1])
    x, y = torch.from_numpy(source), torch.from_numpy(target)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(x), (min(_BATCH, len(x)),), generator=generator)
        loss = (1 - F.cosine_similarity(network(x[rows]), y[rows], dim=1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    weights = {
        "skip": network.skip.weight.T,
        "inner": network.inner.weight.T,
        "inner_bias": network.inner.bias,
        "outer": network.outer.weight.T,
        "outer_bias": network.outer.bias,
    }
    return {name: np.ascontiguousarray(weight.detach().numpy()) for name, weight in weights.items()}
