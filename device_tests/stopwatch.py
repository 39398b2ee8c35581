"""How long small models take on this machine, each the least of many runs spread over time.

On a machine that does other things too, a mean measures the other things; the least of many runs spread over minutes
measures the model. Inputs stay where they are: only the runtime's own work counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

RUNTIMES = {"onnx": "onnxruntime", "litert": "litert"}
"""Which runtime times each format."""

_WARM_UP, _RUNS, _AT_LEAST_SECONDS = 3, 20, 2e-3


def least_milliseconds(
    files: Mapping[str, Path], runtime: str, *, sweeps: int, advance: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Name -> least milliseconds of one run over all sweeps; see :func:`swept_milliseconds`."""
    swept = swept_milliseconds(files, runtime, sweeps=sweeps, advance=advance)
    return {name: min(values) for name, values in swept.items()}


def swept_milliseconds(
    files: Mapping[str, Path], runtime: str, *, sweeps: int, advance: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """Time models, one thread, batch of one.

    Args:
        files: Name -> model file.
        runtime: ``onnxruntime`` or ``litert``.
        sweeps: How often to go through all of them.
        advance: Called after each model in each sweep.

    Returns:
        Name -> a value for each sweep: the least milliseconds of its runs.
    """
    swept: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(sweeps):
        for name, file in files.items():
            swept[name].append(1e3 * _least_seconds(_LOADERS[runtime](file.read_bytes())))
            advance()
    return swept


def _least_seconds(run: Callable[[], object]) -> float:
    for _ in range(_WARM_UP):
        run()
    least, started, runs = float("inf"), time.perf_counter(), 0
    while runs < _RUNS or time.perf_counter() - started < _AT_LEAST_SECONDS:
        before = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - before)
        runs += 1
    return least


def _onnxruntime(content: bytes) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for taken in session.get_inputs():
        kind = np.uint8 if taken.type == "tensor(uint8)" else np.float32
        binding.bind_cpu_input(taken.name, _noise([int(side) for side in taken.shape], kind))
    for given in session.get_outputs():
        binding.bind_output(given.name)
    return lambda: session.run_with_iobinding(binding)


def _litert(content: bytes) -> Callable[[], object]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    for taken in interpreter.get_input_details():
        interpreter.set_tensor(taken["index"], _noise(taken["shape"].tolist(), taken["dtype"]))
    return interpreter.invoke


def _noise(shape: list[int], kind: Any) -> Any:
    # Zeros could take a shorter way, and denormal numbers a much longer one.
    return (np.random.default_rng(0).random(shape) * (255 if kind == np.uint8 else 1)).astype(kind)


_LOADERS: dict[str, Callable[[bytes], Callable[[], object]]] = {"onnxruntime": _onnxruntime, "litert": _litert}
