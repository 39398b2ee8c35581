"""A published network as a cloud model: its vectors as they are, without any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hetero.errors import InputError
from hetero.models.backbones.pretrained import Backbone, published
from hetero.models.external.embedders import ModuleEmbedder
from hetero.models.families import BY_NAME
from hetero.models.published.network import PublishedNetwork, published_network
from hetero.preprocessing import Preprocessing

UNSTATED = Preprocessing(height=1, width=1)
"""Its mean and standard deviation count as not stated."""
TOLERANCE = 1e-3


def backbone_embedder(
    name: str,
    preprocessing: Preprocessing | None = None,
    *,
    weights: Path | None = None,
    space: str = "",
    version: str = "1",
) -> ModuleEmbedder:
    """Load a published network as a cloud model. Nothing is fetched.

    Args:
        name: ``efficientnet_lite0``, ``1`` or ``2`` (ImageNet weights from the extra ``pretrained``; 1280 features),
            ``timm:NAME``, ``open_clip:NAME``, ``open_clip:NAME:TAG`` or ``hf:NAME``; a directory may take NAME's place.
        preprocessing: Size and resizing of its images; None for its own, which for an EfficientNet-Lite is the size
            that it was trained on. Mean and standard deviation are the network's own unless they are stated.
        weights: A ``.safetensors`` file; None for those of the directory, or that the hub's cache holds.
        space: Name of the space, for people; empty for the backbone's.
        version: Version of the space, for people.

    Raises:
        InputError: When the name is not known, its package is not installed, its weights are not here, or it does not
            take such images.
        IntegrityError: When the weights are damaged.
    """
    if name.startswith(BY_NAME):
        network = published_network(name, weights)
        return PublishedEmbedder(network, name, preprocessing, space=space, version=version)
    if weights is not None:
        raise InputError(f"{name} has its weights in its package; leave {weights} out")
    return embedder_of(published(name), name, preprocessing, space=space, version=version)


class PublishedEmbedder(ModuleEmbedder):
    """A cloud model given as a network that its library knows by name.

    Args:
        network: The network.
        name: Its name.
        preprocessing: See :func:`backbone_embedder`.
        space: See :func:`backbone_embedder`.
        version: See :func:`backbone_embedder`.

    Attributes:
        output: What its vectors are, in words.

    Raises:
        InputError: When it does not take such images, or the contract cannot express its own preparation of them.
    """

    def __init__(
        self,
        network: PublishedNetwork,
        name: str,
        preprocessing: Preprocessing | None,
        *,
        space: str = "",
        version: str = "1",
    ) -> None:
        own = network.preparation
        if preprocessing is None:
            takes = own.contract(name)
        else:
            takes = _normalised(own.mean, own.std, name, preprocessing) if own.mean else preprocessing
            network.resize(takes.height, takes.width)
        self.output = network.output
        super().__init__(network.module, takes, takes="normalised", name=space or name, version=version)


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
    stated = preprocessing or Preprocessing(height=height, width=width)
    takes = _normalised(backbone.mean, backbone.std, name, stated)
    backbone.set_input_size(takes.height, takes.width)
    return ModuleEmbedder(backbone.network, takes, takes="normalised", name=space or name, version=version)


def _normalised(mean: Sequence[float], std: Sequence[float], name: str, stated: Preprocessing) -> Preprocessing:
    """Return the preprocessing with the normalisation that the weights were trained with."""
    trained: dict[str, Any] = {"mean": tuple(mean), "std": tuple(std)}
    problems = [
        f"preprocessing.{key}: {name} was trained with {list(own)}, got {list(value)}; leave it out"
        for key, own, value, default in (
            ("mean", mean, stated.mean, UNSTATED.mean),
            ("std", std, stated.std, UNSTATED.std),
        )
        if value != default and not _close(own, value)
    ]
    if stated.shrink != 1:
        problems.append(f"preprocessing.shrink: {name} takes the pixels as they are, got {stated.shrink}; leave it out")
    if problems:
        raise InputError(f"the preprocessing of {name} is not valid:", problems)
    return replace(stated, **trained)


def _close(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(abs(left - right) <= TOLERANCE for left, right in zip(a, b, strict=True))
