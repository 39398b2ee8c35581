"""One format's conversions in a separate process: converters are large, may crash, and do not mix.

Run as ``python -m export.conversion.worker`` with a JSON request on the first line of standard input. The process ends
when its standard input does, so that it never outlives its parent.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from export.bundle.accelerators import AcceleratorFit
from export.bundle.golden_rows import with_copies
from export.bundle.tensors import read_tensors
from export.conversion.request import Request, Result
from export.conversion.telling import mistaken, room
from export.errors import ExportError
from export.formats.converter import ConversionJob, Converter, load_converter
from export.kinds.format import Format
from export.kinds.interface import Shape
from export.kinds.precision import Precision
from export.kinds.registry import format_called
from export.precision.calibration import Calibration
from export.precision.measure import Yardstick
from export.precision.table import offer
from hetero.files import write_json
from hetero.named import named
from hetero.schema import parse

LARGEST_LENGTH_ERROR = {"fp32": 1e-5, "int8-uint8io": 0.1}
"""Largest deviation of a vector's length from one; other precisions round their output to float16 at worst."""
_LENGTH_ERROR = 5e-3


@dataclass(frozen=True)
class _Task:
    """Data that all files of a format share."""

    request: Request
    format: Format
    converter: Converter
    job: ConversionJob


@dataclass(frozen=True)
class _Conversion:
    """A graph converted to a format, from which every precision is made.

    Attributes:
        prepared: The converter's result for the graph; None if it failed.
        float32: The result for its float32 file, or the reason why that must not ship.
    """

    prepared: Any
    float32: Result | str


def convert_all(request: Request) -> None:
    """Convert, and write a result for each file.

    A graph's float32 file is always judged first: anything made from a wrong conversion fails with it, however lenient
    its own precision is. Otherwise a failure costs one file.
    """
    started = time.perf_counter()
    job = ConversionJob(
        request.metadata, request.height, request.width, request.goals, Calibration.load(Path(request.work))
    )
    task = _Task(request, format_called(request.format), load_converter(request.format), job)
    conversions: dict[bool, _Conversion] = {}
    for precision in sorted(request.files, key=lambda each: each != "fp32"):
        tuned = offer(request.format, precision).calibrated and request.int8_program != ""
        if tuned not in conversions:
            conversions[tuned] = _converted(task, tuned=tuned)
        outcome = _outcome(task, conversions[tuned], precision)
        if isinstance(outcome, Result):
            outcome = replace(outcome, seconds=time.perf_counter() - started, peak_memory_bytes=peak_memory())
        write_json(request.result(precision), {"error": outcome} if isinstance(outcome, str) else asdict(outcome))
        started = time.perf_counter()


def _converted(task: _Task, *, tuned: bool) -> _Conversion:
    """Convert a graph once, and judge its float32 file, which is kept only if it was requested."""
    from export.capture.program import load

    request, prepared = task.request, None
    program, goldens = request.program, request.goldens
    if tuned:
        program, goldens = request.int8_program, request.int8_goldens
    scratch = Path(request.work) / f"float32.{request.format}" / task.format.file_name("fp32")
    kept = None if tuned else request.files.get("fp32")

    def judged() -> Result:
        nonlocal prepared
        prepared = task.converter.prepare(load(Path(program)), task.job)
        return _written(task, prepared, "fp32", Path(kept or scratch), goldens, measured=kept is not None)

    scratch.parent.mkdir()
    float32 = _attempt(judged)
    shutil.rmtree(scratch.parent)
    return _Conversion(prepared, float32)


def _outcome(task: _Task, conversion: _Conversion, precision: Precision) -> Result | str:
    if precision == "fp32":
        return conversion.float32
    if isinstance(conversion.float32, str):
        return f"the float32 conversion that it is made from failed: {conversion.float32}"
    out = Path(task.request.files[precision])
    return _attempt(lambda: _written(task, conversion.prepared, precision, out, task.request.goldens))


def _attempt(make: Callable[[], Result]) -> Result | str:
    """Return a result, or the reason why there is none."""
    try:
        return make()
    except ExportError as error:
        return str(error)
    except Exception as error:  # converters raise all kinds of exceptions; the other files may still succeed
        traceback.print_exc()
        return f"{type(error).__name__}: {str(error).strip()[:1000]}"


def _written(
    task: _Task, prepared: Any, precision: Precision, out: Path, goldens: str, *, measured: bool = True
) -> Result:
    """Write one file, and compare it with the model.

    Raises:
        ExportError: If the file's interface, metadata or embeddings are not the model's.
    """
    request, converter, job = task.request, task.converter, task.job
    quantisation = converter.write(prepared, precision, out)
    tensors = with_copies(read_tensors(Path(goldens))[0], what=Path(goldens).name)
    expected: Any = tensors["golden_embeddings"]
    input_entry, output_entry = converter.read_signature(out)
    shape = Shape(request.height, request.width, expected.shape[1], batch=0 if request.any_batch else 1)
    signature = task.format.signature(precision, shape)
    if (input_entry, output_entry) != signature:
        raise ExportError(f"{out.name} takes and gives {(input_entry, output_entry)}, expected {signature}")
    if (metadata := converter.read_metadata(out)) != job.metadata:
        raise ExportError(f"{out.name} carries the metadata {metadata}, expected {job.metadata}")
    least = mean = between = loss = None
    if converter.run is not None:
        images: Any = tensors["golden_images"]
        least, mean = require_parity(
            out.name, converter.run(out, images), expected,
            least=offer(request.format, precision).sanity,
            length_error=LARGEST_LENGTH_ERROR.get(precision, _LENGTH_ERROR),
        )  # fmt: skip
        between = room(expected)
        if job.calibration is not None and measured:
            yardstick = Yardstick(job.calibration, job.calibration.query_rows)
            figures = yardstick.measure(converter.run(out, job.calibration.queries))
            loss = figures and figures.loss
    return Result(
        input=input_entry,
        output=output_entry,
        versions={package: importlib.metadata.version(package) for package in task.format.packages},
        min_cosine=least,
        mean_cosine=mean,
        golden_room=between,
        calibration_loss=loss,
        quantisation=quantisation,
        accelerators=_fits(task.format, out) if measured else (),
    )


def _fits(format: Format, file: Path) -> tuple[AcceleratorFit, ...]:
    """Return the part of a file that each accelerator takes."""
    if not format.accelerators:
        return ()
    try:
        return named(format.accelerators).fits(file)
    except Exception:  # an estimate by others' tools, which raise all kinds of exceptions, must not cost the file
        traceback.print_exc()
        return ()


def cosines(
    these: Float32[np.ndarray, "n d"], those: Float32[np.ndarray, "n d"]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return cosines between rows of two arrays, in double precision; NaN for a row that is zero or not finite."""
    left, right = these.astype(np.float64), those.astype(np.float64)
    dots = np.einsum("nd,nd->n", left, right)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return dots / norms


def require_parity(
    name: str,
    actual: Float32[np.ndarray, "m e"],
    expected: Float32[np.ndarray, "n d"],
    *,
    least: float,
    length_error: float,
) -> tuple[float, float]:
    """Refuse embeddings that differ from torch's, or that do not have length one.

    Returns:
        The smallest and the mean cosine.

    Raises:
        ExportError: If a cosine is below ``least``, a length off by more than ``length_error``, or most images are
            mistaken for others.
    """
    if actual.shape != expected.shape:
        raise ExportError(f"{name} gives embeddings of shape {list(actual.shape)}, torch {list(expected.shape)}")
    similarity = cosines(actual, expected)
    longest = float(np.max(np.abs(np.linalg.norm(actual.astype(np.float64), axis=1) - 1)))
    if not (float(np.min(similarity)) >= least and longest <= length_error):
        raise ExportError(
            f"{name} does not compute what the model computes: over {len(actual)} golden images its smallest cosine "
            f"with torch's embedding is {np.min(similarity):.9f}, at least {least} is expected, and its lengths differ "
            f"from one by up to {longest:.2g}. The conversion changed the model's meaning; this file must not ship"
        )
    # A file that gives every image nearly the same vector may still be close enough to each of torch's.
    if 2 * int((confused := mistaken(actual, expected)).sum()) > len(confused):
        raise ExportError(
            f"{name} does not tell images apart: of {len(confused)} golden images {int(confused.sum())} are nearer to "
            "torch's embedding of another one than to that of their own; this file must not ship"
        )
    return float(np.min(similarity)), float(np.mean(similarity))


def peak_memory() -> int:
    """Return the largest resident size of this process so far, in bytes; 0 if the system does not report it."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _end_with_standard_input() -> None:
    # Not through sys.stdin: a thread that waits in it at shutdown makes the interpreter abort.
    while os.read(0, 4096):
        pass
    os._exit(1)


def main() -> None:
    """Serve one request."""
    request = parse(Request, json.loads(sys.stdin.buffer.readline()), what="the request")
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    convert_all(request)


if __name__ == "__main__":
    main()
