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
        halves = values.astype(np.float16)
        rounded = halves.astype(np.float32)
        if not np.isfinite(np.abs(rounded).max(initial=0)):
            lost = np.isinf(rounded) & np.isfinite(values)
            self._note(operation, "overflow", place, values, lost)
        if np.count_nonzero(rounded) < np.count_nonzero(values):
            self._note(operation, "flushed to zero", place, values, (rounded == 0) & (values != 0))
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
