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
    """What one block is.

    Attributes:
        kernel: Of its spatial convolution.
        expansion: Inner channels as a multiple; of what, the block says.
        squeeze_excite: Whether it re-weights its channels.
    """

    kernel: int
    expansion: float
    squeeze_excite: bool


@record
class ChosenStage:
    """What one stage is.

    Attributes:
        channels: Of its output.
        activation: Of its blocks.
        blocks: In order; their number is the stage's depth.
    """

    channels: int
    activation: Activation
    blocks: tuple[Block, ...]


@record
class Architecture:
    """One point of a search space: hashable, and equal exactly when the networks are.

    Attributes:
        kind: Of all blocks: a name of :data:`hetero.models.backbones.block_catalog.BLOCKS`, or ``module:class``.
        stages: In order.
    """

    kind: str
    stages: tuple[ChosenStage, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the description; names its files and stored evaluations."""
        return digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable description."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, value: object, *, what: str = "an architecture") -> Architecture:
        """Check a description and turn it into an architecture.

        Raises:
            IntegrityError: With every problem found.
        """
        return parse(cls, value, what=what, error=IntegrityError)
