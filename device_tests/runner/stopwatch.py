"""How long models take by themselves, whatever they take: what latency tables are made of.

Inputs stay where they are: only the runtime's own work counts. Of many runs the least does; on a machine that does
other things too, a mean would measure the other things.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from .engines import engine

_WARM_UP = 3


def time_models(runtime: str, job: dict[str, Any]) -> dict[str, Any]:
    """Time the job's models, one thread, batch of one.

    Returns:
        The runtime's ``runtime_version``, and ``seconds``: for each model the least of its runs.
    """
    load = _LOADERS[runtime]
    seconds: list[float] = []
    for number, model in enumerate(job["models"], start=1):
        seconds.append(least_seconds(load(model), job["runs"], job["at_least_seconds"]))
        sys.stdout.write(f"{number} {len(job['models'])}\n")
        sys.stdout.flush()
    return {"runtime_version": version(engine(runtime).package), "seconds": seconds}


def least_seconds(run: Callable[[], object], runs: int, at_least: float) -> float:
    """The least seconds of some runs, which together take a while."""
    for _ in range(_WARM_UP):
        run()
    least, started, done = float("inf"), time.perf_counter(), 0
    while done < runs or time.perf_counter() - started < at_least:
        before = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - before)
        done += 1
    return least


def _onnxruntime(model: str) -> Callable[[], object]:
    session = engine("onnxruntime").session(model, {})
    binding = session.io_binding()
    for taken in session.get_inputs():
        kind = np.uint8 if taken.type == "tensor(uint8)" else np.float32
        binding.bind_cpu_input(taken.name, _noise([int(side) for side in taken.shape], kind))
    for given in session.get_outputs():
        binding.bind_output(given.name)
    return lambda: session.run_with_iobinding(binding)


def _litert(model: str) -> Callable[[], object]:
    interpreter = engine("litert").interpreter(model)
    for taken in interpreter.get_input_details():
        interpreter.set_tensor(taken["index"], _noise(taken["shape"].tolist(), taken["dtype"]))
    return interpreter.invoke


def _noise(shape: list[int], kind: Any) -> Any:
    # Zeros could take a shorter way, and denormal numbers a much longer one.
    return (np.random.default_rng(0).random(shape) * (255 if kind == np.uint8 else 1)).astype(kind)


_LOADERS: dict[str, Callable[[str], Callable[[], object]]] = {"onnxruntime": _onnxruntime, "litert": _litert}
