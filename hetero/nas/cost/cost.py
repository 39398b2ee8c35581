"""The costs of a candidate: counted and looked up layer by layer, and each layer only once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from hetero.models.config import ModelConfig
from hetero.models.cost import counted
from hetero.nas.cost.budget import DIVIDED
from hetero.nas.cost.latency_table import LatencyTable
from hetero.nas.cost.layers import Layer, layers_of
from hetero.nas.space.architecture import Architecture
from hetero.nas.space.space import SearchSpace
from hetero.preprocessing import Preprocessing

BYTES = 4
"""Bytes of a float32 weight."""
Pieces = Callable[[Layer], int]
"""Returns the number of further pieces into which a layer divides a network for some accelerator."""


@dataclass(frozen=True)
class LayerCost:
    """One layer's cost.

    Attributes:
        macs: Multiply-accumulates of an image.
        parameters: Learnable numbers.
        stored: Numbers that a file holds, with each batch norm folded into the convolution before it.
    """

    macs: int
    parameters: int
    stored: int


@functools.cache
def layer_cost(layer: Layer) -> LayerCost:
    """Count one layer by running it once."""
    module = layer.build()
    kind = torch.uint8 if layer.kind == "pixels" else torch.float32
    counts = counted(module, torch.zeros(layer.input_shape, dtype=kind))
    norms = [child for child in module.modules() if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d))]
    return LayerCost(counts.macs, counts.parameters, counts.parameters - sum(norm.num_features for norm in norms))


def network_costs(config: ModelConfig, preprocessing: Preprocessing, table: LatencyTable | None) -> dict[str, float]:
    """Return the costs of one network of the edge family, by the names of :mod:`hetero.nas.cost.budget`.

    Raises:
        InputError: When the table lacks an operator of the network.
    """
    layers = list(layers_of(config, preprocessing))
    counts = [layer_cost(layer) for layer in layers]
    costs = {
        "macs": float(sum(count.macs for count in counts)),
        "parameters": float(sum(count.parameters for count in counts)),
        "size_mb": BYTES * sum(count.stored for count in counts) / 1e6,
    }
    if table is not None:
        costs |= table.costs(layers)
    return costs


@dataclass(frozen=True)
class CostModel:
    """The costs of a space's candidates.

    Attributes:
        space: The search space.
        preprocessing: Gives the input size.
        dimension: Dimension of the embedding.
        table: Measured latencies; None to leave latency out of the costs.
        pieces: For each accelerator whose partitions belong to the costs, the further pieces that a layer makes.
    """

    space: SearchSpace
    preprocessing: Preprocessing
    dimension: int
    table: LatencyTable | None = None
    pieces: Mapping[str, Pieces] = field(default_factory=dict[str, Pieces])

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        """Return the costs of a point by the names of :mod:`hetero.nas.cost.budget`."""
        config = self.space.config(architecture, dimension=self.dimension)
        layers = list(layers_of(config, self.preprocessing)) if self.pieces else []
        # A chain of layers: the first is one piece, and each divides it for itself.
        partitions = {
            f"{DIVIDED}.{accelerator}": 1.0 + sum(map(further, layers)) for accelerator, further in self.pieces.items()
        }
        return network_costs(config, self.preprocessing, self.table) | partitions
