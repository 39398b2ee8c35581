"""Errors that say what was handed in instead of what was expected."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hetero.errors import InputError
from hetero.recognition.kinds import KINDS, Kind
from hetero.recognition.look import Look

_PLACES = (
    *("cloud", "students/*", "bundles/*/bundle", "bundle", "verification", "*", "*/*"),
    *("embeddings.safetensors", "cloud/embeddings.safetensors", "cloud/embeddings", "verification/verdict.json"),
)
"""Places in a directory where what was meant may lie."""
_MOST = 4
_TRIED = 100


def recognised(path: Path) -> Kind | None:
    """Return the kind of a file or directory; None if there is nothing, or nothing known."""
    look = Look(path)
    return next((kind for kind in KINDS if kind.fits(look)), None)


def refuse_others(path: Path, *expected: Kind, what: str = "") -> None:
    """Refuse a path that shows at first sight that it is something else.

    What is missing or looks like nothing known passes: whoever reads it says what is wrong with it.

    Args:
        path: A file or directory.
        expected: Kinds that fit.
        what: What is expected, in words; the first of the kinds by default.

    Raises:
        InputError: With what it is, and where something that fits lies in or around it.
    """
    look = Look(path)
    if any(kind.fits(look) or (kind.record and look.has(kind.record)) for kind in expected):
        return
    if kind := recognised(path):
        near = " or ".join(map(str, islice(_near(path, expected), _MOST)))
        instead = f"; give {near}" if near else ""
        name = what or expected[0].name
        raise InputError(f"expected {name}, got {path}: it is {kind.name}, {kind.use}{instead}")


def _near(path: Path, expected: tuple[Kind, ...]) -> Iterator[Path]:
    """Yield paths of an expected kind in and around a path, each once."""
    inside = (found for place in _PLACES for found in sorted(islice(path.glob(place), _TRIED)))
    around = (path.parent,) if path.is_file() else inside
    seen: set[Path] = set()
    for place in around:
        look = Look(place)
        if place not in seen and any(kind.fits(look) for kind in expected):
            seen.add(place)
            yield place
