"""The families of backbones: the code that makes them, and their limits. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hetero.errors import InputError
from hetero.models.stage import Stage
from hetero.named import named

WIDEST = 64.0
TIMM = "timm:"
OPEN_CLIP = "open_clip:"
HF = "hf:"
BY_NAME = (TIMM, OPEN_CLIP, HF)
"""Prefixes of networks of other packages, of which cloud models may be any and backbones are timm's alone."""


@dataclass(frozen=True)
class Family:
    """A family of backbones.

    Attributes:
        name: Name in configurations.
        backbone: Class or function, or its ``module:name``, that makes a backbone from a complete
            :class:`hetero.models.config.ModelConfig`: an ``nn.Module`` from normalised images to the last feature map,
            with an attribute ``channels``.
        stages: Stages of a configuration that names none.
        stem_stride: Stride for a configuration that names none, by the pixels of an image's shorter side.
        widest: The largest width.
        one_width: True if 1 is its only width.
        outlined: True if its size follows from the configuration, and it can be made on torch's device ``meta``: a
            file's weights are compared with that before memory is allocated for them.
        after_stages: Number of layers after the last stage, where the backbone is a sequence of a stem, a layer for
            each block, and these; ``hetero adapt`` divides it there. None where it is no such sequence.
        rules: Returns the further problems of a configuration, one line each.
    """

    name: str
    backbone: str | Callable[[Any], Any]
    stages: tuple[Stage, ...] = ()
    stem_stride: Callable[[int], int] = lambda side: 2
    widest: float = WIDEST
    one_width: bool = False
    outlined: bool = True
    after_stages: int | None = None
    rules: Callable[[Any], list[str]] = lambda config: []

    def build(self, config: Any) -> Any:
        """Make a backbone.

        Args:
            config: A complete :class:`hetero.models.config.ModelConfig`.

        Raises:
            InputError: When the family's package is not installed, or has no such network.
        """
        if not isinstance(self.backbone, str):
            return self.backbone(config)
        return named(self.backbone)(config)


FAMILIES: dict[str, Family] = {}


def add_family(family: Family) -> None:
    """Register a family, so that configurations can name it.

    Raises:
        InputError: When there is already a family of this name.
    """
    if family.name in FAMILIES:
        raise InputError(f"there is a family {family.name!r} already; expected another name")
    FAMILIES[family.name] = family


def family_called(name: str) -> Family:
    """Return the family that a configuration names.

    Raises:
        InputError: When there is no such family.
    """
    if name.startswith(TIMM) and name != TIMM:
        return _published(name, one_width=True)
    if name not in FAMILIES:
        raise InputError(f"expected one of {', '.join(FAMILIES)} or {TIMM}NAME, got {name!r}")
    return FAMILIES[name]


def _published(name: str, *, one_width: bool = False) -> Family:
    """Return the family of a network that comes with a package, in its published size."""
    home = "hetero.models.backbones.pretrained:configured"
    return Family(name, home, widest=1.0, one_width=one_width, outlined=False)


def _edge_stem(side: int) -> int:
    return 1 if side < 48 else 2 if side < 80 else 4


RESIDUAL_STAGES = (
    Stage(channels=48, depth=1, stride=2),
    Stage(channels=96, depth=2, stride=2),
    Stage(channels=192, depth=1, stride=2),
)
EDGE_STAGES = (
    Stage(channels=16, depth=1, stride=2, expansion=2.0),
    Stage(channels=24, depth=2, stride=1, expansion=3.0),
    Stage(channels=48, depth=2, stride=2, kernel=5, expansion=3.0, squeeze_excite=True),
    Stage(channels=96, depth=1, stride=2, kernel=3, expansion=3.0, squeeze_excite=True),
)
"""Stages that soon reduce the resolution, because early layers at high resolution take most of the cost."""
EFFICIENTNET_LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")

for _family in (
    Family("residual", "hetero.models.backbones.residual:ResidualBackbone", RESIDUAL_STAGES, after_stages=0),
    Family("edge", "hetero.models.backbones.edge:EdgeBackbone", EDGE_STAGES, _edge_stem, after_stages=1),
    *map(_published, EFFICIENTNET_LITE),
):
    add_family(_family)
