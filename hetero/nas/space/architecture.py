"""One point of a search space."""

from __future__ import annotations

import dataclasses
from typing import Any

from hetero.errors import IntegrityError
from hetero.files import digest
from hetero.models.stage import Activation
from hetero.schema import parse, record


@record
class Block:
    """One block of a network.

    Attributes:
        kernel: Kernel size of its spatial convolution.
        expansion: Inner channels as a multiple of the input or output channels, depending on the kind of block.
        squeeze_excite: True if it re-weights its channels.
    """

    kernel: int
    expansion: float
    squeeze_excite: bool


@record
class ChosenStage:
    """One stage of a network.

    Attributes:
        channels: Output channels.
        activation: Activation of its blocks.
        blocks: Its blocks in order; their number is the stage's depth.
    """

    channels: int
    activation: Activation
    blocks: tuple[Block, ...]


@record
class Architecture:
    """One point of a search space: hashable, and equal exactly when the networks are.

    Attributes:
        kind: Kind of all blocks: a name of :data:`hetero.models.backbones.block_catalog.BLOCKS`, or ``module:class``.
        stages: The stages in order.
    """

    kind: str
    stages: tuple[ChosenStage, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the description; names its files and stored evaluations."""
        return digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable description."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, value: object, *, what: str = "an architecture") -> Architecture:
        """Check a description and turn it into an architecture.

        Raises:
            IntegrityError: With every problem found.
        """
        return parse(cls, value, what=what, error=IntegrityError)
