"""Opens ``usearch:DIRECTORY``."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from hetero.gallery.embedded.engine import EmbeddedEngine
from hetero.gallery.embedded.items import Precision
from hetero.gallery.opening import Address


def open_engine(address: Address) -> EmbeddedEngine:
    """Open a directory; the option ``precision`` says what the index of a new gallery holds."""
    import usearch.index  # noqa: F401  # pyright: ignore[reportUnusedImport]

    address.require_options(precision=get_args(Precision))
    precision = cast("Precision | None", address.options.get("precision"))
    return EmbeddedEngine(Path(address.place), address.space, precision, read_only=address.read_only)
