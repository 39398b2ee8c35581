"""A model's file with the results of its operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

Values = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class GraphOperator:
    """One operator of a graph.

    Attributes:
        name: Name of its output; the same in the float32 file and in those made from it.
        kind: Kind of operator, for instance ``Conv``.
        inputs: Names of the computed tensors that it reads.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A file with its intermediate values.

    Attributes:
        operators: Operators in the order of computation.
        run: Yields values by name, for one image after another; quantised ones as the numbers that they represent.
    """

    operators: tuple[GraphOperator, ...]
    run: Callable[[UInt8[np.ndarray, "n h w 3"]], Iterator[Values]]
