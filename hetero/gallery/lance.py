"""The engine over LanceDB: a table a space, and one that says which space is served.

LanceDB has no transactions over tables. An item's vectors carry its revision: one whose revision is not that of the
space served counts as missing. A swap beside writers is not one step: pause them, or an item may be missing after it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from jaxtyping import Float32
from lancedb.index import HnswSq

from hetero.errors import IntegrityError
from hetero.files import canonical_json
from hetero.foreign import strict_json
from hetero.gallery.engine import CONNECTIVITY, EXPANSION, Query, Serving
from hetero.gallery.labels import label
from hetero.gallery.opening import Address
from hetero.gallery.store import Item, Matches
from hetero.space import EmbeddingSpace

_ABOUT = "spaces"
_UNINDEXED = 20_000
"""So many vectors outside of the graph, or a tenth of all, are compared one by one; then the graph takes them in."""
_WRITES = 100
"""Each write adds a file, and files are merged after so many."""
_REFINED = 4
"""The graph holds int8 vectors; so many times ``k`` are ordered by float16 ones."""
_PROBES = 20
"""Parts of the index that are searched, which is all of them up to some twenty million vectors."""
_KEY = ["tenant", "id"]


class LanceEngine:
    """A gallery in a LanceDB database; see :class:`hetero.gallery.engine.Engine` for the methods.

    Args:
        address: ``lance:DIRECTORY``, or the URL of object storage, as LanceDB reads it.

    Raises:
        InputError: When there is no gallery and no space to make one of.
    """

    def __init__(self, address: Address) -> None:
        address.require_options()
        # The library would make the folder.
        if not address.may_be_made and "://" not in address.place and not Path(address.place).is_dir():
            raise address.nothing_there()
        self._lock = threading.RLock()
        # Each read looks for what other processes wrote.
        self._database = lancedb.connect(address.place, read_consistency_interval=timedelta(0))
        self._tables: dict[str, Any] = {}
        self._writes = 0
        if _ABOUT not in self._database.list_tables().tables:
            if address.space is None or address.read_only:
                raise address.nothing_there()
            first = [_about(address.space)]
            # Its vectors first: a gallery that says what it serves has them.
            self._make(address.space)
            self._database.create_table(_ABOUT, pa.Table.from_pylist(first, _SPACES), exist_ok=True)

    def serving(self) -> Serving:
        """Return what is served now."""
        with self._lock:
            records = self._spaces()
            served = [record for record in records if record["role"] == "served"]
            if len(served) != 1:
                raise IntegrityError(f"the table {_ABOUT} says of {len(served)} spaces that they are served")
            previous = [_space(record) for record in records if record["role"] == "previous"]
            return Serving(_space(served[0]), *previous[:1])

    def serve(self, space_id: str, *, complete: bool) -> int:
        """Serve a space."""
        with self._lock:
            missing, now = len(self._lacking(space_id)), self.serving().space.space_id
            if not (complete and missing) and now != space_id:
                roles = {space_id: "served", now: "previous"}
                records = [record | {"role": roles.get(record["space_id"], "")} for record in self._spaces()]
                self._table(_ABOUT).add(pa.Table.from_pylist(records, _SPACES), mode="overwrite")
            return missing

    def register(self, space: EmbeddingSpace) -> None:
        """Make room for vectors of a space."""
        with self._lock:
            if space.space_id not in {record["space_id"] for record in self._spaces()}:
                self._make(space)
                record = pa.Table.from_pylist([_about(space) | {"role": ""}], _SPACES)
                self._table(_ABOUT).merge_insert("space_id").when_not_matched_insert_all().execute(record)

    def registered(self) -> list[EmbeddingSpace]:
        """Return the spaces that there is room for."""
        with self._lock:
            return [_space(record) for record in self._spaces()]

    def count(self, space_id: str) -> int:
        """Return the number of vectors of a space."""
        with self._lock:
            return self._table(_name(space_id)).count_rows()

    def put(
        self,
        space: EmbeddingSpace,
        vectors: Float32[np.ndarray, "n d"],
        ids: Sequence[str],
        tenant: str,
        attributes: Sequence[Mapping[str, str]] | None,
    ) -> None:
        """Write items and their vectors."""
        with self._lock:
            self.serving().space.require_same(space, this="the gallery", that="the vectors to add")
            if attributes is None:
                known = self._known(tenant, ids)
                labels = [known[name]["labels"] if name in known else [] for name in ids]
            else:
                labels = [[label(*pair) for pair in one.items()] for one in attributes]
            # First, so that a kill leaves no vector of what the item showed before.
            for record in self._spaces():
                if record["space_id"] != space.space_id:
                    self._table(_name(record["space_id"])).delete(_named(tenant, ids))
            rows = [
                {"tenant": tenant, "id": name, "revision": uuid.uuid4().hex, "labels": some}
                for name, some in zip(ids, labels, strict=True)
            ]
            self._upsert(space.space_id, rows, vectors)

    def fill(self, space_id: str, vectors: Float32[np.ndarray, "n d"], items: Sequence[Item]) -> int:
        """Write vectors of a space for items of an unchanged revision."""
        with self._lock:
            row_of = {(item.tenant, item.id, item.revision): row for row, item in enumerate(items)}
            unchanged: list[dict[str, Any]] = []
            for tenant in {item.tenant for item in items}:
                ids = [item.id for item in items if item.tenant == tenant]
                own = {row["id"]: row["revision"] for row in self._rows(space_id, tenant, ids, ["id", "revision"])}
                known = self._known(tenant, ids).values()
                unchanged += [row for row in known if _is_in(row, row_of) and own.get(row["id"]) != row["revision"]]
            if unchanged:
                order = [row_of[row["tenant"], row["id"], row["revision"]] for row in unchanged]
                self._upsert(space_id, unchanged, vectors[order])
            return len(unchanged)

    def find(self, space_id: str, query: Query) -> Matches:
        """Search the vectors of a space."""
        conditions = [f"tenant = {_quoted(query.tenant)}"]
        conditions += [
            f"array_has_any(labels, [{', '.join(_quoted(label(name, value)) for value in values)}])"
            for name, values in query.where.items()
        ]
        answers: list[list[tuple[str, float]]] = []
        with self._lock:
            table = self._table(_name(space_id))
            for row in query.vectors.astype(np.float16):
                search = table.search(row, vector_column_name="vector").distance_type("dot").select(["id", "_distance"])
                search = search.where(" AND ".join(conditions), prefilter=True).limit(query.k)
                if query.effort == "exact":
                    search = search.bypass_vector_index()
                else:
                    effort = max(query.effort, _REFINED * query.k)
                    search = search.ef(effort).refine_factor(_REFINED).nprobes(_PROBES)
                answers.append([(one["id"], 1 - one["_distance"]) for one in search.to_list()])
        return Matches.of(answers)

    def remove(self, ids: Sequence[str], tenant: str) -> int:
        """Delete items."""
        with self._lock:
            removed = len(self._known(tenant, ids))
            for record in self._spaces():
                self._table(_name(record["space_id"])).delete(_named(tenant, ids))
            return removed

    def missing(self, space_id: str, limit: int) -> list[Item]:
        """Return items that lack a vector of a space."""
        with self._lock:
            return self._lacking(space_id)[:limit]

    def close(self) -> None:
        """Forget the tables."""
        self._tables.clear()

    def _make(self, space: EmbeddingSpace) -> None:
        schema = pa.schema([*_COLUMNS, pa.field("vector", pa.list_(pa.float16(), space.dimension), nullable=False)])
        self._database.create_table(_name(space.space_id), schema=schema, exist_ok=True)

    def _table(self, name: str) -> Any:
        if name not in self._tables:
            self._tables[name] = self._database.open_table(name)
        return self._tables[name]

    def _spaces(self) -> list[dict[str, Any]]:
        return self._table(_ABOUT).to_arrow().to_pylist()

    def _rows(self, space_id: str, tenant: str, ids: Sequence[str], columns: list[str]) -> list[dict[str, Any]]:
        search = self._table(_name(space_id)).search().where(_named(tenant, ids)).select(columns)
        return search.limit(len(ids)).to_list()

    def _upsert(self, space_id: str, rows: list[dict[str, Any]], vectors: Float32[np.ndarray, "n d"]) -> None:
        table = self._table(_name(space_id))
        columns = pa.Table.from_pylist(rows, pa.schema(_COLUMNS))
        flat = pa.array(vectors.astype(np.float16).ravel())
        table_rows = columns.append_column("vector", pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))
        table.merge_insert(_KEY).when_matched_update_all().when_not_matched_insert_all().execute(
            table_rows.cast(table.schema)
        )
        self._writes += 1
        if self._writes % _WRITES == 0:
            self._maintain(table)

    def _maintain(self, table: Any) -> None:
        """Merge files, and let the graph take in what is outside of it."""
        rows, indices = table.count_rows(), table.list_indices()
        if indices:
            statistics = table.index_stats(indices[0].name)
            if statistics.num_unindexed_rows < max(_UNINDEXED, rows // 10):
                return
        elif rows >= _UNINDEXED:
            table.create_index("vector", config=HnswSq(distance_type="dot", m=CONNECTIVITY, ef_construction=EXPANSION))
        table.optimize()

    def _known(self, tenant: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the rows of items, without vectors: that in the space served, or else in the one before."""
        known: dict[str, dict[str, Any]] = {}
        for space_id in reversed(self._sources()):
            rows = self._rows(space_id, tenant, ids, [*_KEY, "revision", "labels"])
            known |= {row["id"]: row for row in rows}
        return known

    def _sources(self) -> list[str]:
        """Return the spaces that hold all items between them, the one that says what an item shows now first."""
        serving = self.serving()
        return [space.space_id for space in (serving.space, serving.previous) if space is not None]

    def _lacking(self, space_id: str) -> list[Item]:
        def revisions(space_id: str) -> dict[tuple[str, str], str]:
            columns = self._table(_name(space_id)).search().select([*_KEY, "revision"]).limit(None).to_arrow()
            return {(row["tenant"], row["id"]): row["revision"] for row in columns.to_pylist()}

        own, current = revisions(space_id), dict[tuple[str, str], str]()
        for source in reversed(self._sources()):
            current |= own if source == space_id else revisions(source)
        return [Item(name, tenant, now) for (tenant, name), now in current.items() if own.get((tenant, name)) != now]


_SPACES = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("space_id", "role", "record")])
_COLUMNS = [
    *(pa.field(name, pa.string(), nullable=False) for name in ("tenant", "id", "revision")),
    pa.field("labels", pa.list_(pa.string()), nullable=False),
]


def _about(space: EmbeddingSpace) -> dict[str, str]:
    return {"space_id": space.space_id, "role": "served", "record": canonical_json(space.to_dict())}


def _space(record: dict[str, str]) -> EmbeddingSpace:
    return EmbeddingSpace.from_dict(strict_json(record["record"].encode(), what=_ABOUT), what=_ABOUT)


def _name(space_id: str) -> str:
    return f"vectors_{space_id[:32]}"


def _is_in(row: dict[str, str], known: Any) -> bool:
    return (row["tenant"], row["id"], row["revision"]) in known


def _named(tenant: str, ids: Sequence[str]) -> str:
    return f"tenant = {_quoted(tenant)} AND id IN ({', '.join(map(_quoted, ids))})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
