"""Half precision: results rounded to float16, and what is lost by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_tests.runtimes.coreml.program import Operation

Array = NDArray[Any]
Kind = Literal["overflow", "flushed to zero", "not a number"]

LARGEST_HALF = 65504.0


@dataclass(frozen=True)
class Incident:
    """What an operator's float16 results lost.

    Attributes:
        operator: Its type.
        name: Of its first output.
        kind: ``overflow``: a finite value became infinite; ``flushed to zero``: one that was not zero became zero;
            ``not a number``: it came out of numbers.
        place: ``result``, or ``intermediate``: what the operator computes on the way, such as a sum of squares.
        count: How many values.
        total: Of how many.
        worst: The largest of the values lost, regardless of its sign; NaN for ``not a number``.
    """

    operator: str
    name: str
    kind: Kind
    place: Literal["result", "intermediate"]
    count: int
    total: int
    worst: float

    def __str__(self) -> str:
        most = "" if self.kind == "not a number" else f", up to {self.worst:.3g}"
        return f"{self.operator} at {self.name}: {self.count} of {self.total} {self.place}s {self.kind}{most}"


def to_half(values: Array) -> Array:
    """Values rounded to the nearest float16, ties to even, held as float32.

    Bit by bit what a cast there and back gives, and several times as quick: adding a number whose last digit is worth
    as much as float16's last digit of the value makes the processor round; taking it away again leaves the result.

    Args:
        values: float32.
    """
    power = (values.view(np.uint32) & np.uint32(0x7F800000)).view(np.float32)
    # 1.5 * 2^13 times the value's power of two; below 2^-14 float16's last digit stays worth 2^-24.
    anchor = np.maximum(power * np.float32(1.5 * 2**13), np.float32(0.75))
    rounded = values + anchor
    rounded -= anchor
    if rounded.size and not (rounded.max() <= LARGEST_HALF and rounded.min() >= -LARGEST_HALF):
        return values.astype(np.float16).astype(np.float32)
    return rounded


class Losses:
    """Collects incidents while a program runs."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Incident] = {}

    def incidents(self) -> tuple[Incident, ...]:
        """In the order in which they happened first."""
        return tuple(self._found.values())

    def to_half(self, values: Array, operation: Operation, place: Literal["result", "intermediate"]) -> Array:
        """Round to float16, held as float32, and note what was lost.

        Args:
            values: float32.
            operation: Whose they are.
            place: See :class:`Incident`.
        """
        rounded = to_half(values)
        if not np.isfinite(rounded.max(initial=0)) or not np.isfinite(rounded.min(initial=0)):
            self._note(operation, "overflow", place, values, np.isinf(rounded) & np.isfinite(values))
        flushed = (rounded == 0) != (values == 0)
        if flushed.any():
            self._note(operation, "flushed to zero", place, values, flushed)
        return rounded

    def note_nan(self, values: Array, operation: Operation, arguments: Iterable[Array]) -> None:
        """Note values that are not numbers, when the arguments are numbers."""
        if not np.isnan(values).any() or any(item.dtype.kind == "f" and np.isnan(item).any() for item in arguments):
            return
        self._note(operation, "not a number", "result", values, np.isnan(values))

    def _note(
        self, operation: Operation, kind: Kind, place: Literal["result", "intermediate"], values: Array, lost: Array
    ) -> None:
        count = int(np.count_nonzero(lost))
        if not count:
            return
        worst = float(np.abs(values[lost]).max())
        found = Incident(operation.type, operation.name, kind, place, count, int(values.size), worst)
        key = (operation.name, kind, place)
        if before := self._found.get(key):
            found = replace(
                found,
                count=before.count + count,
                total=before.total + found.total,
                worst=max(before.worst, worst),
            )
        self._found[key] = found
