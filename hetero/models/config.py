"""The architecture of a model, as data."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from annotated_types import Interval

from hetero.constraints import Channels, Number
from hetero.errors import InputError
from hetero.models.families import Family, family_called
from hetero.models.stage import MOST_BLOCKS, Stage
from hetero.preprocessing import Preprocessing
from hetero.schema import settings


@settings
class ModelConfig:
    """An embedding model's architecture.

    Attributes:
        family: ``residual`` (cloud models), ``edge`` (MobileNetV3-like students), ``efficientnet_lite0`` to
            ``efficientnet_lite2`` or ``timm:NAME`` (pretrained backbones, installed separately).
        dimension: Length of the embedding.
        principal: Number of the space's leading principal directions that the last layer works in
            (:mod:`hetero.training.principal_layer`); 0 for all dimensions, learnt.
        pool: ``gem`` (generalised mean) or ``avg``.
        width: Multiplies every stage's channels. An EfficientNet-Lite keeps its most important channels with their
            weights, at a width of at most one (:mod:`hetero.models.backbones.inherited`); timm's have one width only.
        stem_channels: Output channels of the first convolution at width 1.
        stem_stride: Stride of the first convolution. 0 chooses by family and images: 2, but in the edge family 1 for
            images of fewer than 48 pixels a side, to keep their detail, and 4 for those of 80 and more.
        stages: Stages of the backbone; empty for the family's own.
        frozen: True if a pretrained backbone keeps its weights and batch statistics.
        pretrained: True if a ``timm`` backbone starts from published weights, which timm fetches over the network.
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
        """Return the problems beyond the fields' types."""
        problems: list[str] = []
        try:
            problems += self._family_problems(family_called(self.family))
        except InputError as error:
            problems.append(f"family: {error}")
        if self.principal > self.dimension:
            problems.append(f"principal: expected at most {self.dimension}, the dimension, got {self.principal}")
        if (blocks := sum(stage.depth for stage in self.stages)) > MOST_BLOCKS:
            problems.append(f"stages: expected at most {MOST_BLOCKS} blocks in all, got {blocks}")
        return problems

    def _family_problems(self, family: Family) -> list[str]:
        problems: list[str] = []
        if family.one_width and self.width != 1:
            problems.append(f"width: {self.family} has one width, expected 1, got {self.width:g}")
        elif self.width > family.widest:
            problems.append(f"width: expected at most {family.widest:g} for {self.family}, got {self.width:g}")
        return problems + family.rules(self)

    def for_images(self, preprocessing: Preprocessing) -> ModelConfig:
        """Return the architecture with the values filled in that depend on the images or the family."""
        family = family_called(self.family)
        side = min(preprocessing.height, preprocessing.width) // preprocessing.shrink
        return replace(
            self, stem_stride=self.stem_stride or family.stem_stride(side), stages=self.stages or family.stages
        )

    def with_width(self, width: float) -> ModelConfig:
        """Return the same architecture at another width."""
        return replace(self, width=width)


def scaled(channels: int, width: float) -> int:
    """Return channels times width, rounded to a multiple of 8 (never below 8), which suits mobile kernels."""
    return max(8, int(channels * width / 8 + 0.5) * 8)
