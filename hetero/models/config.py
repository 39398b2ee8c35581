"""What a model is made of, as data."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from annotated_types import Interval

from hetero.constraints import Channels, Number, Positive, Stride
from hetero.models.backbones.block_catalog import block_problem
from hetero.preprocessing import Preprocessing
from hetero.schema import settings

EFFICIENTNET_LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
OWN_FAMILIES = ("residual", "edge")
"""Those that are built here, as large as the configuration says."""
FAMILIES = (*OWN_FAMILIES, *EFFICIENTNET_LITE)
TIMM = "timm:"
MOST_BLOCKS = 1000
"""Of a model, in all its stages."""
Activation = Literal["relu", "relu6", "hardswish", "silu", "gelu"]


@settings
class Stage:
    """A run of blocks with one resolution.

    Attributes:
        channels: Output channels at width 1.
        depth: Number of blocks.
        stride: Of the first block.
        kernel: Kernel size of the spatial convolution.
        expansion: Inner channels as a multiple of the input channels (edge blocks only).
        squeeze_excite: Whether blocks re-weight their channels (edge blocks only).
        block: Its kind (edge family only), see :data:`hetero.models.backbones.block_catalog.BLOCKS`.
        activation: Of its blocks (edge family only); the stem takes the first stage's, the last convolution the last's.
    """

    channels: Channels
    depth: Annotated[int, Interval(ge=1, le=MOST_BLOCKS)] = 1
    stride: Stride = 1
    kernel: Annotated[int, Interval(ge=1, le=63)] = 3
    expansion: Positive = 3.0
    squeeze_excite: bool = False
    block: str = "inverted_residual"
    activation: Activation = "hardswish"

    def rules(self) -> list[str]:
        """What must hold beyond the fields' types."""
        problems = [f"block: {problem}"] if (problem := block_problem(self.block)) else []
        # An even kernel would not keep the size that a shortcut adds to.
        return problems + ([] if self.kernel % 2 else [f"kernel: expected an odd number, got {self.kernel}"])


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
"""At high resolution early layers take most of the cost: these stages leave it soon."""


@settings
class ModelConfig:
    """An embedding model's architecture.

    Attributes:
        family: ``residual`` (cloud models), ``edge`` (MobileNetV3-like students), ``efficientnet_lite0`` to
            ``efficientnet_lite2`` or ``timm:NAME`` (pretrained backbones, installed separately).
        dimension: Length of the embedding.
        principal: How many of the space's leading principal directions the last layer works in
            (:mod:`hetero.training.principal_layer`); 0 for all dimensions, learnt.
        pool: ``gem`` (generalised mean) or ``avg``.
        width: Multiplies every stage's channels. An EfficientNet-Lite keeps those of its channels that matter most,
            with their weights, and is never wider than one (:mod:`hetero.models.backbones.inherited`); timm's take no
            width.
        stem_channels: Output channels of the first convolution at width 1.
        stem_stride: Its stride. 0 takes what suits the family and the images: 2, and in the edge family 1 for images of
            fewer than 48 pixels a side, whose detail it keeps, and 4 for those of 80 and more.
        stages: Empty takes the family's own.
        frozen: Whether a pretrained backbone keeps its weights and batch statistics.
        pretrained: Whether a ``timm`` backbone starts from published weights, which timm fetches over the network.
    """

    family: str = "edge"
    dimension: Channels = 128
    principal: Number = 0
    pool: Literal["gem", "avg"] = "avg"
    width: Annotated[float, Interval(gt=0, le=64)] = 1.0
    stem_channels: Channels = 16
    stem_stride: Annotated[int, Interval(ge=0, le=64)] = 0
    stages: tuple[Stage, ...] = ()
    frozen: bool = False
    pretrained: bool = False

    def rules(self) -> list[str]:
        """What must hold beyond the fields' types."""
        problems: list[str] = []
        if self.family not in FAMILIES and self.family.removeprefix(TIMM) in ("", self.family):
            problems.append(f"family: expected one of {', '.join(FAMILIES)} or {TIMM}NAME, got {self.family!r}")
        if self.width > (most := self.widest):
            problems.append(
                f"width: expected at most {most:g} for {self.family}, whose weights are given, got {self.width:g}"
            )
        if self.family.startswith(TIMM) and self.width != 1:
            problems.append(f"width: {self.family} has one width, expected 1, got {self.width:g}")
        if self.principal > self.dimension:
            problems.append(f"principal: expected at most {self.dimension}, the dimension, got {self.principal}")
        if (blocks := sum(stage.depth for stage in self.stages)) > MOST_BLOCKS:
            problems.append(f"stages: expected at most {MOST_BLOCKS} blocks in all, got {blocks}")
        return problems

    @property
    def widest(self) -> float:
        """The largest width that the family can have."""
        return 64.0 if self.family in OWN_FAMILIES else 1.0

    def for_images(self, preprocessing: Preprocessing) -> ModelConfig:
        """The same architecture with everything said that depends on the images or the family."""
        if self.family != "edge":
            return self if self.stem_stride else replace(self, stem_stride=2)
        side = min(preprocessing.height, preprocessing.width) // preprocessing.shrink
        stride = self.stem_stride or (1 if side < 48 else 2 if side < 80 else 4)
        return replace(self, stem_stride=stride, stages=self.stages or EDGE_STAGES)

    def with_width(self, width: float) -> ModelConfig:
        """The same architecture, wider or narrower."""
        return replace(self, width=width)


def scaled(channels: int, width: float) -> int:
    """Channels times width, rounded to a multiple of 8 (never below 8), as mobile kernels like them."""
    return max(8, int(channels * width / 8 + 0.5) * 8)
