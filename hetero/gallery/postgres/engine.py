"""The engine in PostgreSQL with pgvector: one gallery a database, in the schema ``hetero_gallery``."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import psycopg
from jaxtyping import Float32
from numpy.typing import NDArray

from hetero.errors import InputError, SpaceMismatchError
from hetero.gallery.engine import Query, Serving
from hetero.gallery.opening import Address
from hetero.gallery.postgres import reading
from hetero.gallery.postgres.nearest import TableSearch, may_read
from hetero.gallery.postgres.schema import find_types, prepare, register
from hetero.gallery.store import Item, Matches, Page
from hetero.space import EmbeddingSpace

_OTHER_SPACE = "HG001"
"""SQLSTATE of the search function for a query of another space."""
_MISSING = (
    "FROM hetero_gallery.items WHERE NOT EXISTS "
    "(SELECT FROM hetero_gallery.vectors WHERE vectors.item = items.item AND vectors.space_id = %(space)s)"
)
LARGEST_EFFORT = 1000
"""pgvector's own limit, of a search."""


class PostgresEngine:
    """A gallery in a database; see :class:`hetero.gallery.engine.Engine` for the methods.

    Args:
        address: ``postgresql://...``, as libpq reads it. Whoever is of the role ``hetero_gallery_client`` can open a
            gallery read-only and search it, and nothing else.

    Raises:
        InputError: When there is no such database, no gallery in it and no space to make one of, the user may not
            make one, or its functions are too old; see :func:`hetero.gallery.postgres.schema.prepare`.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.RLock()
        self._filled: dict[str, int] = {}
        self._spaces: dict[str, EmbeddingSpace] = {}
        self._tables: TableSearch | None = None
        self._connection = self._connected()
        with self._explained():
            prepare(self._connection, address, self._place)
        self._look()

    def serving(self) -> Serving:
        """Return what is served now."""
        if self._tables is None:
            now, old = self._rows("SELECT record, previous FROM hetero_gallery.served()")[0]
            return Serving(_space(now), None if old is None else _space(old))
        now, old = self._rows("SELECT space_id, previous FROM hetero_gallery.serving")[0]
        for space in () if self._spaces.keys() >= {now, old} - {None} else self.registered():
            # What a space is never changes once it is served.
            if space.space_id in (now, old):
                self._spaces[space.space_id] = space
        return Serving(self._spaces[now], self._spaces.get(old))

    def serve(self, space_id: str, *, complete: bool) -> int:
        """Serve a space."""
        with self._transaction() as cursor:
            # No item is written until this is done.
            cursor.execute("SELECT FROM serving FOR UPDATE")
            row = cursor.execute(f"SELECT count(*) {_MISSING}", {"space": space_id}).fetchone()
            missing = 0 if row is None else row[0]
            if not (complete and missing):
                cursor.execute(
                    "UPDATE serving SET previous = space_id, space_id = %(space)s WHERE space_id <> %(space)s",
                    {"space": space_id},
                )
        return missing

    def register(self, space: EmbeddingSpace) -> None:
        """Make room for vectors of a space."""
        with self._transaction() as cursor:
            register(cursor, space)

    def registered(self) -> list[EmbeddingSpace]:
        """Return the spaces that there is room for."""
        rows = self._rows("SELECT record FROM hetero_gallery.spaces ORDER BY number")
        return [_space(record) for (record,) in rows]

    def count(self, space_id: str) -> int:
        """Return the number of vectors of a space."""
        return self._rows("SELECT count(*) FROM hetero_gallery.vectors WHERE space_id = %s", [space_id])[0][0]

    def put(
        self,
        space: EmbeddingSpace,
        vectors: Float32[np.ndarray, "n d"],
        ids: Sequence[str],
        tenant: str,
        attributes: Sequence[Mapping[str, str]] | None,
    ) -> None:
        """Write items and their vectors."""
        described = [json.dumps(dict(one)) for one in attributes or [{}] * len(ids)]
        with self._transaction() as cursor:
            # Nothing is swapped until this is done.
            cursor.execute("SELECT FROM serving FOR SHARE")
            self.serving().space.require_same(space, this="the gallery", that="the vectors to add")
            rows = cursor.execute(
                "INSERT INTO items (tenant, id, attributes) SELECT %(tenant)s, name, described::jsonb "
                "FROM unnest(%(ids)s::text[], %(described)s::text[]) AS one (name, described) ORDER BY name "
                "ON CONFLICT (tenant, id) DO UPDATE SET revision = nextval('revisions'), attributes = "
                "CASE WHEN %(keep)s THEN items.attributes ELSE excluded.attributes END RETURNING item, id",
                {"tenant": tenant, "ids": list(ids), "described": described, "keep": attributes is None},
            ).fetchall()
            row_of = {name: row for row, name in enumerate(ids)}
            items = [item for item, _ in rows]
            cursor.execute("DELETE FROM vectors WHERE item = ANY(%s)", [items])
            cursor.execute(
                "INSERT INTO vectors SELECT %s, item, %s, vector::halfvec "
                "FROM unnest(%s::bigint[], %s::text[]) AS one (item, vector)",
                [space.space_id, tenant, items, _texts(vectors[[row_of[name] for _, name in rows]])],
            )

    def fill(self, space_id: str, vectors: Float32[np.ndarray, "n d"], items: Sequence[Item]) -> int:
        """Write vectors of a space for items of an unchanged revision."""
        with self._transaction() as cursor:
            # Locked, so that none changes before its vector is in.
            cursor.execute(
                "WITH one AS (SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[]) "
                "AS one (tenant, id, revision, vector)), unchanged AS "
                "(SELECT item, tenant, vector FROM items JOIN one USING (tenant, id, revision) FOR SHARE OF items) "
                "INSERT INTO vectors SELECT %s, item, tenant, vector::halfvec FROM unchanged ON CONFLICT DO NOTHING",
                [
                    [item.tenant for item in items],
                    [item.id for item in items],
                    [int(item.revision) for item in items],
                    _texts(vectors),
                    space_id,
                ],
            )
            return cursor.rowcount

    def find(self, space_id: str, query: Query) -> Matches:
        """Search the vectors of a space; the database refuses a client's query of one that is not served."""
        _require_effort(query)
        if self._tables is None:
            return self._called(space_id, query)
        with self._lock, self._explained():
            return _matches(self._tables.rows(space_id, query, only_if_served=False), len(query.vectors))

    def find_served(self, space_id: str, query: Query) -> Matches | None:
        """Search a space if it is the one served, in one request to the database."""
        if self._tables is None or space_id not in self._spaces:
            return None
        _require_effort(query)
        with self._lock, self._explained():
            rows = self._tables.rows(space_id, query, only_if_served=True)
        return _matches(rows, len(query.vectors)) if rows else None

    def find_mixed(self, space_id: str, query: Query) -> Matches:
        """Search a space's vectors, and those of the space served for items that have none of it yet."""
        _require_effort(query)
        return self._called(space_id, query)

    def _called(self, space_id: str, query: Query) -> Matches:
        """Search as clients may, who call a function, which decides what is answered."""
        effort = 0 if query.effort == "exact" else query.effort
        rows = self._rows(
            "SELECT number, id, score FROM unnest(%s::text[]) WITH ORDINALITY AS query (vector, number) "
            "CROSS JOIN LATERAL hetero_gallery.search(vector::halfvec, %s, %s, %s, %s, %s) WITH ORDINALITY "
            "AS near (id, score, place) ORDER BY number, place",
            [_texts(query.vectors), space_id, query.k, query.tenant, json.dumps(dict(query.where)), effort],
        )
        return _matches(rows, len(query.vectors))

    def remove(self, ids: Sequence[str], tenant: str) -> int:
        """Delete items."""
        with self._transaction() as cursor:
            return cursor.execute("DELETE FROM items WHERE tenant = %s AND id = ANY(%s)", [tenant, list(ids)]).rowcount

    def missing(self, space_id: str, limit: int) -> list[Item]:
        """Return items that lack a vector of a space."""
        # Read on from what was filled; from the start again at the end, since revisions are not committed in order.
        for after in sorted({self._filled.get(space_id, 0), 0}, reverse=True):
            rows = self._rows(
                f"SELECT id, tenant, revision {_MISSING} AND revision > %(after)s ORDER BY revision LIMIT %(limit)s",
                {"space": space_id, "after": after, "limit": limit},
            )
            if rows:
                self._filled[space_id] = rows[0][2] - 1
                return [Item(name, tenant, str(revision)) for name, tenant, revision in rows]
        return []

    def pages(self, space_id: str) -> Iterator[Page]:
        """Yield all items with a vector of a space, to whoever may read the tables."""
        if self._tables is None:
            raise InputError(
                f"the user {self._connection.info.user} of {self._place} may search the gallery and not read it: open "
                "it as its owner, or as one with USAGE on the schema hetero_gallery and SELECT on all tables in it"
            )
        return self._read(space_id)

    def _read(self, space_id: str) -> Iterator[Page]:
        with self._connected() as connection, self._translated():
            yield from reading.pages(connection, space_id)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def _place(self) -> str:
        info = self._connection.info
        return f"the database {info.dbname} of {info.host}"

    def _connected(self) -> psycopg.Connection[Any]:
        try:
            return self._connect()
        except psycopg.Error as error:
            raise InputError(f"expected a PostgreSQL database at {self._address}, got: {error}") from None

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self._address.text, autocommit=True)
        find_types(connection)
        return connection

    def _look(self) -> None:
        self._tables = TableSearch(self._connection) if may_read(self._connection) else None

    @contextmanager
    def _transaction(self) -> Generator[psycopg.Cursor[Any]]:
        with self._lock, self._explained(), self._connection.transaction(), self._connection.cursor() as cursor:
            yield cursor

    def _rows(self, statement: Any, values: Any = None) -> list[Any]:
        with self._lock, self._explained():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _explained(self) -> Generator[None]:
        """Connect again where the server went away, and say what a user can correct."""
        if self._connection.broken or self._connection.closed:
            # One that does not answer now may later: it is no mistake of the user's.
            self._connection = self._connect()
            self._look()
        with self._translated():
            yield

    @contextmanager
    def _translated(self) -> Generator[None]:
        """Turn what a user can correct into an ``InputError``."""
        try:
            yield
        except psycopg.errors.InsufficientPrivilege as error:
            raise InputError(f"the user of {self._place} may not do this: {error}") from None
        except psycopg.Error as error:
            if error.sqlstate == _OTHER_SPACE:
                raise SpaceMismatchError(str(error.diag.message_primary)) from None
            raise


def _require_effort(query: Query) -> None:
    if query.effort != "exact" and query.effort > LARGEST_EFFORT:
        raise InputError(f"expected an effort of at most {LARGEST_EFFORT} in PostgreSQL, or exact, got {query.effort}")


def _matches(rows: list[Any], queries: int) -> Matches:
    """Return what was found, from the number of a query, from 1, an id and a score."""
    answers: list[list[tuple[str, float]]] = [[] for _ in range(queries)]
    for number, name, score in rows:
        answers[number - 1].append((name, score))
    return Matches.of(answers)


def _space(record: Any) -> EmbeddingSpace:
    return EmbeddingSpace.from_dict(record, what="the gallery's space")


def _texts(vectors: NDArray[np.float32]) -> list[str]:
    """Return vectors as pgvector reads them."""
    return [f"[{','.join(map(repr, row))}]" for row in vectors.astype(np.float16).tolist()]
