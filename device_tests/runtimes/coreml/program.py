"""An ML program: named constants, and operators in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from device_tests.runtimes.coreml.types import TensorType

Constant = NDArray[Any] | str
Colour = Literal["RGB", "BGR", "GRAYSCALE"]


@dataclass(frozen=True)
class Reference:
    """An argument that names a constant, an input or an earlier result."""

    name: str


Argument = Reference | Constant


@dataclass(frozen=True)
class Variable:
    """A named tensor."""

    name: str
    type: TensorType


@dataclass(frozen=True)
class Operation:
    """One operator.

    Attributes:
        type: The type, for instance ``conv``.
        arguments: By parameter; several if the parameter takes a list.
        outputs: The tensors that it defines.
    """

    type: str
    arguments: Mapping[str, tuple[Argument, ...]]
    outputs: tuple[Variable, ...]

    @property
    def name(self) -> str:
        """Name of its first output, which messages use."""
        return self.outputs[0].name


@dataclass(frozen=True)
class Feature:
    """An input or output of the package's interface.

    Attributes:
        name: Also the name of the variable in the program.
        image: Order of the colours, for an image of values 0 to 255; None for an array.
        height: Height of an image; 0 for an array.
        width: Width of an image; 0 for an array.
    """

    name: str
    image: Colour | None = None
    height: int = 0
    width: int = 0


@dataclass(frozen=True)
class Program:
    """The program of a package.

    Attributes:
        inputs: Inputs in order.
        outputs: Names, in order.
        operations: Operations in order; each uses only earlier results.
        constants: Constants by name; types as stored.
        features: Inputs of the package's interface, one for each input.
        metadata: The model's user-defined metadata.
        opset: The operator set, for instance ``CoreML7``.
    """

    inputs: tuple[Variable, ...]
    outputs: tuple[str, ...]
    operations: tuple[Operation, ...]
    constants: Mapping[str, Constant]
    features: tuple[Feature, ...]
    metadata: Mapping[str, str]
    opset: str
