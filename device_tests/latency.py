"""Measure a latency table: every operator of a search space on a runtime, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch
from tqdm import tqdm

from device_tests.stopwatch import RUNTIMES, least_milliseconds
from device_tests.targets.desktop import Desktop
from export.operators import OperatorFormat, operator_files
from hetero.search.latency_table import LatencyTable, RuntimeTable
from hetero.search.layers import Layer
from hetero.search.operators import Operator

SWEEPS = 5
_PACKAGES = {"onnxruntime": "onnxruntime", "litert": "ai-edge-litert"}


class _Sum(torch.nn.Module):
    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return one + other


def nothing() -> Operator:
    """The least that a network can do: what calling a runtime takes by itself."""
    small = torch.zeros(1, 8, 1, 1)
    return Operator("nothing", _Sum(), (small, small))


def measure_latency(
    layers: Sequence[Layer], formats: Sequence[OperatorFormat] = ("onnx", "litert"), *, sweeps: int = SWEEPS
) -> LatencyTable:
    """Measure this machine.

    Args:
        layers: Every layer that networks may have, see :func:`hetero.search.layers.layers_of_space`.
        formats: Whose runtimes.
        sweeps: How often each operator is timed, spread over the measurement; the least counts.
    """
    desktop = Desktop()
    desktop.set_up()
    measured = {RUNTIMES[format]: _measure(layers, format, sweeps) for format in formats}
    return LatencyTable({"name": desktop.name, **desktop.describe()}, measured)


def runtime_table(format: OperatorFormat, milliseconds: Mapping[str, float]) -> RuntimeTable:
    """What was measured as a table.

    Args:
        format: Whose runtime.
        milliseconds: Of each operator, and of :func:`nothing`.
    """
    call = milliseconds[nothing().name]
    operators = {name: round(max(0.0, taken - call), 6) for name, taken in milliseconds.items()}
    del operators[nothing().name]
    return RuntimeTable(version(_PACKAGES[RUNTIMES[format]]), round(call, 6), operators)


def _measure(layers: Sequence[Layer], format: OperatorFormat, sweeps: int) -> RuntimeTable:
    runtime = RUNTIMES[format]
    with tqdm(desc=f"operators for {runtime}", unit="file") as bar:
        files = operator_files(layers, format, lambda more: _advance(bar, more), extra=[nothing()])
    with tqdm(total=sweeps * len(files), desc=f"timing on {runtime}", unit="run") as bar:
        return runtime_table(
            format, least_milliseconds(files, runtime, sweeps=sweeps, advance=lambda: _advance(bar, 1))
        )


def _advance(bar: tqdm[Any], more: int) -> None:
    bar.update(more)
