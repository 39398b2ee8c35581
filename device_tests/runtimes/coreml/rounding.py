"""Half precision: rounding results to float16, and the losses by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_tests.runtimes.coreml.program import Operation

Array = NDArray[Any]
Kind = Literal["overflow", "flushed to zero", "not a number"]

LARGEST_HALF = 65504.0
_BLOCK = 1 << 16
_EXPONENT = np.uint32(0x7F800000)
_SHIFT = np.float32(1.5 * 2**13)
_LARGE_ANCHOR = np.float32(1.5 * 2**13 * 2**15)
_TINY_ANCHOR = np.float32(1.5 * 2**13 * 2**-24)
# An array, because numpy compares with a single number six times as slowly.
_SMALLEST_ANCHOR = np.full(_BLOCK, 0.75, np.float32)


@dataclass(frozen=True)
class Incident:
    """A loss in an operator's float16 results.

    Attributes:
        operator: The operator's type.
        name: Name of its first output.
        kind: ``overflow``: a finite value became infinite; ``flushed to zero``: one that was not zero became zero;
            ``not a number``: it was computed from numbers.
        place: ``result``, or ``intermediate``: a value during the computation, such as a sum of squares.
        count: Number of values lost.
        total: Number of all values.
        worst: The lost value of largest magnitude; NaN for ``not a number``.
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


def to_half(
    values: Array, *, fresh: bool = False, room: Array | None = None
) -> tuple[Array, list[tuple[Array, Array]]]:
    """Round values to the nearest float16, ties to even, stored as float32.

    The result equals a cast to float16 and back, several times faster: adding a number whose last digit is worth as
    much as float16's last digit of the value makes the processor round; subtracting it again leaves the result.

    Args:
        values: float32.
        fresh: True if the values are not needed elsewhere, so that they may be rounded in place.
        room: The result of :func:`working_room`; reused from call to call.

    Returns:
        The rounded values; and for blocks with values that are not finite or became zero, those before and after.
    """
    if not fresh or np.empty_like(values).strides != values.strides:
        values = values.copy("K")
    # In the order of memory, and in blocks that stay in the cache.
    flat = values.ravel("K")
    anchors, halves = working_room() if room is None else room
    lossy: list[tuple[Array, Array]] = []
    with np.errstate(all="ignore"):
        for first in range(0, flat.size, _BLOCK):
            part = flat[first : first + _BLOCK]
            before = _round(part, anchors[: part.size], halves[: part.size])
            if before is not None:
                lossy.append((before, part))
    return values, lossy


def working_room() -> Array:
    """Return buffers for :func:`to_half`."""
    return np.empty((2, _BLOCK), np.float32)


def _round(part: Array, anchor: Array, halves: Array) -> Array | None:
    """Round a block in place; return its old values if some are not finite or became zero."""
    np.bitwise_and(part.view(np.uint32), _EXPONENT, out=anchor.view(np.uint32))
    # 1.5 * 2^13 times the value's power of two; below 2^-14 float16's last digit remains worth 2^-24.
    anchor *= _SHIFT
    tame = anchor.min() >= _TINY_ANCHOR and anchor.max() < _LARGE_ANCHOR
    np.maximum(anchor, _SMALLEST_ANCHOR[: part.size], out=anchor)
    if tame:
        part += anchor
        part -= anchor
        return None
    np.add(part, anchor, out=halves)
    halves -= anchor
    overflows = anchor.max() >= _LARGE_ANCHOR and not (halves.max() <= LARGEST_HALF and halves.min() >= -LARGEST_HALF)
    if overflows:
        halves[:] = part.astype(np.float16)
    zeros = part.size - np.count_nonzero(halves != 0)
    flushes = zeros > 0 and zeros > part.size - np.count_nonzero(part != 0)
    before = part.copy() if overflows or flushes else None
    part[:] = halves
    return before


class Losses:
    """A collector of incidents while a program runs."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Incident] = {}
        self._room = working_room()

    def incidents(self) -> tuple[Incident, ...]:
        """Return incidents in the order of their first occurrence."""
        return tuple(self._found.values())

    def to_half(
        self,
        values: Array,
        operation: Operation,
        place: Literal["result", "intermediate"],
        arguments: Sequence[Array] = (),
        *,
        fresh: bool = False,
    ) -> Array:
        """Round to float16, stored as float32, and record losses.

        Args:
            values: float32.
            operation: The operation that computed them.
            place: See :class:`Incident`.
            arguments: Its arguments: what is NaN there is not lost here.
            fresh: True if the values are not needed elsewhere.
        """
        rounded, lossy = to_half(values, fresh=fresh, room=self._room)
        if not lossy:
            return rounded
        before, after = (np.concatenate(parts) for parts in zip(*lossy, strict=True))
        self._note(operation, "overflow", place, before[np.isinf(after) & np.isfinite(before)], values.size)
        self._note(operation, "flushed to zero", place, before[(after == 0) & (before != 0)], values.size)
        values_lost = before[np.isnan(before)]
        if place == "result" and not any(item.dtype.kind == "f" and np.isnan(item).any() for item in arguments):
            self._note(operation, "not a number", place, values_lost, values.size)
        return rounded

    def _note(
        self, operation: Operation, kind: Kind, place: Literal["result", "intermediate"], values: Array, total: int
    ) -> None:
        if not values.size:
            return
        worst = float(np.abs(values).max())
        incident = Incident(operation.type, operation.name, kind, place, int(values.size), total, worst)
        key = (operation.name, kind, place)
        if before := self._found.get(key):
            incident = replace(
                incident,
                count=before.count + incident.count,
                total=before.total + total,
                worst=max(before.worst, worst),
            )
        self._found[key] = incident
