"""Writing that never leaves half a file, and digests of files and values."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from hetero.errors import InputError
from hetero.foreign import strict_json
from hetero.storage.durable import sync
from hetero.storage.unfinished import is_unfinished, permitted, unfinished_file


def cache_directory() -> Path:
    """Return the folder of downloads and rendered data: ``$HETERO_CACHE``, else ``hetero`` in the user's cache folder.

    Raises:
        InputError: When no variable names one and the user has no home.
    """
    if folder := os.environ.get("HETERO_CACHE"):
        return Path(folder).absolute()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hetero"
    except RuntimeError:
        raise InputError("expected a home folder to keep a cache in, this user has none; set HETERO_CACHE") from None


def sha256_bytes(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object) -> str:
    """Return the hexadecimal SHA-256 of a JSON-serialisable value."""
    return sha256_bytes(canonical_json(value).encode())


def read_json(path: Path) -> Any:
    """Parse a JSON file (UTF-8), in which a figure may be NaN.

    Raises:
        JsonError: When it is not valid JSON; an ``InputError`` and a ``ValueError``.
    """
    return strict_json(path.read_bytes(), what=str(path), finite=False)


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file beside its final name, then rename it into place.

    On return the file is safely on disk; in an unfinished directory, once that has moved into place.

    Args:
        path: Path of the file.
        data: The content.
        mode: Permissions of the file, as far as the umask allows; never wider while it is being written.
    """
    alone = not is_unfinished(path)
    with unfinished_file(path) as (descriptor, name):
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.write(data)
            stream.flush()
            if alone:
                os.fsync(descriptor)
        name.chmod(permitted(mode))
        name.replace(path)
        if alone:
            sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def json_text(value: object) -> str:
    """Return indented JSON with sorted keys, as :func:`write_json` writes it."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_json(path: Path, value: object) -> None:
    """Write indented JSON with sorted keys atomically."""
    write_text(path, json_text(value))
