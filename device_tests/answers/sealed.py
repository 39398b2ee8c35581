"""Files that only this installation can have written: kept answers are trusted, and a cache may come from anywhere.

The key lies with the user's settings and not in the cache, so that it does not travel with a copy of the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from hetero.files import write_bytes

_KEY_BYTES = 32


def save_sealed(path: Path, data: bytes) -> None:
    """Write a file, unless the key or the file cannot be written: kept answers can be computed again."""
    if (key := _key()) is not None:
        with contextlib.suppress(OSError):
            write_bytes(path, _seal(key, path, data) + data)


def load_sealed(path: Path) -> bytes | None:
    """Return the data that :func:`save_sealed` wrote under this name here; None for anything else."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    size = hashlib.sha256().digest_size
    seal, data = content[:size], content[size:]
    key = _key()
    return data if key is not None and hmac.compare_digest(seal, _seal(key, path, data)) else None


def _seal(key: bytes, path: Path, data: bytes) -> bytes:
    """Return the seal of a name with its data, so that a file under another's name is not accepted."""
    return hmac.digest(key, path.name.encode() + b"\0" + data, "sha256")


def _key() -> bytes | None:
    """Return this installation's key, created on first use; None if it cannot be kept private to its user."""
    try:
        path = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config").absolute() / "hetero" / "kept.key"
        return _read(path) or _made(path)
    except (OSError, RuntimeError):
        return None


def _read(path: Path) -> bytes | None:
    """Return the key; None if there is none, or others may have seen or written it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        about, key = os.fstat(descriptor), stream.read(_KEY_BYTES + 1)
    private = not hasattr(os, "getuid") or (about.st_uid == os.getuid() and not stat.S_IMODE(about.st_mode) & 0o077)
    return key if private and len(key) == _KEY_BYTES else None


def _made(path: Path) -> bytes | None:
    write_bytes(path, secrets.token_bytes(_KEY_BYTES), mode=0o600)
    return _read(path)
