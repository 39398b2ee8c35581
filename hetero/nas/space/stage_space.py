"""What may be chosen for one stage of a search space."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from hetero.models.config import Stage
from hetero.models.stage import Activation
from hetero.nas.space.architecture import Block, ChosenStage
from hetero.schema import record

OF_STAGE = ("channels", "activation", "depth")
OF_BLOCK = ("kernel", "expansion", "squeeze_excite")


@record
class StageSpace:
    """What may be chosen for one stage. Where options have an order, the cheapest comes first.

    Attributes:
        channels: Output channels; multiples of 8.
        depth: Numbers of blocks.
        stride: Of the first block; no choice, so that every point has the same resolutions.
        kernel: Kernel sizes, chosen for each block.
        expansion: Inner channels as a multiple, chosen for each block.
        squeeze_excite: Whether blocks re-weight their channels, chosen for each block.
        activation: Chosen for the whole stage.
    """

    channels: tuple[int, ...]
    depth: tuple[int, ...] = (1,)
    stride: int = 1
    kernel: tuple[int, ...] = (3,)
    expansion: tuple[float, ...] = (3.0,)
    squeeze_excite: tuple[bool, ...] = (False,)
    activation: tuple[Activation, ...] = ("hardswish",)

    @property
    def size(self) -> int:
        """Number of ways to choose."""
        blocks = math.prod(len(getattr(self, name)) for name in OF_BLOCK)
        return len(self.channels) * len(self.activation) * sum(blocks**depth for depth in self.depth)

    def points(self) -> Iterator[ChosenStage]:
        """Every way to choose."""
        blocks = [Block(*one) for one in itertools.product(self.kernel, self.expansion, self.squeeze_excite)]
        for channels, activation, depth in itertools.product(self.channels, self.activation, self.depth):
            for chosen in itertools.product(blocks, repeat=depth):
                yield ChosenStage(channels, activation, chosen)

    def runs(self, chosen: ChosenStage, kind: str) -> Iterator[Stage]:
        """The edge family's stages that make this choice of this kind: equal blocks in a row are one run."""
        stride = self.stride
        for block, run in itertools.groupby(chosen.blocks):
            yield Stage(
                channels=chosen.channels,
                depth=len(tuple(run)),
                stride=stride,
                kernel=block.kernel,
                expansion=block.expansion,
                squeeze_excite=block.squeeze_excite,
                block=kind,
                activation=chosen.activation,
            )
            stride = 1
