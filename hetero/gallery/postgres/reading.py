"""All that a gallery in PostgreSQL keeps of a space, read from one state of it while others write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32
from psycopg import Connection, IsolationLevel, sql

from hetero.gallery.pages import ROWS, pages_of
from hetero.gallery.store import Page

_STATEMENT = (
    "SELECT item, tenant, id, attributes, vector FROM (SELECT item, halfvec_send(vector) AS vector "
    "FROM hetero_gallery.{table} WHERE item > %(after)s ORDER BY item LIMIT {rows}) AS part CROSS JOIN LATERAL "
    "(SELECT tenant, id, attributes FROM hetero_gallery.items WHERE items.item = part.item OFFSET 0) AS one "
    "ORDER BY item"
)
"""With OFFSET 0 items are looked up one by one: PostgreSQL would rather read all of them for each page."""


def pages(connection: Connection[Any], space_id: str) -> Iterator[Page]:
    """Yield all items with a vector of a space, in the order in which they first came.

    Args:
        connection: A connection for this alone, which finds pgvector's names. Its user may read the tables.
        space_id: The space, which is registered.
    """
    statement = "SELECT number, dimension FROM hetero_gallery.spaces WHERE space_id = %s"
    row: Any = connection.execute(statement, [space_id]).fetchone()
    number, dimension = row
    # The partition itself: whoever makes another one, of another space, would wait for the end of a transaction that
    # reads the table that they are parts of.
    page = sql.SQL(_STATEMENT).format(table=sql.Identifier(f"vectors_{number}"), rows=sql.Literal(ROWS))
    connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
    with connection.transaction(), connection.cursor(binary=True) as cursor:
        after = 0
        while rows := cursor.execute(page, {"after": after}).fetchall():
            after = rows[-1][0]
            vectors = _vectors([row[4] for row in rows], dimension)
            yield from pages_of([row[1:3] for row in rows], vectors, [row[3] for row in rows])


def _vectors(sent: list[bytes], dimension: int) -> Float32[np.ndarray, "n d"]:
    """Return vectors of pgvector's binary ``halfvec``: two bytes of its length, two unused, then the numbers."""
    kind = np.dtype([("about", "V4"), ("values", ">f2", (dimension,))])
    return np.frombuffer(b"".join(sent), kind)["values"].astype(np.float32)
