"""Searches in the tables themselves, by whoever may read them: PostgreSQL plans them once, not at every query."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray
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
    "AS near {only} ORDER BY number, score DESC, item"
)
_DISTANCE = "part.vector::halfvec({dimension}) <#> query.vector"
_ONLY_IF_SERVED = "WHERE (SELECT space_id FROM hetero_gallery.serving) = %(space)s"


_Way = Literal["off", "strict_order", "exact"]
"""How to search: a setting of pgvector's ``hnsw.iterative_scan``, or compare with every vector."""


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
        self._settings: tuple[int, str] | None = None
        row: Any = connection.execute("SELECT 'halfvec'::regtype::oid, 'halfvec[]'::regtype::oid").fetchone()
        connection.adapters.register_dumper(_Vectors, _dumper(*row))

    def rows(self, space_id: str, query: Query, *, only_if_served: bool) -> list[Row]:
        """Return what was found for each query, best first.

        Args:
            space_id: The space, which is registered.
            query: What is asked for.
            only_if_served: True to find nothing at all when another space is served.
        """
        rows: list[Row] = []
        remaining = np.arange(len(query.vectors))
        for way in _ways(query):
            near = self._near(space_id, query, remaining, way, only_if_served=only_if_served)
            if only_if_served and not near:
                return []
            counts = np.bincount([number for number, _, _ in near], minlength=len(remaining) + 1)
            enough = (counts >= query.k) | (way == "exact")
            rows += [(int(remaining[number - 1]) + 1, name, score) for number, name, score in near if enough[number]]
            remaining = remaining[~enough[1:]]
            if not len(remaining):
                break
        return rows

    def _near(
        self, space_id: str, query: Query, numbers: NDArray[np.intp], way: _Way, *, only_if_served: bool
    ) -> list[Row]:
        """Search with some of the query's vectors; the rows number these from 1."""
        if query.effort != "exact" and way != "exact" and self._settings != (query.effort, way):
            setting = sql.SQL("SET hnsw.ef_search = {}; SET hnsw.iterative_scan = {}")
            self._connection.execute(setting.format(sql.Literal(query.effort), sql.Identifier(way)))
            self._settings = query.effort, way
        partition, dimension = self._partition(space_id)
        statement = _statement(
            partition,
            dimension,
            query.k,
            conditions=bool(query.where),
            exact=way == "exact",
            only_if_served=only_if_served,
        )
        values = {"vectors": _Vectors(query.vectors[numbers]), "tenant": query.tenant, "space": space_id}
        if query.where:
            values["wanted"] = json.dumps(dict(query.where))
        return self._connection.execute(statement, values, prepare=True).fetchall()

    def _partition(self, space_id: str) -> tuple[int, int]:
        if space_id not in self._partitions:
            statement = "SELECT number, dimension FROM hetero_gallery.spaces WHERE space_id = %s"
            row: Any = self._connection.execute(statement, [space_id]).fetchone()
            self._partitions[space_id] = row
        return self._partitions[space_id]


def _ways(query: Query) -> list[_Way]:
    """Return how to search, one way after the other until there is enough.

    Beyond its candidates a graph is searched further at a fifth more time, and gives up after some thousand vectors
    that do not fit.
    """
    if query.effort == "exact":
        return ["exact"]
    is_filtered = bool(query.tenant or query.where) or query.k > query.effort
    return ["strict_order", "exact"] if is_filtered else ["off", "strict_order", "exact"]


@lru_cache
def _statement(number: int, dimension: int, k: int, *, conditions: bool, exact: bool, only_if_served: bool) -> bytes:
    """Return the search of a partition; composing it takes as long as a search."""
    distance = sql.SQL(_DISTANCE).format(dimension=sql.Literal(dimension))
    statement = sql.SQL(_STATEMENT).format(
        distance=distance,
        table=sql.Identifier(f"vectors_{number}"),
        condition=sql.SQL("AND hetero_gallery.fits(attributes, %(wanted)s)" if conditions else ""),
        only=sql.SQL(_ONLY_IF_SERVED if only_if_served else ""),
        # No index has this expression.
        order=sql.SQL("0 + ({})").format(distance) if exact else distance,
        k=sql.Literal(k),
    )
    return statement.as_bytes(None)


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
