"""One conversion in a process of its own: converters are large, may crash, and do not like each other's company.

Run as ``python -m export.convert`` with a JSON request on the first line of standard input. The process ends when
its standard input does, so that it never outlives whoever asked.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from export.converter import Converter, ExportError, describe, expected_signature, load_converter
from export.manifest import Format, Precision, TensorEntry
from export.tensors import read_tensors
from hetero.files import write_json
from hetero.models.directory import load_model
from hetero.schema import parse, record

LARGEST_ANGLE_LOSS = 1e-6


@record
class Request:
    """What to convert.

    Attributes:
        model: A model directory.
        format: To which format.
        precision: In which precision.
        out: The file to write.
        goldens: The bundle's goldens, which the exported file must reproduce.
        result: Where to write the :class:`Result` as JSON.
    """

    model: str
    format: Format
    precision: Precision
    out: str
    goldens: str
    result: str


@record
class Result:
    """What came out.

    Attributes:
        input: What the file takes.
        output: What it gives.
        versions: Of the packages used.
        min_cosine: The smallest cosine with torch over the golden images; None when no runtime could run the file.
    """

    input: TensorEntry
    output: TensorEntry
    versions: dict[str, str]
    min_cosine: float | None


def convert(request: Request) -> Result:
    """Convert, and hold the file against the model.

    Raises:
        ExportError: When the file's interface, metadata or embeddings are not the model's.
    """
    model = load_model(Path(request.model))
    converter, out = load_converter(request.format), Path(request.out)
    metadata = describe(model)
    converter.convert(model, out, metadata)
    taken, given = converter.read_signature(out)
    if (taken, given) != expected_signature(request.format, model):
        expected = expected_signature(request.format, model)
        raise ExportError(f"{out.name} takes and gives {(taken, given)}, expected {expected}")
    if (came := converter.read_metadata(out)) != metadata:
        raise ExportError(f"{out.name} carries the metadata {came}, expected {metadata}")
    versions = {package: importlib.metadata.version(package) for package in converter.packages}
    return Result(taken, given, versions, _check(converter, out, Path(request.goldens)))


def least_cosine(these: Float32[np.ndarray, "n d"], those: Float32[np.ndarray, "n d"]) -> float:
    """The smallest cosine between rows of two arrays, computed in double precision; NaN when a row is not finite."""
    left, right = these.astype(np.float64), those.astype(np.float64)
    dots = np.einsum("nd,nd->n", left, right)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.min(dots / norms))


def require_parity(name: str, came: Float32[np.ndarray, "m e"], expected: Float32[np.ndarray, "n d"]) -> float:
    """Refuse embeddings that turn away from torch's, or that do not have length one.

    Returns:
        The smallest cosine.

    Raises:
        ExportError: When a cosine is below ``1 - 1e-6``.
    """
    if came.shape != expected.shape:
        raise ExportError(f"{name} gives embeddings of shape {list(came.shape)}, torch {list(expected.shape)}")
    least = least_cosine(came, expected)
    longest = float(np.max(np.abs(np.linalg.norm(came.astype(np.float64), axis=1) - 1)))
    if not (least >= 1 - LARGEST_ANGLE_LOSS and longest <= 1e-5):
        raise ExportError(
            f"{name} does not compute what the model computes: over {len(came)} golden images its smallest cosine with "
            f"torch's embedding is {least:.9f}, at least {1 - LARGEST_ANGLE_LOSS} is expected, and its lengths differ "
            f"from one by up to {longest:.2g}. The converter changed the model's meaning; this file must not ship"
        )
    return least


def _check(converter: Converter, out: Path, goldens: Path) -> float | None:
    if converter.run is None:
        return None
    tensors: Mapping[str, NDArray[np.generic]] = read_tensors(goldens)[0]
    embeddings = converter.run(out, tensors["golden_images"])  # pyright: ignore[reportArgumentType]
    return require_parity(out.name, embeddings, tensors["golden_embeddings"])  # pyright: ignore[reportArgumentType]


def _end_with_standard_input() -> None:
    # Not through sys.stdin: a thread that waits in it at shutdown makes the interpreter abort.
    while os.read(0, 4096):
        pass
    os._exit(1)


def main() -> None:
    """Serve one request."""
    request = parse(Request, json.loads(sys.stdin.buffer.readline()), what="the request")
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    try:
        result = convert(request)
    except ExportError as error:
        write_json(Path(request.result), {"error": str(error)})
        sys.exit(1)
    write_json(Path(request.result), asdict(result))


if __name__ == "__main__":
    main()
