"""A run of blocks, as data."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval

from hetero.constraints import Channels, Positive, Stride
from hetero.models.backbones.block_catalog import block_problem
from hetero.schema import settings

MOST_BLOCKS = 1000
"""Maximum number of blocks in all stages of a model."""
Activation = Literal["relu", "relu6", "hardswish", "silu", "gelu"]


@settings
class Stage:
    """A run of blocks with one resolution.

    Attributes:
        channels: Output channels at width 1.
        depth: Number of blocks.
        stride: Stride of the first block.
        kernel: Kernel size of the spatial convolution.
        expansion: Inner channels as a multiple of the input channels (edge blocks only).
        squeeze_excite: True if blocks re-weight their channels (edge blocks only).
        block: Kind of the blocks (edge family only), see :data:`hetero.models.backbones.block_catalog.BLOCKS`.
        activation: Activation (edge family only); the stem takes the first stage's, the last convolution the last's.
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
        """Return the problems beyond the fields' types."""
        problems = [f"block: {problem}"] if (problem := block_problem(self.block)) else []
        # An even kernel would not keep the size that a shortcut adds to.
        return problems + ([] if self.kernel % 2 else [f"kernel: expected an odd number, got {self.kernel}"])
