"""The interface of every format's converter."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from export.bundle.quantisation import Quantisation
from export.errors import ExportError
from export.kinds.format import Format
from export.kinds.interface import TensorEntry
from export.kinds.precision import Precision
from export.kinds.registry import format_called, formats
from export.precision.calibration import Calibration
from export.precision.table import selection_problems
from hetero.errors import InputError
from hetero.named import named

Run = Callable[[Path, UInt8[np.ndarray, "n h w 3"]], Float32[np.ndarray, "n d"]]


@dataclass(frozen=True)
class ConversionJob:
    """A converter's input besides the graph.

    Attributes:
        metadata: The contract, to be repeated in every file.
        height: Height of the image.
        width: Width of the image.
        goals: Largest share of map@r that each precision may lose.
        calibration: Calibration images, if there are any.
    """

    metadata: Mapping[str, str]
    height: int
    width: int
    goals: Mapping[Precision, float]
    calibration: Calibration | None

    @property
    def required_calibration(self) -> Calibration:
        """Return the calibration images, for a precision that needs them.

        Raises:
            ExportError: If there are none.
        """
        if self.calibration is None:
            raise ExportError("needs calibration images, and none were given")
        return self.calibration


@runtime_checkable
class Converter(Protocol):
    """One format. Each is a module, imported only in the process that converts with it."""

    @property
    def run(self) -> Run | None:
        """A function that embeds images one by one with the format's runtime; None if this machine has no runtime."""
        ...

    def prepare(self, program: Any, job: ConversionJob) -> Any:
        """Convert the graph once; every precision is made from the result."""
        ...

    def write(self, prepared: Any, precision: Precision, out: Path) -> Quantisation | None:
        """Write ``out``, with uint8 [1, h, w, 3] as input, a unit vector [1, d] as output, and the job's metadata."""
        ...

    def read_metadata(self, path: Path) -> dict[str, str]:
        """Return a file's metadata under the keys that start with ``hetero.``."""
        ...

    def read_signature(self, path: Path) -> tuple[TensorEntry, TensorEntry]:
        """Return a file's input and output, read from the file."""
        ...


def load_converter(format: str) -> Converter:
    """Import a format's converter."""
    return cast("Converter", named(format_called(format).converter))


def require_available(formats: Sequence[str], precisions: Sequence[str]) -> None:
    """Refuse formats and precisions that cannot be exported here, naming all problems.

    Raises:
        InputError: For an unknown or refused format or precision, or a missing package.
    """
    if problems := selection_problems(formats, precisions) + package_problems(formats):
        raise InputError("cannot export:", problems)


def package_problems(wanted: Sequence[str]) -> list[str]:
    """Return the packages to install before these formats can be made, one line per format."""
    missing = [(format, _missing_packages(format)) for format in formats() if format.name in wanted]
    return [
        f"format {format.name}: needs {', '.join(packages)}; install with: pip install 'hetero[{format.extra}]'"
        for format, packages in missing
        if packages
    ]


def _missing_packages(format: Format) -> list[str]:
    return [package for package in format.packages if importlib.util.find_spec(package) is None]
