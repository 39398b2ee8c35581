"""The tables of a gallery in LanceDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from jaxtyping import Float32
from lancedb.index import HnswSq

from hetero.files import canonical_json
from hetero.foreign import strict_json
from hetero.gallery.engine import CONNECTIVITY, EXPANSION
from hetero.space import EmbeddingSpace

ABOUT = "spaces"
"""Name of the table that says which spaces there are, and which is served."""
KEY = ["tenant", "id"]
_UNINDEXED = 20_000
"""So many vectors outside of the graph, or a tenth of all, are compared one by one; then the graph takes them in."""
_WRITES = 100
"""Each write adds a file, and files are merged after so many."""
_SPACES = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("space_id", "role", "record")])
_COLUMNS = [
    *(pa.field(name, pa.string(), nullable=False) for name in ("tenant", "id", "revision")),
    pa.field("labels", pa.list_(pa.string()), nullable=False),
]


class Tables:
    """The tables of one gallery: a space's vectors each, and one that says what they are.

    Args:
        place: A directory, or the URL of object storage.
    """

    def __init__(self, place: str) -> None:
        # Each read looks for what other processes wrote.
        self._database = lancedb.connect(place, read_consistency_interval=timedelta(0))
        self._tables: dict[str, Any] = {}
        self._writes = 0

    def exist(self) -> bool:
        """Return True if there is a gallery."""
        return ABOUT in self._database.list_tables().tables

    def make_first(self, space: EmbeddingSpace) -> None:
        """Make a gallery that serves a space."""
        # Its vectors first: a gallery that says what it serves has them.
        self.make(space)
        self._database.create_table(ABOUT, _as_spaces([record_of(space, "served")]), exist_ok=True)

    def make(self, space: EmbeddingSpace) -> None:
        """Make the table of a space's vectors, unless there is one."""
        schema = pa.schema([*_COLUMNS, pa.field("vector", pa.list_(pa.float16(), space.dimension), nullable=False)])
        self._database.create_table(_name(space.space_id), schema=schema, exist_ok=True)

    def spaces(self) -> list[dict[str, Any]]:
        """Return a record of each space."""
        return self._table(ABOUT).to_arrow().to_pylist()

    def add_space(self, record: dict[str, str]) -> None:
        """Write a space's record, unless there is one."""
        self._table(ABOUT).merge_insert("space_id").when_not_matched_insert_all().execute(_as_spaces([record]))

    def replace_spaces(self, records: Iterable[dict[str, str]]) -> None:
        """Write the records of all spaces in one step."""
        self._table(ABOUT).add(_as_spaces(list(records)), mode="overwrite")

    def vectors(self, space_id: str) -> Any:
        """Return the table of a space's vectors."""
        return self._table(_name(space_id))

    def rows(self, space_id: str, tenant: str, ids: Sequence[str], columns: list[str]) -> list[dict[str, Any]]:
        """Return some columns of items' rows."""
        search = self.vectors(space_id).search().where(_named(tenant, ids)).select(columns)
        return search.limit(len(ids)).to_list()

    def blocks(self, space_id: str, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield some columns of a space's table, at most so many rows at a time, none of them empty.

        They are read from one version of the table, whatever is written meanwhile.
        """
        search = self.vectors(space_id).search().select(columns).limit(None)
        return (block for block in search.to_batches(rows) if len(block))

    def delete(self, space_id: str, tenant: str, ids: Sequence[str]) -> None:
        """Delete items' rows."""
        self.vectors(space_id).delete(_named(tenant, ids))

    def upsert(self, space_id: str, rows: list[dict[str, Any]], vectors: Float32[np.ndarray, "n d"]) -> None:
        """Write items' rows with their vectors; now and then, merge files and bring the graph up to date."""
        table = self.vectors(space_id)
        columns = pa.Table.from_pylist(rows, pa.schema(_COLUMNS))
        flat = pa.array(vectors.astype(np.float16).ravel())
        table_rows = columns.append_column("vector", pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))
        table.merge_insert(KEY).when_matched_update_all().when_not_matched_insert_all().execute(
            table_rows.cast(table.schema)
        )
        self._writes += 1
        if self._writes % _WRITES == 0:
            _maintain(table)

    def close(self) -> None:
        """Forget the tables."""
        self._tables.clear()

    def _table(self, name: str) -> Any:
        if name not in self._tables:
            self._tables[name] = self._database.open_table(name)
        return self._tables[name]


def record_of(space: EmbeddingSpace, role: str) -> dict[str, str]:
    """Return the record of a space."""
    return {"space_id": space.space_id, "role": role, "record": canonical_json(space.to_dict())}


def space_of(record: dict[str, str]) -> EmbeddingSpace:
    """Return the space of a record."""
    return EmbeddingSpace.from_dict(strict_json(record["record"].encode(), what=ABOUT), what=ABOUT)


def quoted(text: str) -> str:
    """Return a text as statements have it."""
    return "'" + text.replace("'", "''") + "'"


def _maintain(table: Any) -> None:
    rows, indices = table.count_rows(), table.list_indices()
    if indices:
        statistics = table.index_stats(indices[0].name)
        if statistics.num_unindexed_rows < max(_UNINDEXED, rows // 10):
            return
    elif rows >= _UNINDEXED:
        table.create_index("vector", config=HnswSq(distance_type="dot", m=CONNECTIVITY, ef_construction=EXPANSION))
    table.optimize()


def _as_spaces(records: list[dict[str, str]]) -> Any:
    return pa.Table.from_pylist(records, _SPACES)


def _name(space_id: str) -> str:
    return f"vectors_{space_id[:32]}"


def _named(tenant: str, ids: Sequence[str]) -> str:
    return f"tenant = {quoted(tenant)} AND id IN ({', '.join(map(quoted, ids))})"
