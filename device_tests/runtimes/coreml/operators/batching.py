"""Rules for operators on stacked images, so that a program written for one image can run over a batch.

A value that depends on the image has its first axis, of length one, replaced by the images. A rule tells if a call on
such values gives the same result for each image as a call on that image alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """A call, as seen by a rule.

    Attributes:
        shapes: Shapes of the array arguments, as declared for one image.
        batched: Names of those that depend on the image.
        constants: The other arguments.
        outputs: Declared shapes of the results.
    """

    shapes: Mapping[str, Shape]
    batched: frozenset[str]
    constants: Mapping[str, Any]
    outputs: tuple[Shape, ...]

    def only(self, name: str) -> bool:
        """Return True if only this argument depends on the image."""
        return self.batched == frozenset({name})


BatchRule = Callable[[Call], bool]


def _leads(shape: Shape) -> bool:
    return len(shape) > 0 and shape[0] == 1


def along_first(call: Call) -> bool:
    """Return True if only ``x`` depends on the image, and its first axis is a batch by the operator's definition."""
    return call.only("x") and _leads(call.shapes["x"]) and all(_leads(shape) for shape in call.outputs)


def elementwise(call: Call) -> bool:
    """Return True if broadcasting does not affect the first axis."""
    (output,) = call.outputs
    ranks = {name: len(shape) for name, shape in call.shapes.items()}
    apart = all(
        ranks[name] == len(output) if name in call.batched else ranks[name] < len(output) or _leads(call.shapes[name])
        for name in call.shapes
    )
    return apart and _leads(output)


def not_over(parameter: str, *, default: Any) -> BatchRule:
    """Return a rule that the axes named by a parameter, negative ones from the end, do not include the first.

    Args:
        parameter: The parameter with one axis or several.
        default: The default of the parameter; None for all axes.
    """

    def rule(call: Call) -> bool:
        shape = call.shapes["x"] if "x" in call.shapes else next(iter(call.shapes.values()))
        axes = call.constants.get(parameter, default)
        if axes is None or len(shape) < 2:
            return False
        axis_list = axes if isinstance(axes, tuple) else (axes,)
        return _leads(shape) and all(axis % len(shape) != 0 for axis in axis_list) and all(map(_leads, call.outputs))

    return rule
