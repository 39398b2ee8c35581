"""Networks small enough for closed forms, of every kind of layer that a model has."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hetero.linear.solver.linearised import Linearised
from hetero.models.backbones.blocks import GeneralisedMean, unit
from hetero.models.config import ModelConfig, Stage
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing

SHAPE = Preprocessing(height=16, width=16)


class Net(nn.Module):
    """A convolution, a depthwise one, batch norm, generalised mean and a linear layer, unit vectors out."""

    def __init__(self, dimension: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.depthwise = nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False)
        self.pool = GeneralisedMean()
        self.last = nn.Linear(3, dimension)

    def forward(self, images: Tensor) -> Tensor:
        features = nn.functional.leaky_relu(self.norm(self.first(images)), 0.2)
        return unit(self.last(self.pool(self.depthwise(features).square() + 0.1)))


def net(seed: int = 0, dimension: int = 3) -> Net:
    torch.manual_seed(seed)
    made = Net(dimension)
    with torch.no_grad():
        made.norm.running_mean.uniform_(-0.5, 0.5)
        made.norm.running_var.uniform_(0.5, 2.0)
        made.norm.weight.uniform_(0.5, 2.0)
    return made


def images(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 2, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def targets(count: int, seed: int = 0, dimension: int = 3) -> Tensor:
    drawn = torch.Generator().manual_seed(seed)
    return nn.functional.normalize(torch.randn(count, dimension, generator=drawn, dtype=torch.float64))


def dense_jacobian(model: Linearised, inputs: Tensor) -> Tensor:
    """[n k, p], by backward passes of plain autograd, one an output."""
    weights = [value.detach().clone().requires_grad_() for value in model.weights.values()]
    named = dict(zip(model.weights, weights, strict=True))
    outputs = torch.func.functional_call(model.module, named, (inputs.to(model.dtype),)).reshape(-1)
    rows = [torch.autograd.grad(one, weights, retain_graph=True) for one in outputs]
    return torch.stack([torch.cat([each.reshape(-1) for each in row]) for row in rows])


def embedding_model(family: str = "residual", seed: int = 0) -> EmbeddingModel:
    torch.manual_seed(seed)
    stages = (Stage(channels=8, stride=2), Stage(channels=8, stride=2, squeeze_excite=True))
    config = ModelConfig(family=family, dimension=6, pool="gem", stem_channels=8, stages=stages)
    model = EmbeddingModel("tiny", config, SHAPE)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                # Residual blocks start as their shortcuts: their second convolutions would see no gradient.
                module.weight.uniform_(0.5, 1.5)
    return model.eval()


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (count, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
