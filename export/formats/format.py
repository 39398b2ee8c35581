"""What every format's module offers, and what every exported file says about itself."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from export.bundle.manifest import FORMATS, Format, Precision, Quantisation, TensorEntry
from export.errors import ExportError
from export.precision.calibration import Calibration
from export.precision.table import selection_problems
from hetero.errors import InputError

INPUT, OUTPUT = "image", "embedding"
BYTE_SCALE, BYTE_ZERO = 1 / 128, 128
"""Of an embedding in uint8: the coordinates of a unit vector lie between -1 and 1."""

Run = Callable[[Path, UInt8[np.ndarray, "n h w 3"]], Float32[np.ndarray, "n d"]]


@dataclass(frozen=True)
class Job:
    """What a converter needs besides the graph.

    Attributes:
        metadata: The contract, to be repeated in every file.
        height: Of the image.
        width: Of the image.
        goals: Largest share of map@r that each precision is to lose.
        calibration: Calibration images, if there are any.
    """

    metadata: Mapping[str, str]
    height: int
    width: int
    goals: Mapping[Precision, float]
    calibration: Calibration | None

    @property
    def required_calibration(self) -> Calibration:
        """The calibration images, where a precision cannot do without.

        Raises:
            ExportError: When there are none.
        """
        if self.calibration is None:
            raise ExportError("needs calibration images, and none were given")
        return self.calibration


@runtime_checkable
class Converter(Protocol):
    """One format. Each is a module, imported only in the process that converts with it."""

    @property
    def suffix(self) -> str:
        """Of the file, with its dot."""
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """Importable names of what is needed, each also a distribution whose version is recorded."""
        ...

    @property
    def run(self) -> Run | None:
        """Embeds images one by one with the format's runtime; None where no runtime exists on this machine."""
        ...

    def prepare(self, program: Any, job: Job) -> Any:
        """Convert the graph once; every precision is made from what this returns."""
        ...

    def write(self, prepared: Any, precision: Precision, out: Path) -> Quantisation | None:
        """Write ``out``: takes uint8 [1, h, w, 3], gives a unit vector [1, d], and carries the job's metadata."""
        ...

    def read_metadata(self, path: Path) -> dict[str, str]:
        """What a file carries under the keys that start with ``hetero.``."""
        ...

    def read_signature(self, path: Path) -> tuple[TensorEntry, TensorEntry]:
        """A file's input and output, read from the file."""
        ...


MODULES: Mapping[Format, str] = {
    "onnx": "export.formats.onnx.convert",
    "litert": "export.formats.litert.convert",
    "coreml": "export.formats.coreml.convert",
}


def load_converter(format: Format) -> Converter:
    """Import a format's module."""
    return cast("Converter", importlib.import_module(MODULES[format]))


def require_available(formats: Sequence[str], precisions: Sequence[str]) -> None:
    """Refuse what cannot be exported here, naming everything that is wrong.

    Raises:
        InputError: For an unknown or refused format or precision, or a missing package.
    """
    if problems := selection_problems(formats, precisions) + package_problems(formats):
        raise InputError("cannot export:", problems)


def package_problems(formats: Sequence[str]) -> list[str]:
    """What must be installed before these formats can be made, one line a format."""
    missing = {name: _missing_packages(name) for name in FORMATS if name in formats}
    return [
        f"format {name}: needs {', '.join(packages)}; install with: pip install 'hetero[export]'"
        for name, packages in missing.items()
        if packages
    ]


def _missing_packages(format: Format) -> list[str]:
    return [package for package in load_converter(format).packages if importlib.util.find_spec(package) is None]


def expected_signature(
    format: Format, precision: Precision, height: int, width: int, dimension: int, *, any_batch: bool
) -> tuple[TensorEntry, TensorEntry]:
    """What an exported file must take and give."""
    batch = 0 if any_batch and format == "onnx" else 1
    if format == "coreml":
        return TensorEntry(INPUT, "image-rgb", (height, width)), TensorEntry(OUTPUT, "float32", (1, dimension))
    given = TensorEntry(OUTPUT, "float32", (batch, dimension))
    if precision == "int8-uint8io":
        given = TensorEntry(OUTPUT, "uint8", (1, dimension), BYTE_SCALE, BYTE_ZERO)
    return TensorEntry(INPUT, "uint8", (batch, height, width, 3)), given


def file_name(format: Format, precision: Precision) -> str:
    """Name of an exported file in its bundle, for instance ``model.fp32.onnx``."""
    return f"model.{precision}{load_converter(format).suffix}"
