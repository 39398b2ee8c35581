"""Writing that never leaves half a file, and digests of what was written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

from hetero.foreign import strict_json


def cache_directory() -> Path:
    """Where downloads and rendered data are kept: ``$HETERO_CACHE``, else ``hetero`` in the user's cache folder."""
    if chosen := os.environ.get("HETERO_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hetero"


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object) -> str:
    """Hexadecimal SHA-256 of a JSON-serialisable value."""
    return sha256_bytes(canonical_json(value).encode())


def read_json(path: Path) -> Any:
    """Parse a JSON file (UTF-8), in which a figure may be NaN.

    Raises:
        JsonError: When it is none; an ``InputError`` and a ``ValueError``.
    """
    return strict_json(path.read_bytes(), what=str(path), finite=False)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file beside its final name, then rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """Atomically write UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Atomically write indented JSON with sorted keys."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def replaced_directory(path: Path) -> Generator[Path]:
    """Yield an empty directory that takes ``path``'s place when the block succeeds.

    On any error the new directory is removed and what stood at ``path`` stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        fresh.chmod(0o755)
        yield fresh
        swap_directory(fresh, path)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def swap_directory(fresh: Path, path: Path) -> None:
    """Rename ``fresh`` to ``path``; what stood there is removed afterwards."""
    if path.exists():
        old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
        path.rename(old / path.name)
        fresh.rename(path)
        shutil.rmtree(old)
    else:
        fresh.rename(path)
