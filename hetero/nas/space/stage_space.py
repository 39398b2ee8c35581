"""The options for one stage of a search space."""

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
    """The options for one stage. Where they have an order, the cheapest comes first.

    Attributes:
        channels: Output channels; multiples of 8.
        depth: Numbers of blocks.
        stride: Stride of the first block; not a choice, so that every point has the same resolutions.
        kernel: Kernel sizes, chosen for each block.
        expansion: Inner channels as a multiple, chosen for each block.
        squeeze_excite: True for blocks that re-weight their channels, chosen for each block.
        activation: Activations, chosen for the whole stage.
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
        """Yield every possible stage."""
        blocks = [Block(*choice) for choice in itertools.product(self.kernel, self.expansion, self.squeeze_excite)]
        for channels, activation, depth in itertools.product(self.channels, self.activation, self.depth):
            for sequence in itertools.product(blocks, repeat=depth):
                yield ChosenStage(channels, activation, sequence)

    def runs(self, chosen: ChosenStage, kind: str) -> Iterator[Stage]:
        """Yield the edge family's stages for this choice and kind of block: equal blocks in a row are one run."""
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
