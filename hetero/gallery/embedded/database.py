"""SQLite as the truth of an embedded gallery: a commit is on the disk, and a killed process leaves none half-done.

SQLite's write-ahead log is the journal: it is only appended to, each frame has a checksum, each commit waits for the
disk, and what follows the last whole commit is passed over when the file is opened again.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hetero.errors import InputError, IntegrityError

_PATIENCE = 30.0
"""Seconds to wait for another process's transaction."""
_AT_ONCE = 8192
_OF_THE_DISK = (
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL),
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM),
)
"""Codes of SQLite for what is no fault of the file."""


class Database:
    """A connection.

    Args:
        path: The file.
        read_only: True to open an existing file without changing it.

    Raises:
        InputError: When there is no such file to read.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        if read_only and not path.is_file():
            raise InputError(f"expected a gallery store at {path.parent}, found no {path.name} there")
        self._path = path
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        self._connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=_PATIENCE
        )
        with self._explained():
            # Nothing that a file's schema names may call functions: the file may come from elsewhere.
            settings = ["trusted_schema = OFF", "cell_size_check = ON", "foreign_keys = ON"]
            for setting in settings if read_only else [*settings, "journal_mode = WAL", "synchronous = FULL"]:
                self._connection.execute(f"PRAGMA {setting}")

    @contextlib.contextmanager
    def transaction(self, *, writing: bool = True) -> Generator[None]:
        """Run a block as one transaction, which an exception undoes."""
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # On a full disk SQLite has undone it already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows that a statement answers."""
        try:  # each search comes through here: a context costs it a microsecond or two
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._as_ours(error) from None

    def blocks(self, statement: str, values: Sequence[Any] = ()) -> Iterator[list[Any]]:
        """Yield the rows that a statement answers, some thousands at a time; all are as of the first."""
        with self._explained():
            cursor = self._connection.execute(statement, values)
            while rows := cursor.fetchmany(_AT_ONCE):
                yield rows

    def value(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Return the only value that a statement answers; None for no row."""
        rows = self.rows(statement, values)
        return rows[0][0] if rows else None

    def many(self, statement: str, values: Iterable[Sequence[Any]]) -> int:
        """Run a statement for each tuple of values; return the number of rows changed."""
        return self._connection.executemany(statement, values).rowcount

    def script(self, text: str) -> None:
        """Run several statements, in the open transaction."""
        statement = ""
        for line in text.splitlines():
            statement += f"{line}\n"
            if sqlite3.complete_statement(statement):
                self._connection.execute(statement)
                statement = ""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextlib.contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._as_ours(error) from None

    def _as_ours(self, error: sqlite3.DatabaseError) -> Exception:
        # Extended codes have the plain one in their last byte.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in _OF_THE_DISK:
            return OSError(errno.EIO, str(error), str(self._path))
        return IntegrityError(f"{self._path} is damaged, or no gallery store: {error}")
