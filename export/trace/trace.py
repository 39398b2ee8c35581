"""The layers at which a reduced precision departs from the float32 file of the same bundle, operator by operator.

The float32 file stands for torch: at export it reproduced torch's embedding of every golden image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from export.bundle.reading import Bundle
from export.kinds.graph import Graph
from export.kinds.precision import Precision
from export.kinds.registry import format_called
from hetero.display.figures import own_settings
from hetero.errors import InputError

IMAGES = 8
SHARES = 4.0
"""An operator that adds more than this multiple of its even share of the error deserves attention."""


@dataclass(frozen=True)
class TraceStep:
    """One operator that both files compute.

    Attributes:
        name: Name of its output.
        kind: Kind of operator, for instance ``Conv``.
        error: Root mean square of the difference, relative to the float32 values.
        added: Share of the squared error, over all operators, that arises here rather than in its inputs.
    """

    name: str
    kind: str
    error: float
    added: float


@dataclass(frozen=True)
class Trace:
    """The growth of the error through a file.

    Attributes:
        format: Format of the file.
        precision: Precision of the file.
        steps: Steps in the order of computation.
    """

    format: str
    precision: Precision
    steps: tuple[TraceStep, ...]

    @property
    def fair(self) -> float:
        """The even share of an operator."""
        return 1 / len(self.steps)

    @property
    def first(self) -> int | None:
        """The first step that adds more than :data:`SHARES` times its even share; None when the error grows evenly."""
        return next((place for place, step in enumerate(self.steps) if step.added > SHARES * self.fair), None)


def trace(bundle: Bundle, format: str, precision: Precision, *, images: int = IMAGES) -> Trace:
    """Compare every operator of a file with the float32 file's on golden images.

    Raises:
        InputError: If the format has no runtime here that computes intermediate values, or a file is not in the bundle.
    """
    read_graph = format_called(format).read_graph
    if read_graph is None:
        raise InputError(f"{format}: not verified: nothing on this machine gives its intermediate values")
    whole, reduced = bundle.model(format, "fp32"), bundle.model(format, precision)
    if whole is None or reduced is None or precision == "fp32":
        had = [f"{one.format} {one.precision}" for one in bundle.manifest.models if one.format == format]
        raise InputError(
            f"expected a reduced precision of {format} beside its fp32 in the bundle, asked for {format} {precision}; "
            f"the bundle has {', '.join(had) or 'none of this format'}"
        )
    goldens = bundle.goldens.golden_images[:images]
    return compare(read_graph(bundle.file(whole)), read_graph(bundle.file(reduced)), goldens, format, precision)


def compare(
    whole: Graph, reduced: Graph, images: UInt8[np.ndarray, "n h w 3"], format: str, precision: Precision
) -> Trace:
    """Follow the error through a reduced file's operators; those that only it has (casts) are skipped."""
    squared: dict[str, float] = {}
    power: dict[str, float] = {}
    for expected, actual in zip(whole.run(images), reduced.run(images), strict=True):
        for name in expected.keys() & actual.keys():
            if expected[name].shape == actual[name].shape:
                difference = actual[name].astype(np.float64) - expected[name]
                squared[name] = squared.get(name, 0.0) + float(np.square(difference).sum())
                power[name] = power.get(name, 0.0) + float(np.square(expected[name].astype(np.float64)).sum())
    errors = {name: _relative(squared[name], power[name]) for name in squared}
    own = {
        operator.name: max(0.0, errors[operator.name] ** 2 - _arrived(operator.inputs, errors))
        for operator in whole.operators
        if operator.name in errors
    }
    total = sum(own.values()) or 1.0
    steps = [
        TraceStep(operator.name, operator.kind, errors[operator.name], own[operator.name] / total)
        for operator in whole.operators
        if operator.name in errors
    ]
    return Trace(format, precision, tuple(steps))


def table(found: Trace) -> str:
    """Return one line for each operator; an arrow marks the first that adds more than its share."""
    lines = [f"{found.format} {found.precision} against fp32", f"{'':3}{'error':>9} {'added':>7}  operator"]
    for place, one in enumerate(found.steps):
        mark = "-->" if place == found.first else ""
        lines.append(f"{mark:3}{one.error:9.2e} {one.added:7.1%}  {one.kind} {one.name}")
    if found.first is None:
        lines.append("the error grows evenly: no operator adds more than its share")
    else:
        one = found.steps[found.first]
        limit = f"{SHARES:.0f} times its even share of {found.fair:.1%}"
        lines.append(f"first to add more than {limit}: {one.kind} {one.name} with {one.added:.1%}")
    return "\n".join(lines)


def plot(traces: list[Trace], path: Path) -> None:
    """Draw each file's error along its operators as SVG; the first beyond its share is marked."""
    import io

    from matplotlib.figure import Figure

    from hetero.files import write_bytes

    with own_settings():
        figure = Figure(figsize=(9, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for one in traces:
            errors = [max(step.error, 1e-8) for step in one.steps]
            (line,) = axes.plot(errors, label=f"{one.format} {one.precision}")
            if one.first is not None:
                axes.plot([one.first], [errors[one.first]], "o", color=line.get_color())
                axes.annotate(one.steps[one.first].name, (one.first, errors[one.first]), rotation=30, fontsize=7)
        axes.set_yscale("log")
        axes.set_xlabel("operator, in the order of computation")
        axes.set_ylabel("error relative to float32")
        axes.legend()
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    write_bytes(path, out.getvalue())


def _relative(squared: float, power: float) -> float:
    if not np.isfinite(squared):
        return 1e6
    return float(np.sqrt(squared / power)) if power else float(squared > 0)


def _arrived(inputs: tuple[str, ...], errors: Mapping[str, float]) -> float:
    """Return the largest squared error among an operator's inputs."""
    return max((errors[name] ** 2 for name in inputs if name in errors), default=0.0)
