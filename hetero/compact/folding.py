"""Students of a derived space: a rotation in their last layer, exactly, without training."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import nn

from hetero.compact.derived import DerivedSpace
from hetero.errors import InputError
from hetero.models.model import EmbeddingModel


def folded(model: EmbeddingModel, derived: DerivedSpace) -> EmbeddingModel:
    """Return a model that answers in a derived space, and never costs more.

    Every family ends alike: a linear layer, the neck's batch norm, perhaps the linear expansion of principal
    coefficients, and the scaling to length one. All before the scaling is one affine map in evaluation mode, and with
    the rotation behind it still is. Where an expansion of few coefficients is the cheapest form of that map it stays,
    and takes the rotation in; otherwise the embedding layer holds the matrix and the neck the offset.

    Args:
        model: A model of the parent space; it is not changed.
        derived: The space to answer in.

    Raises:
        InputError: When the model has no space.
        SpaceMismatchError: When it is not the parent.
    """
    if model.space is None:
        raise InputError(f"model {model.name!r} has no embedding space: nothing can be derived for it")
    derived.require_parent(model.space, that=f"the model {model.name}")
    dimension = derived.space.dimension
    turn = torch.from_numpy(derived.rotation.matrix[:, :dimension].T).double()
    student = copy.deepcopy(model).cpu()
    student.space = derived.space
    features, coefficients = student.embedding.in_features, model.config.principal
    if isinstance(student.expansion, nn.Linear) and coefficients * (features + dimension) < features * dimension:
        student.config = replace(model.config, dimension=dimension)
        student.expansion = _linear(turn @ student.expansion.weight.double(), turn @ student.expansion.bias.double())
        student.expansion.requires_grad_(False)
        return student.eval()
    weight, bias = _affine(student)
    student.config = replace(model.config, dimension=dimension, principal=0)
    student.embedding, student.expansion = _linear(turn @ weight), nn.Identity()
    student.neck = nn.BatchNorm1d(dimension)
    with torch.no_grad():
        student.neck.bias.copy_(turn @ bias)
        assert student.neck.running_var is not None
        student.neck.running_var.fill_(1 - student.neck.eps)  # so that it divides by one
    return student.eval()


def followed(module: nn.Module, derived: DerivedSpace) -> nn.Module:
    """Return any other module that ends in vectors [b, d] of the parent space with the rotation as a layer behind it.

    Args:
        module: A module whose vectors are scaled to length one afterwards, as an export does it.
        derived: The space to answer in.
    """
    turn = torch.from_numpy(derived.rotation.matrix[:, : derived.space.dimension].T)
    return nn.Sequential(module, _linear(turn)).eval()


def _linear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


def _affine(model: EmbeddingModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Return float64 matrix [d, c] and offset [d] of all between the pooled features and the scaling."""
    neck = model.neck
    assert neck.running_var is not None and neck.running_mean is not None
    with torch.no_grad():
        scale = neck.weight.double() / (neck.running_var.double() + neck.eps).sqrt()
        weight = scale[:, None] * model.embedding.weight.double()
        bias = neck.bias.double() - scale * neck.running_mean.double()
        if isinstance(model.expansion, nn.Linear):
            expand = model.expansion.weight.double()
            weight, bias = expand @ weight, expand @ bias + model.expansion.bias.double()
    return weight, bias
