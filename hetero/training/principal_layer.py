"""The last layer of a student that works in a cloud's leading principal directions.

The space of a pretrained backbone is rarely centred, and spreads along a small part of its dimensions. A student that
has to learn both by itself spends its training on them; this one begins where the cloud's vectors lie:

    ``unit(mean + basis (gain * z))``, ``z = batch_norm(weights * features)``, one coefficient ``z`` a direction.

Mean and basis are the cloud's and stay as they are. The gain is the batch norm's own; it starts at the standard
deviation of each coefficient, and is learnt. For the exporters it is a linear layer like any other.
"""

from __future__ import annotations

import torch
from torch import nn

from hetero.geometry.principal import PrincipalDirections
from hetero.models.model import EmbeddingModel


def start_at(model: EmbeddingModel, directions: PrincipalDirections) -> None:
    """Give a new model the cloud's mean and directions, in place.

    Args:
        model: Built with the same number of principal directions (``ModelConfig.principal``).
        directions: Principal directions of the space that it is to live in.
    """
    expansion = model.expansion
    assert isinstance(expansion, nn.Linear)
    with torch.no_grad():
        expansion.weight.copy_(torch.from_numpy(directions.basis))
        expansion.bias.copy_(torch.from_numpy(directions.mean))
        model.neck.weight.copy_(torch.from_numpy(directions.std))
        model.neck.bias.zero_()
