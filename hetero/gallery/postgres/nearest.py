"""Searches in the tables themselves, by whoever may read them: PostgreSQL plans them once, not at every query."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32
from psycopg import Connection, sql
from psycopg.adapt import Dumper
from psycopg.pq import Format

from hetero.gallery.engine import Query

Row = tuple[int, str, float]
"""Number of a query, from 1, with the id of an item and its score."""

_STATEMENT = (
    "SELECT number, id, score FROM unnest(%(vectors)s) WITH ORDINALITY AS query (vector, number) "
    "CROSS JOIN LATERAL (SELECT id, item, (-({distance}))::real AS score FROM hetero_gallery.{table} AS part "
    "JOIN hetero_gallery.items USING (item) WHERE part.tenant = %(tenant)s {condition} ORDER BY {order} LIMIT {k}) "
    "AS near ORDER BY number, score DESC, item"
)
_DISTANCE = "part.vector::halfvec({dimension}) <#> query.vector"


@dataclass(frozen=True)
class _Vectors:
    """Vectors of a query, float32 [q, d]."""

    rows: Float32[np.ndarray, "q d"]


class TableSearch:
    """Searches of one connection.

    Args:
        connection: The connection, which finds pgvector's names.
    """

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._partitions: dict[str, tuple[int, int]] = {}
        self._effort = 0
        connection.execute("SET hnsw.iterative_scan = strict_order")
        row: Any = connection.execute("SELECT 'halfvec'::regtype::oid, 'halfvec[]'::regtype::oid").fetchone()
        connection.adapters.register_dumper(_Vectors, _dumper(*row))

    def rows(self, space_id: str, query: Query) -> list[Row]:
        """Return what was found for each query, best first.

        Args:
            space_id: The space, which is registered.
            query: What is asked for.
        """
        if query.effort == "exact":
            return self._found(space_id, query, query.vectors, exact=True)
        if query.effort != self._effort:
            self._connection.execute(sql.SQL("SET hnsw.ef_search = {}").format(sql.Literal(query.effort)))
            self._effort = query.effort
        rows = self._found(space_id, query, query.vectors, exact=False)
        # A graph gives up after some thousand vectors that do not fit.
        counts = [0] * (len(query.vectors) + 1)
        for number, _, _ in rows:
            counts[number] += 1
        short = [number for number, count in enumerate(counts) if number and count < query.k]
        if not short:
            return rows
        again = self._found(space_id, query, query.vectors[np.array(short) - 1], exact=True)
        kept = [row for row in rows if counts[row[0]] == query.k]
        return kept + [(short[number - 1], name, score) for number, name, score in again]

    def _found(self, space_id: str, query: Query, vectors: Float32[np.ndarray, "q d"], *, exact: bool) -> list[Row]:
        number, dimension = self._partition(space_id)
        distance = sql.SQL(_DISTANCE).format(dimension=sql.Literal(dimension))
        statement = sql.SQL(_STATEMENT).format(
            distance=distance,
            table=sql.Identifier(f"vectors_{number}"),
            condition=sql.SQL("AND hetero_gallery.fits(attributes, %(wanted)s)" if query.where else ""),
            # No index has this expression.
            order=sql.SQL("0 + ({})").format(distance) if exact else distance,
            k=sql.Literal(query.k),
        )
        values = {"vectors": _Vectors(vectors), "tenant": query.tenant, "wanted": json.dumps(dict(query.where))}
        return self._connection.execute(statement, values, prepare=True).fetchall()

    def _partition(self, space_id: str) -> tuple[int, int]:
        if space_id not in self._partitions:
            statement = "SELECT number, dimension FROM hetero_gallery.spaces WHERE space_id = %s"
            row: Any = self._connection.execute(statement, [space_id]).fetchone()
            self._partitions[space_id] = row
        return self._partitions[space_id]


def _dumper(vector: int, vectors: int) -> type[Dumper]:
    """Return what writes vectors as PostgreSQL's binary array of pgvector's binary ``halfvec``.

    Args:
        vector: Number of the type.
        vectors: Number of the type of its arrays.
    """

    class VectorsDumper(Dumper):
        format = Format.BINARY
        oid = vectors

        def dump(self, obj: _Vectors) -> bytes:
            count, dimension = obj.rows.shape
            kind = [("size", ">i4"), ("dimension", ">u2"), ("unused", ">u2"), ("values", ">f2", (dimension,))]
            rows = np.zeros(count, kind)
            rows["size"], rows["dimension"], rows["values"] = 4 + 2 * dimension, dimension, obj.rows
            # One dimension, no nulls, the elements' type, their number, numbered from 1.
            return struct.pack(">iiIii", 1, 0, vector, count, 1) + rows.tobytes()

    return VectorsDumper


def may_read(connection: Connection[Any]) -> bool:
    """Return True if the user may read the tables, and not only call the functions for clients."""
    row = connection.execute(
        "SELECT coalesce(bool_and(has_table_privilege(oid, 'SELECT')), false) FROM pg_class "
        "WHERE relnamespace = to_regnamespace('hetero_gallery') AND relkind IN ('r', 'p') "
        "AND has_schema_privilege(relnamespace, 'USAGE')"
    ).fetchone()
    return row is not None and row[0]
