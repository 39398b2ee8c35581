"""One format's conversions in a process of their own: converters are large, may crash, and dislike company.

Run as ``python -m export.convert`` with a JSON request on the first line of standard input. The process ends when
its standard input does, so that it never outlives whoever asked.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import threading
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from export.calibration import Calibration
from export.converter import Converter, ExportError, Job, expected_signature, load_converter
from export.manifest import Format, Precision, Quantisation, TensorEntry
from export.precisions import offer
from export.telling import mistaken, room
from export.tensors import read_tensors
from hetero.files import write_json
from hetero.schema import parse, record

LARGEST_LENGTH_ERROR = {"fp32": 1e-5, "int8-uint8io": 0.1}
"""How far a vector's length may be from one; other precisions round their output to float16 at worst."""
_LENGTH_ERROR = 5e-3


@record
class Request:
    """What to convert.

    Attributes:
        program: The captured graph.
        int8_program: The graph that full int8 is made from, when it is another.
        format: To which format.
        files: Precision and file of each, in the order to write them.
        goldens: The bundle's goldens, which the exported files must reproduce.
        work: A directory with the calibration, for results and temporary files.
        metadata: The contract.
        height: Of the image.
        width: Of the image.
        any_batch: Whether the graph takes any number of images.
        goals: Largest share of map@r to lose, by precision.
    """

    program: str
    int8_program: str
    format: Format
    files: dict[Precision, str]
    goldens: str
    work: str
    metadata: dict[str, str]
    height: int
    width: int
    any_batch: bool
    goals: dict[Precision, float]

    def result(self, precision: Precision) -> Path:
        """Where the :class:`Result` of a file goes."""
        return Path(self.work) / f"{Path(self.files[precision]).name}.json"


@record
class Result:
    """What came out.

    Attributes:
        input: What the file takes.
        output: What it gives.
        versions: Of the packages used.
        min_cosine: The smallest cosine with torch over the golden images; None when no runtime could run the file.
        mean_cosine: The mean of these cosines.
        golden_room: Median ``1 - cosine`` between golden images and their nearest other one, in torch; None where
            ``min_cosine`` is.
        calibration_loss: Share of map@r lost on the calibration queries; None without them or without a runtime.
        quantisation: How an int8 file was made.
        seconds: That writing and checking took; the conversion that all share counts for the first.
        peak_memory_bytes: The largest size of the process so far.
    """

    input: TensorEntry
    output: TensorEntry
    versions: dict[str, str]
    min_cosine: float | None
    mean_cosine: float | None
    golden_room: float | None
    calibration_loss: float | None
    quantisation: Quantisation | None
    seconds: float
    peak_memory_bytes: int


def convert_all(request: Request) -> None:
    """Convert, and write a result for each file: a failure costs one file."""
    started = time.perf_counter()
    from export.program import load

    converter = load_converter(request.format)
    job = Job(request.metadata, request.height, request.width, request.goals, Calibration.load(Path(request.work)))
    prepared: dict[str, Any] = {}
    for precision in request.files:
        calibrated = offer(request.format, precision).calibrated
        program = (calibrated and request.int8_program) or request.program
        try:
            if program not in prepared:
                prepared[program] = converter.prepare(load(Path(program)), job)
            outcome = asdict(_convert(request, converter, job, prepared[program], precision, started))
        except ExportError as error:
            outcome = {"error": str(error)}
        except Exception as error:  # converters raise all kinds; the other files may still succeed
            traceback.print_exc()
            outcome = {"error": f"{type(error).__name__}: {str(error).strip()[:1000]}"}
        write_json(request.result(precision), outcome)
        started = time.perf_counter()


def _convert(
    request: Request, converter: Converter, job: Job, prepared: Any, precision: Precision, started: float
) -> Result:
    """Write one file, and hold it against the model.

    Raises:
        ExportError: When the file's interface, metadata or embeddings are not the model's.
    """
    out = Path(request.files[precision])
    quantisation = converter.write(prepared, precision, out)
    goldens = read_tensors(Path(request.goldens))[0]
    expected: Any = goldens["golden_embeddings"]
    taken, given = converter.read_signature(out)
    shape = (request.height, request.width, expected.shape[1])
    signature = expected_signature(request.format, precision, *shape, any_batch=request.any_batch)
    if (taken, given) != signature:
        raise ExportError(f"{out.name} takes and gives {(taken, given)}, expected {signature}")
    if (came := converter.read_metadata(out)) != job.metadata:
        raise ExportError(f"{out.name} carries the metadata {came}, expected {job.metadata}")
    least = mean = between = loss = None
    if converter.run is not None:
        images: Any = goldens["golden_images"]
        least, mean = require_parity(
            out.name, converter.run(out, images), expected,
            least=offer(request.format, precision).sanity,
            length_error=LARGEST_LENGTH_ERROR.get(precision, _LENGTH_ERROR),
        )  # fmt: skip
        between = room(expected)
        if job.calibration is not None:
            loss = job.calibration.loss(converter.run(out, job.calibration.queries))
    return Result(
        input=taken,
        output=given,
        versions={package: importlib.metadata.version(package) for package in converter.packages},
        min_cosine=least,
        mean_cosine=mean,
        golden_room=between,
        calibration_loss=loss,
        quantisation=quantisation,
        seconds=time.perf_counter() - started,
        peak_memory_bytes=peak_memory(),
    )


def cosines(
    these: Float32[np.ndarray, "n d"], those: Float32[np.ndarray, "n d"]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Cosines between rows of two arrays, computed in double precision; NaN for a row that is zero or not finite."""
    left, right = these.astype(np.float64), those.astype(np.float64)
    dots = np.einsum("nd,nd->n", left, right)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return dots / norms


def require_parity(
    name: str,
    came: Float32[np.ndarray, "m e"],
    expected: Float32[np.ndarray, "n d"],
    *,
    least: float,
    length_error: float,
) -> tuple[float, float]:
    """Refuse embeddings that turn away from torch's, or that do not have length one.

    Returns:
        The smallest and the mean cosine.

    Raises:
        ExportError: When a cosine is below ``least``, a length off by more than ``length_error``, or most images are
            taken for others.
    """
    if came.shape != expected.shape:
        raise ExportError(f"{name} gives embeddings of shape {list(came.shape)}, torch {list(expected.shape)}")
    found = cosines(came, expected)
    longest = float(np.max(np.abs(np.linalg.norm(came.astype(np.float64), axis=1) - 1)))
    if not (float(np.min(found)) >= least and longest <= length_error):
        raise ExportError(
            f"{name} does not compute what the model computes: over {len(came)} golden images its smallest cosine with "
            f"torch's embedding is {np.min(found):.9f}, at least {least} is expected, and its lengths differ "
            f"from one by up to {longest:.2g}. The conversion changed the model's meaning; this file must not ship"
        )
    # A file that gives every image nearly one vector may still be near enough to each of torch's.
    if 2 * int((confused := mistaken(came, expected)).sum()) > len(confused):
        raise ExportError(
            f"{name} does not tell images apart: of {len(confused)} golden images {int(confused.sum())} are nearer to "
            "torch's embedding of another one than to that of their own; this file must not ship"
        )
    return float(np.min(found)), float(np.mean(found))


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes; 0 where the system does not say."""
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
