"""Latency of small models on a target, each the least of many runs spread over time.

On a machine that does other things too, a mean also measures those; the least of many runs spread over minutes
measures the model alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from device_tests.targets.target import Stopwatch, Timing

_COUNTED_RUNS = 5
"""Fewer runs suffice for a clock that counts instructions, which is almost exactly repeatable."""


def least_milliseconds(
    target: Stopwatch,
    files: Mapping[str, Path],
    runtime: str,
    *,
    sweeps: int,
    advance: Callable[[], None] = lambda: None,
) -> tuple[dict[str, float], str]:
    """Return the least milliseconds of a run over all sweeps, by name, and the runtime's version; see :func:`swept`."""
    times, version = swept(target, files, runtime, sweeps=sweeps, advance=advance)
    return {name: min(values) for name, values in times.items()}, version


def swept(
    target: Stopwatch,
    files: Mapping[str, Path],
    runtime: str,
    *,
    sweeps: int,
    advance: Callable[[], None] = lambda: None,
) -> tuple[dict[str, list[float]], str]:
    """Time models, one thread, batch of one.

    Args:
        target: A target that is set up.
        files: Model files by name.
        runtime: ``onnxruntime`` or ``litert``.
        sweeps: Number of passes over all of them.
        advance: Called after each model in each sweep.

    Returns:
        By name a value for each sweep, the least milliseconds of its runs; and the runtime's version.

    Raises:
        InputError: If a model cannot be timed there.
    """
    models = tuple(files.values())
    timing = Timing(runtime, models, _COUNTED_RUNS, 0.0) if target.counting else Timing(runtime, models)
    timed = [target.time(timing, lambda _done, _total: advance()) for _ in range(sweeps)]
    times = {name: [1e3 * one.seconds[row] for one in timed] for row, name in enumerate(files)}
    return times, timed[0].version
