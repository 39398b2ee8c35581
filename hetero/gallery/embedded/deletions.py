"""Which vectors were deleted, for indexes that still hold them; forgotten once the saved index holds them no more."""

from __future__ import annotations

from hetero.gallery.embedded.database import Database

_FORGOTTEN = 0
"""The key, which no vector has, of a deletion that stands for itself and all earlier ones of its space."""


class Deletions:
    """The deletions of a space's vectors, numbered in the order in which they happened.

    Args:
        database: The tables.
        space: The space's number in them.
    """

    def __init__(self, database: Database, space: int) -> None:
        self._database, self._space = database, space

    def last(self) -> int:
        """Return the number of the last one; 0 for none."""
        statement = "SELECT number FROM deleted WHERE space = ? ORDER BY number DESC LIMIT 1"
        return self._database.value(statement, [self._space]) or 0

    def after(self, number: int) -> list[tuple[int, int]] | None:
        """Return number and key of all deletions after one; None when not all of them are known any more."""
        rows = self._database.rows(
            "SELECT number, key FROM deleted WHERE space = ? AND number > ? ORDER BY number", [self._space, number]
        )
        return None if any(key == _FORGOTTEN for _, key in rows) else rows

    def forget(self, number: int) -> None:
        """Forget a deletion and all before it, in a transaction; whoever has not seen it is told so by :meth:`after`.

        Args:
            number: Number of a deletion, or 0 for nothing.
        """
        if not number:
            return
        with self._database.transaction():
            marked = self._database.many(
                "UPDATE deleted SET key = ? WHERE number = ? AND space = ? AND key <> ?",
                [(_FORGOTTEN, number, self._space, _FORGOTTEN)],
            )
            # Without its mark nobody would notice what is gone.
            if marked:
                self._database.many("DELETE FROM deleted WHERE space = ? AND number < ?", [(self._space, number)])
