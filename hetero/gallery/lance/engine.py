"""The engine over LanceDB: a table a space, and one that says which space is served.

LanceDB has no transactions over tables. An item's vectors carry its revision: one whose revision is not that of the
space served counts as missing. A swap beside writers is not one step: pause them, or an item may be missing after it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from hetero.errors import IntegrityError
from hetero.gallery.engine import Query, Serving
from hetero.gallery.labels import attributes_of, label
from hetero.gallery.lance.tables import ABOUT, KEY, Tables, quoted, record_of, space_of
from hetero.gallery.opening import Address
from hetero.gallery.pages import ROWS, pages_of
from hetero.gallery.store import Item, Matches, Page
from hetero.space import EmbeddingSpace

_REFINED = 4
"""The graph holds int8 vectors; so many times ``k`` are ordered by float16 ones."""
_PROBES = 20
"""Parts of the index that are searched, which is all of them up to some twenty million vectors."""


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
        self._tables = Tables(address.place)
        if not self._tables.exist():
            if address.space is None or address.read_only:
                raise address.nothing_there()
            self._tables.make_first(address.space)

    def serving(self) -> Serving:
        """Return what is served now."""
        with self._lock:
            records = self._tables.spaces()
            served = [record for record in records if record["role"] == "served"]
            if len(served) != 1:
                raise IntegrityError(f"the table {ABOUT} says of {len(served)} spaces that they are served")
            previous = [space_of(record) for record in records if record["role"] == "previous"]
            return Serving(space_of(served[0]), *previous[:1])

    def serve(self, space_id: str, *, complete: bool) -> int:
        """Serve a space."""
        with self._lock:
            missing, now = len(self._lacking(space_id)), self.serving().space.space_id
            if not (complete and missing) and now != space_id:
                roles = {space_id: "served", now: "previous"}
                records = self._tables.spaces()
                self._tables.replace_spaces(record | {"role": roles.get(record["space_id"], "")} for record in records)
            return missing

    def register(self, space: EmbeddingSpace) -> None:
        """Make room for vectors of a space."""
        with self._lock:
            if space.space_id not in {record["space_id"] for record in self._tables.spaces()}:
                self._tables.make(space)
                self._tables.add_space(record_of(space, ""))

    def registered(self) -> list[EmbeddingSpace]:
        """Return the spaces that there is room for."""
        with self._lock:
            return [space_of(record) for record in self._tables.spaces()]

    def count(self, space_id: str) -> int:
        """Return the number of vectors of a space."""
        with self._lock:
            return self._tables.vectors(space_id).count_rows()

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
            for record in self._tables.spaces():
                if record["space_id"] != space.space_id:
                    self._tables.delete(record["space_id"], tenant, ids)
            rows = [
                {"tenant": tenant, "id": name, "revision": uuid.uuid4().hex, "labels": some}
                for name, some in zip(ids, labels, strict=True)
            ]
            self._tables.upsert(space.space_id, rows, vectors)

    def fill(self, space_id: str, vectors: Float32[np.ndarray, "n d"], items: Sequence[Item]) -> int:
        """Write vectors of a space for items of an unchanged revision."""
        with self._lock:
            row_of = {(item.tenant, item.id, item.revision): row for row, item in enumerate(items)}
            unchanged: list[dict[str, Any]] = []
            for tenant in {item.tenant for item in items}:
                ids = [item.id for item in items if item.tenant == tenant]
                own = {
                    row["id"]: row["revision"] for row in self._tables.rows(space_id, tenant, ids, ["id", "revision"])
                }
                known = self._known(tenant, ids).values()
                unchanged += [row for row in known if _is_in(row, row_of) and own.get(row["id"]) != row["revision"]]
            if unchanged:
                order = [row_of[row["tenant"], row["id"], row["revision"]] for row in unchanged]
                self._tables.upsert(space_id, unchanged, vectors[order])
            return len(unchanged)

    def find(self, space_id: str, query: Query) -> Matches:
        """Search the vectors of a space."""
        conditions = [f"tenant = {quoted(query.tenant)}"]
        conditions += [
            f"array_has_any(labels, [{', '.join(quoted(label(name, value)) for value in values)}])"
            for name, values in query.where.items()
        ]
        answers: list[list[tuple[str, float]]] = []
        with self._lock:
            table = self._tables.vectors(space_id)
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
            for record in self._tables.spaces():
                self._tables.delete(record["space_id"], tenant, ids)
            return removed

    def missing(self, space_id: str, limit: int) -> list[Item]:
        """Return items that lack a vector of a space."""
        with self._lock:
            return self._lacking(space_id)[:limit]

    def pages(self, space_id: str) -> Iterator[Page]:
        """Yield all items with a vector of a space, as they were when the first was read."""
        with self._lock:
            blocks = self._tables.blocks(space_id, [*KEY, "labels", "vector"], ROWS)
        for block in blocks:
            names = list(zip(block["tenant"].to_pylist(), block["id"].to_pylist(), strict=True))
            vectors = block["vector"].flatten().to_numpy(zero_copy_only=False).reshape(len(names), -1)
            yield from pages_of(names, vectors, [attributes_of(labels) for labels in block["labels"].to_pylist()])

    def close(self) -> None:
        """Forget the tables."""
        self._tables.close()

    def _known(self, tenant: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the rows of items, without vectors: that in the space served, or else in the one before."""
        known: dict[str, dict[str, Any]] = {}
        for space_id in reversed(self._sources()):
            rows = self._tables.rows(space_id, tenant, ids, [*KEY, "revision", "labels"])
            known |= {row["id"]: row for row in rows}
        return known

    def _sources(self) -> list[str]:
        """Return the spaces that hold all items between them, the one that says what an item shows now first."""
        serving = self.serving()
        return [space.space_id for space in (serving.space, serving.previous) if space is not None]

    def _lacking(self, space_id: str) -> list[Item]:
        def revisions(space_id: str) -> dict[tuple[str, str], str]:
            columns = self._tables.vectors(space_id).search().select([*KEY, "revision"]).limit(None).to_arrow()
            return {(row["tenant"], row["id"]): row["revision"] for row in columns.to_pylist()}

        own, current = revisions(space_id), dict[tuple[str, str], str]()
        for source in reversed(self._sources()):
            current |= own if source == space_id else revisions(source)
        return [Item(name, tenant, now) for (tenant, name), now in current.items() if own.get((tenant, name)) != now]


def _is_in(row: dict[str, str], known: Any) -> bool:
    return (row["tenant"], row["id"], row["revision"]) in known
