"""What every format's module offers, and what every exported file says about itself."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

import hetero
from export.manifest import PRECISIONS, Format, Precision, TensorEntry
from hetero.errors import InputError
from hetero.files import canonical_json
from hetero.models.model import EmbeddingModel

INPUT, OUTPUT = "image", "embedding"

Run = Callable[[Path, UInt8[np.ndarray, "n h w 3"]], Float32[np.ndarray, "n d"]]


class ExportError(InputError):
    """A model could not be converted, or its file does not do what the model does."""

    exit_code = 1


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

    def convert(self, model: EmbeddingModel, out: Path, metadata: Mapping[str, str]) -> None:
        """Write ``out``: takes uint8 [1, h, w, 3], gives a float32 unit vector [1, d], and carries ``metadata``."""
        ...

    def read_metadata(self, path: Path) -> dict[str, str]:
        """What a file carries under the keys that start with ``hetero.``."""
        ...

    def read_signature(self, path: Path) -> tuple[TensorEntry, TensorEntry]:
        """A file's input and output, read from the file."""
        ...


MODULES: Mapping[Format, str] = {"onnx": "export.onnx", "litert": "export.litert", "coreml": "export.coreml"}


def load_converter(format: Format) -> Converter:
    """Import a format's module."""
    return cast("Converter", importlib.import_module(MODULES[format]))


def require_available(formats: Sequence[str], precisions: Sequence[str]) -> None:
    """Refuse what cannot be exported here, naming everything that is wrong.

    Raises:
        InputError: For an unknown format or precision, or a missing package.
    """
    problems = [f"format {name!r}: expected one of {', '.join(MODULES)}" for name in formats if name not in MODULES]
    problems += [
        f"precision {name!r}: not available; available: {', '.join(PRECISIONS)}"
        for name in precisions
        if name not in PRECISIONS
    ]
    if not formats or not precisions:
        problems.append("name at least one format and one precision")
    if len({*formats}) < len(formats) or len({*precisions}) < len(precisions):
        problems.append("a format or precision is named twice")
    missing = {name: _missing_packages(name) for name in MODULES}
    problems += [
        f"format {name}: needs {', '.join(packages)}; install with: pip install 'hetero[export]'"
        for name, packages in missing.items()
        if packages and name in formats
    ]
    if problems:
        raise InputError("cannot export:", problems)


def _missing_packages(format: Format) -> list[str]:
    return [package for package in load_converter(format).packages if importlib.util.find_spec(package) is None]


def describe(model: EmbeddingModel) -> dict[str, str]:
    """The contract as it is repeated inside every exported file."""
    assert model.space is not None
    return {
        "hetero.version": hetero.__version__,
        "hetero.model": model.name,
        "hetero.space_id": model.space.space_id,
        "hetero.space": f"{model.space.name} {model.space.version}",
        "hetero.preprocessing": canonical_json(model.preprocessing.to_dict()),
    }


def expected_signature(format: Format, model: EmbeddingModel) -> tuple[TensorEntry, TensorEntry]:
    """What an exported file must take and give."""
    height, width = model.preprocessing.height, model.preprocessing.width
    taken = (
        TensorEntry(INPUT, "image-rgb", (height, width))
        if format == "coreml"
        else TensorEntry(INPUT, "uint8", (1, height, width, 3))
    )
    return taken, TensorEntry(OUTPUT, "float32", (1, model.config.dimension))


def file_name(format: Format, precision: Precision) -> str:
    """Name of an exported file in its bundle, for instance ``model.fp32.onnx``."""
    return f"model.{precision}{load_converter(format).suffix}"
