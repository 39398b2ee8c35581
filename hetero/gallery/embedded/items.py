"""The tables of an embedded gallery."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hetero.errors import InputError, IntegrityError
from hetero.files import canonical_json
from hetero.foreign import strict_json
from hetero.gallery.embedded.conditions import Choices, Side, conditions_of, marks
from hetero.gallery.embedded.database import Database
from hetero.gallery.engine import Serving
from hetero.gallery.store import Item
from hetero.space import EmbeddingSpace
from hetero.storage.directories import is_replaceable

NAME = "items.sqlite"
SCHEMA = "hetero/gallery-store/1"
Precision = Literal["float16", "int8"]


class Items:
    """Items, their attributes and their float16 vectors of every space.

    Args:
        directory: The gallery's directory.
        space: The space of a new gallery; None to open one that exists.
        precision: Precision of a new gallery's index; None for float16, or what an existing gallery has.
        read_only: True to open an existing gallery without changing it.

    Attributes:
        database: The tables.
        precision: Precision of the gallery's index.

    Raises:
        InputError: When there is no gallery and no space to make one of, or it has another precision.
        IntegrityError: When the file is damaged, or not a gallery's.
    """

    def __init__(
        self, directory: Path, space: EmbeddingSpace | None, precision: Precision | None, *, read_only: bool
    ) -> None:
        path = directory / NAME
        if not path.is_file() and not read_only:
            if not is_replaceable(directory, NAME):
                raise InputError(f"{directory} exists and is not a gallery store; choose another place or remove it")
            if space is None:
                raise InputError(f"expected a gallery store at {directory}, found no {NAME}; give a space to make one")
            directory.mkdir(parents=True, exist_ok=True)
        self._path = path
        self.database = Database(path, read_only=read_only)
        if space is not None and not read_only:
            self._make(space, precision or "float16")
        about = self.database.rows("SELECT schema, precision FROM about") if self._has("about") else []
        if [row[0] for row in about] != [SCHEMA]:
            raise IntegrityError(f"{path} is not the database of a gallery store")
        self.precision: Precision = about[0][1]
        if precision not in (None, self.precision):
            raise InputError(f"{directory} has an index of {self.precision}, not of {precision}: make another gallery")

    def serving(self) -> Serving:
        """Return what is served now."""
        rows = self.database.rows(
            "SELECT now.record, old.record FROM serving JOIN spaces AS now USING (space) "
            "LEFT JOIN spaces AS old ON old.space = previous"
        )
        if not rows:
            raise IntegrityError(f"{NAME} serves no space")
        return Serving(*(record and _space(record) for record in rows[0]))

    def number(self, space_id: str) -> int:
        """Return the number that a space has in the tables."""
        return self.database.value("SELECT space FROM spaces WHERE space_id = ?", [space_id])

    def dimension(self, number: int) -> int:
        """Return the length of a space's vectors."""
        return _space(self.database.value("SELECT record FROM spaces WHERE space = ?", [number])).dimension

    def count(self, number: int) -> int:
        """Return the number of vectors of a space."""
        return self.database.value("SELECT count(*) FROM vectors WHERE space = ?", [number])

    def serve(self, space_id: str) -> None:
        """Serve a space, in the open transaction."""
        self.database.many(
            "UPDATE serving SET previous = space, space = ? WHERE space <> ?", [(self.number(space_id),) * 2]
        )

    def register(self, space: EmbeddingSpace) -> None:
        """Give a space a number, and keep its record unless it is served."""
        self.database.many(
            "INSERT INTO spaces (space_id, record) VALUES (?, ?) ON CONFLICT (space_id) DO UPDATE "
            "SET record = excluded.record WHERE space NOT IN (SELECT space FROM serving)",
            [(space.space_id, canonical_json(space.to_dict()))],
        )

    def registered(self) -> list[EmbeddingSpace]:
        """Return the spaces that have a number, in the order of these."""
        rows = self.database.rows("SELECT record FROM spaces ORDER BY space")
        return [_space(record) for (record,) in rows]

    def put(
        self,
        space: int,
        vectors: NDArray[np.float32],
        ids: Sequence[str],
        tenant: str,
        attributes: Sequence[Mapping[str, str]] | None,
    ) -> None:
        """Write items and their vectors, in the open transaction."""
        names = [(tenant, name) for name in ids]
        known = "(SELECT item FROM items WHERE tenant = ? AND id = ?)"
        many = self.database.many
        many("UPDATE about SET revision = revision + ?", [(len(names),)])
        first = self.database.value("SELECT revision FROM about") - len(names) + 1
        many(
            "INSERT INTO items (tenant, id, revision) VALUES (?, ?, ?) "
            "ON CONFLICT (tenant, id) DO UPDATE SET revision = excluded.revision",
            ((*name, first + row) for row, name in enumerate(names)),
        )
        many(f"DELETE FROM vectors WHERE item = {known}", names)
        many(
            f"INSERT INTO vectors (space, item, vector) VALUES (?, {known}, ?)",
            ((space, *name, row.tobytes()) for name, row in zip(names, vectors.astype("<f2"), strict=True)),
        )
        if attributes is not None:
            many(f"DELETE FROM attributes WHERE item = {known}", names)
            many(
                f"INSERT INTO attributes (item, name, value) VALUES ({known}, ?, ?)",
                ((*name, *pair) for name, one in zip(names, attributes, strict=True) for pair in one.items()),
            )

    def fill(self, space: int, vectors: NDArray[np.float32], items: Sequence[Item]) -> int:
        """Write vectors for items of an unchanged revision, in the open transaction; return their number."""
        return self.database.many(
            "INSERT INTO vectors (space, item, vector) SELECT ?, item, ? FROM items "
            "WHERE tenant = ? AND id = ? AND revision = ? ON CONFLICT DO NOTHING",
            (
                (space, row.tobytes(), item.tenant, item.id, int(item.revision))
                for row, item in zip(vectors.astype("<f2"), items, strict=True)
            ),
        )

    def remove(self, ids: Sequence[str], tenant: str) -> int:
        """Delete items with everything that belongs to them; return their number."""
        return self.database.many("DELETE FROM items WHERE tenant = ? AND id = ?", ((tenant, name) for name in ids))

    def missing(self, space: int, limit: int, after: int = 0) -> list[Item]:
        """Return items that have no vector of a space.

        Args:
            space: Number of the space.
            limit: The most to return.
            after: A revision up to which none is missing.
        """
        rows = self.database.rows(
            f"SELECT id, tenant, revision {_MISSING} AND revision > ? ORDER BY revision LIMIT ?", [space, after, limit]
        )
        return [Item(name, tenant, str(revision)) for name, tenant, revision in rows]

    def count_missing(self, space: int) -> int:
        """Return the number of :meth:`missing` items."""
        return self.database.value(f"SELECT count(*) {_MISSING}", [space])

    def after(self, space: int, key: int, limit: int) -> list[Any]:
        """Return key, id and vector of the vectors with larger keys, at most ``limit``."""
        return self.database.rows(
            "SELECT key, id, vector FROM vectors JOIN items USING (item) WHERE space = ? AND key > ? "
            "ORDER BY key LIMIT ?",
            [space, key, limit],
        )

    def everything(self, space: int) -> Iterator[list[Any]]:
        """Yield tenant, id, vector and attributes (JSON) of a space's vectors in blocks, in the order of addition."""
        # By a connection of its own, which sees one state of the tables while this one writes.
        with contextlib.closing(Database(self._path, read_only=True)) as database:
            yield from database.blocks(
                "SELECT tenant, id, vector, (SELECT json_group_object(name, value) FROM attributes "
                "WHERE attributes.item = items.item) FROM vectors CROSS JOIN items USING (item) WHERE space = ? "
                "ORDER BY key",
                [space],
            )

    def fitting(self, side: Side, tenant: str, where: Choices, limit: int) -> list[Any]:
        """Return key, id and vector of a tenant's items with some attributes, at most ``limit``."""
        conditions, values = conditions_of(side, tenant, where)
        source = "items"
        if where:
            # From one attribute's items to the rest: few are read when few have it.
            name, choices = next(iter(where.items()))
            source = "attributes CROSS JOIN items USING (item)"
            conditions = f"name = ? AND value IN ({marks(choices)}) AND {conditions}"
            values = [name, *choices, *values]
        return self.database.rows(
            f"SELECT key, id, vector FROM {source} CROSS JOIN vectors ON vectors.item = items.item "
            f"WHERE {conditions} LIMIT ?",
            [*values, limit],
        )

    def all_fitting(self, side: Side, tenant: str, where: Choices) -> Iterator[list[Any]]:
        """Yield what :meth:`fitting` returns in blocks, in the order of addition, as of now."""
        conditions, values = conditions_of(side, tenant, where)
        return self.database.blocks(
            f"SELECT key, id, vector FROM vectors CROSS JOIN items USING (item) WHERE {conditions} ORDER BY key", values
        )

    def ids(self, space: int) -> Iterator[list[Any]]:
        """Yield key and id of all vectors of a space in blocks, keys ascending."""
        return self.database.blocks(
            "SELECT key, id FROM vectors CROSS JOIN items USING (item) WHERE space = ? ORDER BY key", [space]
        )

    def named(self, side: Side, keys: list[int], tenant: str, where: Choices) -> dict[int, str]:
        """Return the ids of those of some keys that belong to a tenant's items with some attributes."""
        conditions, values = conditions_of(side, tenant, where)
        return dict(
            self.database.rows(
                "SELECT key, id FROM vectors CROSS JOIN items USING (item) "
                f"WHERE key IN (SELECT value FROM json_each(?)) AND {conditions}",
                [json.dumps(keys), *values],
            )
        )

    def vectors(self, keys: list[int]) -> dict[int, bytes]:
        """Return the vectors of some keys."""
        return dict(
            self.database.rows(
                "SELECT key, vector FROM vectors WHERE key IN (SELECT value FROM json_each(?))", [json.dumps(keys)]
            )
        )

    def has_other_tenants(self, tenant: str) -> bool:
        """Return True if items belong to another tenant."""
        return bool(
            self.database.value(
                "SELECT EXISTS (SELECT 1 FROM items WHERE tenant < ?) OR EXISTS (SELECT 1 FROM items WHERE tenant > ?)",
                [tenant, tenant],
            )
        )

    def _make(self, space: EmbeddingSpace, precision: Precision) -> None:
        with self.database.transaction():
            if self._has("about") or self.database.value("SELECT count(*) FROM sqlite_master"):
                return
            self.database.script((files("hetero.gallery.embedded") / "items.sql").read_text(encoding="utf-8"))
            self.database.many("INSERT INTO about (schema, precision) VALUES (?, ?)", [(SCHEMA, precision)])
            self.register(space)
            self.database.many("INSERT INTO serving (only, space) VALUES (1, ?)", [(self.number(space.space_id),)])

    def _has(self, table: str) -> bool:
        return bool(self.database.value("SELECT count(*) FROM sqlite_master WHERE name = ?", [table]))


_MISSING = "FROM items WHERE NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.item = items.item AND vectors.space = ?)"


def _space(record: str) -> EmbeddingSpace:
    return EmbeddingSpace.from_dict(strict_json(record.encode(), what=NAME), what=NAME)
