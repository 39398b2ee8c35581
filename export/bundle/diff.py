"""The differences between two bundles. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from export.bundle.reading import Bundle

_OF_FILES = {"files", "models"}


def differences(left: Bundle, right: Bundle) -> list[str]:
    """Return one line for each file that only one bundle has or that differs, and for each figure of the manifests."""
    return [*_file_lines(left, right), *_values(_plain(left), _plain(right), "")]


def _file_lines(left: Bundle, right: Bundle) -> Iterator[str]:
    ours = {file.path: file for file in left.manifest.files}
    theirs = {file.path: file for file in right.manifest.files}
    for path in sorted({*ours, *theirs}):
        if path not in theirs:
            yield f"{path}: only in the first"
        elif path not in ours:
            yield f"{path}: only in the second"
        elif ours[path].sha256 != theirs[path].sha256:
            yield f"{path}: {ours[path].size:,} bytes against {theirs[path].size:,}, content differs"


def _plain(bundle: Bundle) -> dict[str, Any]:
    """Return the manifest without file digests, models by their file, and the contract beside it."""
    manifest = bundle.manifest.to_dict()
    record = {name: value for name, value in manifest.items() if name not in _OF_FILES}
    without = ("sha256", "file", "size")
    models = {
        model["file"]: {name: value for name, value in model.items() if name not in without}
        for model in manifest["models"]
    }
    return record | {"models": models, "space": bundle.space.to_dict(), "preprocess": bundle.preprocessing.to_dict()}


def _values(left: Any, right: Any, place: str) -> Iterator[str]:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for name in sorted({*left, *right}):
            yield from _values(left.get(name), right.get(name), f"{place}.{name}" if place else str(name))
    elif left != right:
        yield f"{place}: {_shown(left)} against {_shown(right)}"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 120 else text[:117] + "..."
