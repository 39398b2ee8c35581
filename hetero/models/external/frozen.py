"""A published backbone as a cloud model: its pooled features, without any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hetero.errors import InputError
from hetero.models.backbones.pretrained import Backbone, published
from hetero.models.external.embedders import ModuleEmbedder
from hetero.preprocessing import Preprocessing

UNSTATED = Preprocessing(height=1, width=1)
"""Its mean and standard deviation count as not stated."""
TOLERANCE = 1e-3


def backbone_embedder(
    name: str, preprocessing: Preprocessing | None = None, *, space: str = "", version: str = "1"
) -> ModuleEmbedder:
    """Load a published backbone as a cloud model.

    Args:
        name: ``efficientnet_lite0``, ``1`` or ``2`` (ImageNet weights from the extra ``pretrained``; 1280 features), or
            ``timm:NAME``, whose weights timm fetches.
        preprocessing: Size and resizing of its images; None for the size that it was trained on. Mean and standard
            deviation are the backbone's own unless they are stated.
        space: Name of the space, for people; empty for the backbone's.
        version: Version of the space, for people.

    Raises:
        InputError: When the name is not known, its package is not installed, weights cannot be fetched, or it does not
            take such images.
        IntegrityError: When the weights do not fit.
    """
    return embedder_of(published(name), name, preprocessing, space=space, version=version)


def embedder_of(
    backbone: Backbone, name: str, preprocessing: Preprocessing | None, *, space: str = "", version: str = "1"
) -> ModuleEmbedder:
    """Make a cloud model as :func:`backbone_embedder` does, from a network that is loaded already.

    Args:
        backbone: The network.
        name: Name of the network.
        preprocessing: See :func:`backbone_embedder`.
        space: See :func:`backbone_embedder`.
        version: See :func:`backbone_embedder`.

    Raises:
        InputError: When it does not take such images.
    """
    height, width = backbone.size
    takes = _normalised(backbone, name, preprocessing or Preprocessing(height=height, width=width))
    backbone.set_input_size(takes.height, takes.width)
    return ModuleEmbedder(backbone.network, takes, takes="normalised", name=space or name, version=version)


def _normalised(backbone: Backbone, name: str, stated: Preprocessing) -> Preprocessing:
    """Return the preprocessing with the normalisation that the weights were trained with."""
    problems = [
        f"preprocessing.{key}: {name} was trained with {list(own)}, got {list(value)}; leave it out"
        for key, own, value, default in (
            ("mean", backbone.mean, stated.mean, UNSTATED.mean),
            ("std", backbone.std, stated.std, UNSTATED.std),
        )
        if value != default and not _close(own, value)
    ]
    if stated.shrink != 1:
        problems.append(f"preprocessing.shrink: {name} takes the pixels as they are, got {stated.shrink}; leave it out")
    if problems:
        raise InputError(f"the preprocessing of {name} is not valid:", problems)
    return replace(stated, mean=backbone.mean, std=backbone.std)


def _close(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(abs(left - right) <= TOLERANCE for left, right in zip(a, b, strict=True))
