"""Measure a latency table: every operator of a search space on a runtime, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from device_tests.latency.stopwatch import least_milliseconds
from device_tests.targets.target import Stopwatch
from export.formats import TIMED
from export.formats.operators import operator_files
from export.kinds.registry import engines_on
from hetero.display.progress import Bar
from hetero.nas.cost.latency_table import LatencyTable, RuntimeTable, Unit
from hetero.nas.cost.layers import Layer
from hetero.nas.cost.operators import Operator

SWEEPS, COUNTED_SWEEPS = 5, 1


class _Sum(torch.nn.Module):
    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return one + other


def nothing() -> Operator:
    """Return an operator that does the least possible, to measure the cost of calling a runtime."""
    small = torch.zeros(1, 8, 1, 1)
    return Operator("nothing", _Sum(), (small, small))


def measure_latency(
    target: Stopwatch,
    layers: Sequence[Layer],
    formats: Sequence[str] = TIMED,
    *,
    sweeps: int = SWEEPS,
) -> LatencyTable:
    """Measure every operator once on a target.

    Args:
        target: The target; it is set up, and not closed.
        layers: Every layer that networks may have, see :func:`hetero.nas.cost.layers.layers_of_space`.
        formats: Formats whose runtimes are measured.
        sweeps: Number of times that each operator is timed, spread over the measurement; the least counts.

    Raises:
        InputError: If an operator cannot be timed there.
    """
    unit: Unit = "instructions" if target.counting else "latency_ms"
    # Those that can time models on this machine, too.
    runtimes = {format: engines_on("phone")[format] for format in formats}
    measured = {
        runtime: _measure(target, layers, format, runtime, unit, sweeps) for format, runtime in runtimes.items()
    }
    return LatencyTable({"name": target.name, **target.describe()}, measured, unit)


def runtime_table(version: str, unit: Unit, milliseconds: Mapping[str, float]) -> RuntimeTable:
    """Return the measurements as a table.

    Args:
        version: The runtime's version.
        unit: Unit of the table.
        milliseconds: Time of each operator, and of :func:`nothing`; a nanosecond per instruction if these are counted.
    """
    call = milliseconds[nothing().name]
    beyond = {name: max(0.0, time - call) for name, time in milliseconds.items() if name != nothing().name}
    return RuntimeTable(version, _in(unit, call), {name: _in(unit, time) for name, time in beyond.items()})


def _in(unit: Unit, milliseconds: float) -> float:
    return float(round(1e6 * milliseconds)) if unit == "instructions" else round(milliseconds, 6)


def _measure(
    target: Stopwatch, layers: Sequence[Layer], format: str, runtime: str, unit: Unit, sweeps: int
) -> RuntimeTable:
    with Bar(desc=f"operators for {runtime}", unit="file") as bar:
        files = operator_files(layers, format, lambda more: _advance(bar, more), extra=[nothing()])
    with Bar(total=sweeps * len(files), desc=f"timing on {runtime}", unit="run") as bar:
        times, version = least_milliseconds(target, files, runtime, sweeps=sweeps, advance=lambda: _advance(bar, 1))
    return runtime_table(version, unit, times)


def _advance(bar: Bar[Any], more: int) -> None:
    bar.update(more)
