"""Digests of files' contents, without reading an unchanged file again.

A digest is stored by a file's resolved path together with its inode, size and times. Setting a file's modification time
back (``cp -p``, archives, synchronisation) does not hide a change: the time of the last change of its status, which no
program can set, counts too. A file changed within a tick of the file system's clock after it was read would look
unchanged, so the digest of a file younger than :data:`SETTLED_SECONDS` is not stored, and the file is read again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from hetero.data.decoding.parallel import in_parallel
from hetero.errors import InputError

# The coarsest clock in use, FAT's, ticks every two seconds.
SETTLED_SECONDS = 2.0
_INDEX = "contents.sqlite3"
_CREATE = "CREATE TABLE IF NOT EXISTS contents (path BLOB PRIMARY KEY, stamp TEXT, sha256 TEXT) WITHOUT ROWID"
_AT_ONCE = 500
_WRITTEN_AFTER = 5000
_PATIENCE = 30.0
_TRIES = 3


def contents(files: Sequence[Path], cache: Path, *, progress: str) -> list[str]:
    """Return the SHA-256 of each file's bytes.

    Args:
        files: The files, which may repeat.
        cache: Folder in which ``contents.sqlite3`` keeps the digests.
        progress: Label of the progress bar over the files that have to be read.

    Returns:
        A digest for each file, in order. For a file that cannot be read, the reason takes the digest's place.

    Raises:
        InputError: When a file keeps changing while it is read.
    """
    places = _resolved(files)
    stamps = {place: _stamp_at(place) for place in dict.fromkeys(places)}
    index = _stored(cache / _INDEX, list(stamps))
    digests = {place: index[place][1] for place in stamps if place in index and index[place][0] == stamps[place]}
    unread = [place for place in stamps if place not in digests]
    fresh: list[tuple[bytes, str, str]] = []
    for place, (sha256, stamp) in zip(
        unread, in_parallel(_read, unread, progress=progress if unread else ""), strict=True
    ):
        digests[place] = sha256
        if stamp:
            fresh.append((place, stamp, sha256))
        if len(fresh) == _WRITTEN_AFTER:
            _store(cache / _INDEX, fresh)
            fresh = []
    _store(cache / _INDEX, fresh)
    return [digests[place] for place in places]


def _resolved(files: Iterable[Path]) -> list[bytes]:
    """Resolve links in paths; a folder is resolved once for all of its files."""
    folders: dict[str, bytes] = {}
    places: list[bytes] = []
    for file in files:
        folder, name = os.path.split(file)
        if folder not in folders:
            folders[folder] = os.path.realpath(os.fsencode(folder))
        place = folders[folder] + b"/" + os.fsencode(name)
        places.append(os.path.realpath(place) if os.path.islink(place) else place)  # noqa: PTH114 - of bytes
    return places


def _stamp_at(place: bytes) -> str:
    try:
        return _stamp(os.stat(place))  # noqa: PTH116 - a path of bytes
    except OSError:
        return ""


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _read(place: bytes) -> tuple[str, str]:
    """Return a file's digest and its stamp, which is empty when the digest must not be stored."""
    try:
        for _ in range(_TRIES):
            with open(place, "rb") as stream:  # noqa: PTH123 - a path of bytes
                start, before = time.time(), os.fstat(stream.fileno())
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                after = os.fstat(stream.fileno())
            if _stamp(before) == _stamp(after):
                settled = max(after.st_mtime, after.st_ctime) + SETTLED_SECONDS < start
                return sha256, _stamp(after) if settled else ""
    except OSError as error:
        return f"unreadable: {error.strerror}", ""
    raise InputError(f"{os.fsdecode(place)} changes while it is read; wait until nothing writes to it")


def _stored(index: Path, places: Sequence[bytes]) -> dict[bytes, tuple[str, str]]:
    """Read the index: path -> stamp and digest."""
    rows: list[tuple[bytes, str, str]] = []
    try:
        if index.is_file():
            with closing(sqlite3.connect(index, timeout=_PATIENCE)) as connection:
                for start in range(0, len(places), _AT_ONCE):
                    batch = places[start : start + _AT_ONCE]
                    marks = ",".join("?" * len(batch))
                    rows += connection.execute(f"SELECT * FROM contents WHERE path IN ({marks})", batch).fetchall()
    except sqlite3.Error as error:
        _damaged(index, error)
    return {place: (stamp, sha256) for place, stamp, sha256 in rows}


def _store(index: Path, rows: Sequence[tuple[bytes, str, str]]) -> None:
    if not rows:
        return
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(index, timeout=_PATIENCE)) as connection, connection:
            connection.execute(_CREATE)
            connection.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", rows)
    except (sqlite3.Error, OSError) as error:
        _damaged(index, error)


def _damaged(index: Path, error: Exception) -> None:
    """Warn and continue without the index: it only saves time."""
    logging.getLogger(__name__).warning("%s cannot be used (%s); files are read again", index, error)
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        index.unlink(missing_ok=True)
