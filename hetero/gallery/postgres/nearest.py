"""Searches in the tables themselves, by whoever may read them: PostgreSQL plans them once, not at every query."""

from __future__ import annotations

import json
from typing import Any

from psycopg import Connection, sql

from hetero.gallery.engine import Query

Row = tuple[int, str, float]
"""Number of a query, from 1, with the id of an item and its score."""

_STATEMENT = (
    "SELECT number, id, score FROM unnest(%(vectors)s::halfvec[]) WITH ORDINALITY AS query (vector, number) "
    "CROSS JOIN LATERAL (SELECT id, item, (-({distance}))::real AS score FROM hetero_gallery.{table} AS part "
    "JOIN hetero_gallery.items USING (item) WHERE part.tenant = %(tenant)s {condition} ORDER BY {order} LIMIT {k}) "
    "AS near ORDER BY number, score DESC, item"
)
_DISTANCE = "part.vector::halfvec({dimension}) <#> query.vector"


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

    def rows(self, space_id: str, query: Query, texts: list[str]) -> list[Row]:
        """Return what was found for each query, best first.

        Args:
            space_id: The space, which is registered.
            query: What is asked for.
            texts: Its vectors as pgvector reads them.
        """
        if query.effort == "exact":
            return self._found(space_id, query, texts, exact=True)
        if query.effort != self._effort:
            self._connection.execute(sql.SQL("SET hnsw.ef_search = {}").format(sql.Literal(query.effort)))
            self._effort = query.effort
        rows = self._found(space_id, query, texts, exact=False)
        # A graph gives up after some thousand vectors that do not fit.
        counts = [0] * (len(texts) + 1)
        for number, _, _ in rows:
            counts[number] += 1
        short = [number for number, count in enumerate(counts) if number and count < query.k]
        if not short:
            return rows
        again = self._found(space_id, query, [texts[number - 1] for number in short], exact=True)
        kept = [row for row in rows if counts[row[0]] == query.k]
        return kept + [(short[number - 1], name, score) for number, name, score in again]

    def _found(self, space_id: str, query: Query, texts: list[str], *, exact: bool) -> list[Row]:
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
        values = {"vectors": texts, "tenant": query.tenant, "wanted": json.dumps(dict(query.where))}
        return self._connection.execute(statement, values, prepare=True).fetchall()

    def _partition(self, space_id: str) -> tuple[int, int]:
        if space_id not in self._partitions:
            statement = "SELECT number, dimension FROM hetero_gallery.spaces WHERE space_id = %s"
            row: Any = self._connection.execute(statement, [space_id]).fetchone()
            self._partitions[space_id] = row
        return self._partitions[space_id]


def may_read(connection: Connection[Any]) -> bool:
    """Return True if the user may read the tables, and not only call the functions for clients."""
    row = connection.execute(
        "SELECT coalesce(bool_and(has_table_privilege(oid, 'SELECT')), false) FROM pg_class "
        "WHERE relnamespace = to_regnamespace('hetero_gallery') AND relkind IN ('r', 'p') "
        "AND has_schema_privilege(relnamespace, 'USAGE')"
    ).fetchone()
    return row is not None and row[0]
