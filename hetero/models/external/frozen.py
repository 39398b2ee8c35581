"""A published backbone as a cloud model: its pooled features as they are, nothing trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hetero.errors import InputError
from hetero.models.backbones.pretrained import Backbone, published
from hetero.models.external.embedders import ModuleEmbedder
from hetero.preprocessing import Preprocessing

UNSTATED = Preprocessing(height=1, width=1)
"""Whose normalisation stands for none being stated."""
TOLERANCE = 1e-3


def backbone_embedder(
    name: str, preprocessing: Preprocessing | None = None, *, space: str = "", version: str = "1"
) -> ModuleEmbedder:
    """A published backbone as a cloud model.

    Args:
        name: ``efficientnet_lite0``, ``1`` or ``2`` (ImageNet weights from the extra ``pretrained``; 1280 features), or
            ``timm:NAME``, whose weights timm fetches.
        preprocessing: Size of its images and how they come to it; None for the size that it was trained on. Mean and
            standard deviation are the backbone's own where they are left as they are.
        space: Name of the space, for people; empty for the backbone's.
        version: Of the space, for people.

    Raises:
        InputError: When the name is not known, its package is not installed, weights cannot be fetched, or it takes no
            such images.
        IntegrityError: When the weights do not fit.
    """
    return embedder_of(published(name), name, preprocessing, space=space, version=version)


def embedder_of(
    backbone: Backbone, name: str, preprocessing: Preprocessing | None, *, space: str = "", version: str = "1"
) -> ModuleEmbedder:
    """As :func:`backbone_embedder`, with the network at hand.

    Args:
        backbone: The network.
        name: Its name.
        preprocessing: As for :func:`backbone_embedder`.
        space: As for :func:`backbone_embedder`.
        version: As for :func:`backbone_embedder`.

    Raises:
        InputError: When it takes no such images.
    """
    height, width = backbone.size
    takes = _normalised(backbone, name, preprocessing or Preprocessing(height=height, width=width))
    return ModuleEmbedder(backbone.network, takes, takes="normalised", name=space or name, version=version)


def _normalised(backbone: Backbone, name: str, stated: Preprocessing) -> Preprocessing:
    """The same with the normalisation that the weights were trained with."""
    problems = [
        f"preprocessing.{key}: {name} was trained with {list(own)}, got {list(given)}; leave it out"
        for key, own, given, default in (
            ("mean", backbone.mean, stated.mean, UNSTATED.mean),
            ("std", backbone.std, stated.std, UNSTATED.std),
        )
        if given != default and not _close(own, given)
    ]
    if stated.shrink != 1:
        problems.append(f"preprocessing.shrink: {name} takes the pixels as they are, got {stated.shrink}; leave it out")
    if problems:
        raise InputError(f"the preprocessing of {name} is not valid:", problems)
    return replace(stated, mean=backbone.mean, std=backbone.std)


def _close(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(abs(one - other) <= TOLERANCE for one, other in zip(a, b, strict=True))
