"""Extreme inputs for the operators of the catalogue, and what torch gives on them.

Several operators share a graph, which takes one image. Its red values are mantissas, green and blue ones powers of two,
so that small, large, zero, spiky and shifted feature maps come exactly in float16, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from benchmarks.operator_catalogue import SHAPE
from export.capture.program import capture, module_of
from export.conversion.half import find_hazards
from export.kinds.precision import Precision

TOLERANCE: Mapping[Precision, float] = {"fp32": 1e-4, "fp16": 5e-3}
"""Of the largest magnitude that torch gives on an image."""
OWN: Mapping[Precision, float] = {"fp32": 8.0, "fp16": 4.0}
"""Or so many times what torch itself loses with numbers of that precision."""
SIDE = 16
"""Of the image."""
_FLOOR: Mapping[Precision, float] = {"fp32": 1e-12, "fp16": 2.0**-23}

Rows = list[np.ndarray[Any, np.dtype[np.float64]]]
"""What an operator gives, for each image."""


class Together(nn.Module):
    """Operators side by side: one image in, all results in one row."""

    def __init__(self, operators: Sequence[nn.Module]) -> None:
        super().__init__()
        self.operators = nn.ModuleList(operators)

    def forward(self, image: Tensor) -> Tensor:
        """Compute all on the map that an image stands for."""
        values = image.reshape(1, SIDE * SIDE, 3).to(torch.float32)
        x = decoded(values[..., 0], values[..., 1], values[..., 2])
        return torch.cat([operator(x).flatten() for operator in self.operators]).reshape(1, -1)


def captured(operators: Mapping[str, nn.Module]) -> ExportedProgram:
    """One graph of all operators."""
    return capture(Together(list(operators.values())).eval(), torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8))


def decoded(mantissa: Tensor, small: Tensor, large: Tensor) -> Tensor:
    """A feature map from an image's channels."""
    return ((mantissa - 128) * 2.0**-7 * (small * 2.0**-5 + large * 2.0**6)).reshape(SHAPE)


def images() -> dict[str, np.ndarray[Any, np.dtype[np.uint8]]]:
    """Kind of input -> an image."""
    random = np.random.default_rng(0)
    count = SIDE * SIDE
    spikes = random.permutation(count)[:6]
    spiky = np.array([random.integers(112, 145, count), np.ones(count), np.zeros(count)])
    spiky[:, spikes] = np.array([random.choice([1, 255], 6), np.zeros(6), np.full(6, 2)])
    channels: dict[str, Any] = {
        "ordinary": (random.integers(1, 256, count), 128, 0),
        "small": (random.integers(112, 145, count), 1, 0),
        "large": (random.integers(1, 256, count), 0, 128),
        "zero": (128, 0, 0),
        "spiky": spiky,
        "shifted": (random.integers(228, 256, count), 0, 1),
        "constant": (205, 128, 0),
    }
    return {
        kind: np.stack([np.broadcast_to(values, count) for values in given], -1).reshape(SIDE, SIDE, 3).astype(np.uint8)
        for kind, given in channels.items()
    }


def split(rows: Any, operators: Mapping[str, nn.Module]) -> dict[str, Rows]:
    """Rows of results [images, all] by operator."""
    sizes = [operator(torch.zeros(SHAPE)).numel() for operator in operators.values()]
    parts = np.split(rows.astype(np.float64), np.cumsum(sizes)[:-1], axis=1)
    return {name: list(part) for name, part in zip(operators, parts, strict=True)}


class Reference:
    """What torch gives: in float64, in float32, and with every result rounded to float16."""

    @torch.no_grad()
    def __init__(self, operators: Mapping[str, nn.Module]) -> None:
        self.names = list(operators)
        self.program = captured(operators)
        self.images = images()
        single: Any = self.program.module()
        rounding: Any = _Rounds(self.program.run_decompositions().module())
        pixels = [torch.from_numpy(image[None]) for image in self.images.values()]
        self.single = split(np.concatenate([single(image).numpy() for image in pixels]), operators)
        self.rounded = split(np.concatenate([rounding.run(image).numpy() for image in pixels]), operators)
        self.exact = {name: list(_exact(operator, self.images.values())) for name, operator in operators.items()}
        self.beyond = {name: list[str]() for name in self.names}
        for kind, image in self.images.items():
            for hazard in find_hazards(self.program, image[None]):
                _, _, rest = hazard.where.partition("operators.")
                if rest and kind not in (kinds := self.beyond[self.names[int(rest.partition(".")[0])]]):
                    kinds.append(kind)

    def owner(self, node: torch.fx.Node) -> str:
        """The operator of the catalogue that a node of the graph belongs to; empty for what makes its input."""
        _, _, rest = module_of(node).partition("operators.")
        return self.names[int(rest.partition(".")[0])] if rest else ""

    def faults(self, name: str, came: Rows, precision: Precision) -> list[str]:
        """Kinds of inputs on which a file gives something else."""
        own = self.single if precision == "fp32" else self.rounded
        kinds = enumerate(self.images)
        return [
            f"{kind}: {fault}"
            for place, kind in kinds
            if not (precision == "fp16" and kind in self.beyond[name])
            and (
                fault := _fault(
                    came[place], self.exact[name][place], self.single[name][place], own[name][place], precision
                )
            )
        ]


def _fault(came: Any, exact: Any, single: Any, own: Any, precision: Precision) -> str:
    finite = np.isfinite(single)
    if not np.array_equal(came[~finite], single[~finite], equal_nan=True) or not np.isfinite(came[finite]).all():
        place = int(np.flatnonzero((finite != np.isfinite(came)) | (~finite & (came != single)))[0])
        return f"torch gives {single[place]:.4g}, the file {came[place]:.4g}"
    if not finite.any():
        return ""
    errors = np.abs(came - exact)[finite]
    lost = np.abs(own - exact)[finite & np.isfinite(own)]
    allowed = max(TOLERANCE[precision] * np.abs(exact[finite]).max(), OWN[precision] * max(lost, default=0.0))
    if errors.max() <= max(allowed, _FLOOR[precision]):
        return ""
    place = int(errors.argmax())
    return f"torch gives {exact[finite][place]:.5g}, the file {came[finite][place]:.5g}"


def _exact(operator: nn.Module, shown: Any) -> Iterator[Any]:
    operator = operator.double()
    for image in shown:
        values = torch.from_numpy(image.reshape(1, -1, 3).astype(np.float64))
        with torch.no_grad():
            yield operator(decoded(values[..., 0], values[..., 1], values[..., 2])).double().flatten().numpy()
    operator.float()


class _Rounds(torch.fx.Interpreter):
    """Runs a graph with every float result rounded to float16."""

    def run_node(self, n: torch.fx.Node) -> Any:
        result = super().run_node(n)
        return result.half().float() if isinstance(result, Tensor) and result.is_floating_point() else result
