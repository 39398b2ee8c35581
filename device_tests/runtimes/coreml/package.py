"""An ``.mlpackage`` folder: its model and its weights, and nothing outside of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from device_tests.runtimes.coreml.weights import WeightFile
from hetero.errors import InputError, IntegrityError
from hetero.foreign import strict_json

_MANIFEST_LIMIT = 1 << 20
_MODEL_LIMIT = 1 << 28
_WEIGHTS = "@model_path/"


@dataclass
class Package:
    """An opened package.

    Attributes:
        path: The folder.
        model: The path of ``model.mlmodel`` in it.
    """

    path: Path
    model: Path

    def __post_init__(self) -> None:
        self._opened: dict[str, WeightFile] = {}

    def read_model(self) -> bytes:
        """Return the specification's bytes.

        Raises:
            IntegrityError: If the file is absurdly large.
        """
        size = self.model.stat().st_size
        if size > _MODEL_LIMIT:
            raise IntegrityError(
                f"{self.path.name}: its model takes {size} bytes; an ML program keeps weights elsewhere"
            )
        return self.model.read_bytes()

    def open_weights(self, name: str) -> WeightFile:
        """Open a file of weights by the program's name for it, for instance ``@model_path/weights/weight.bin``.

        Raises:
            IntegrityError: If it is not in the package, or not a file of weights.
        """
        if name not in self._opened:
            if not name.startswith(_WEIGHTS):
                raise IntegrityError(f"{self.path.name}: expected weights below {_WEIGHTS}, got {name[:200]!r}")
            folder = self.model.parent.relative_to(self.path).as_posix()
            self._opened[name] = WeightFile(_inside(self.path, f"{folder}/{name.removeprefix(_WEIGHTS)}"))
        return self._opened[name]


def open_package(path: Path) -> Package:
    """Find the model of a package.

    Raises:
        InputError: If there is no package at the path.
        IntegrityError: If its manifest is damaged or points out of it.
    """
    manifest = path / "Manifest.json"
    if not path.is_dir() or not manifest.is_file():
        raise InputError(f"expected an .mlpackage folder with a Manifest.json at {path}, found none")
    if manifest.stat().st_size > _MANIFEST_LIMIT:
        raise IntegrityError(f"{path.name}: its Manifest.json takes more than {_MANIFEST_LIMIT} bytes")
    try:
        record: Any = strict_json(manifest.read_bytes(), what="Manifest.json")
        entries, root = record["itemInfoEntries"], record["rootModelIdentifier"]
        place = entries[root]["path"]
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(f"{path.name}: its Manifest.json names no model: {str(error)[:200]}") from None
    if not isinstance(place, str):
        raise IntegrityError(f"{path.name}: its Manifest.json names no model")
    return Package(path, _inside(path, f"Data/{place}"))


def _inside(root: Path, place: str) -> Path:
    """Return a file of the package, refused if the name or a link leads out of it."""
    parts = PurePosixPath(place).parts
    if "\0" in place or "\\" in place or ".." in parts or PurePosixPath(place).is_absolute():
        raise IntegrityError(f"{root.name}: the path {place[:200]!r} leaves the package")
    path = root.joinpath(*parts)
    try:
        resolved = path.resolve()
        regular = path.is_file()
    except (OSError, ValueError, RuntimeError):
        regular, resolved = False, root.resolve()
    if not regular:
        raise IntegrityError(f"{root.name}: expected a file {place[:200]}, found none")
    if not resolved.is_relative_to(root.resolve()):
        raise IntegrityError(f"{root.name}: the path {place[:200]!r} leaves the package through a link")
    return path
