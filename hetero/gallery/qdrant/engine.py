"""The engine over Qdrant: a collection a space, and one that says which space is served.

Qdrant has no transactions over collections. An item's vectors carry its revision: one whose revision is not that of the
space served counts as missing. A swap beside writers is not one step: pause them, or an item may be missing after it.
"""

from __future__ import annotations

import os
import re
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException

from hetero.errors import InputError, IntegrityError
from hetero.gallery.engine import Query, Serving
from hetero.gallery.labels import label
from hetero.gallery.opening import Address
from hetero.gallery.pages import pages_of
from hetero.gallery.qdrant.points import SERVING, Collections, point
from hetero.gallery.store import Item, Matches, Page
from hetero.space import EmbeddingSpace

_GALLERY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""The name of a gallery: it becomes a part of URLs, or of paths."""


class QdrantEngine:
    """A gallery in Qdrant; see :class:`hetero.gallery.engine.Engine` for the methods.

    Args:
        address: ``qdrant:URL`` of a server, whose key is read from ``QDRANT_API_KEY``, or ``qdrant:DIRECTORY`` for the
            client's local mode, which compares each query with every vector; the option ``name`` tells galleries of
            one server apart.

    Raises:
        InputError: When there is no gallery and no space to make one of.
    """

    def __init__(self, address: Address) -> None:
        self._lock = threading.RLock()
        name = _name(address)
        self._client = _client(address)
        self._collections = Collections(self._client, name)
        try:
            exists = self._client.collection_exists(self._collections.about)
        except ResponseHandlingException as error:
            self._client.close()
            raise InputError(f"no Qdrant server answers at {address}: {error}") from None
        if not exists:
            if not address.may_be_made:
                self._client.close()
                raise address.nothing_there()
            self._collections.make_about()
        if address.space is not None and address.may_be_made and not self._collections.record(SERVING):
            self.register(address.space)
            self._collections.write(SERVING, {"space": address.space.space_id, "previous": None})

    def serving(self) -> Serving:
        """Return what is served now."""
        with self._lock:
            state = self._collections.record(SERVING)
            if state is None:
                raise IntegrityError(f"the collection {self._collections.about} does not say which space is served")
            previous = state["previous"]
            return Serving(
                self._collections.space(state["space"]), None if previous is None else self._collections.space(previous)
            )

    def serve(self, space_id: str, *, complete: bool) -> int:
        """Serve a space."""
        with self._lock:
            missing, now = sum(1 for _ in self._lacking(space_id)), self.serving().space.space_id
            if not (complete and missing) and now != space_id:
                self._collections.write(SERVING, {"space": space_id, "previous": now})
            return missing

    def register(self, space: EmbeddingSpace) -> None:
        """Make room for vectors of a space."""
        with self._lock:
            self._collections.make(space)

    def registered(self) -> list[EmbeddingSpace]:
        """Return the spaces that there is room for."""
        with self._lock:
            return self._collections.registered()

    def count(self, space_id: str) -> int:
        """Return the number of vectors of a space."""
        with self._lock:
            return self._client.count(self._collections.of(space_id), exact=True).count

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
            points, collection = [point(tenant, name) for name in ids], self._collections.of(space.space_id)
            if attributes is None:
                known = self._known(points)
                attributes = [known.get(place, {"attributes": {}})["attributes"] for place in points]
            # First, so that a kill leaves no vector of what the item showed before.
            self._collections.delete(points, but=collection)
            payloads = [
                {
                    "tenant": tenant,
                    "id": name,
                    "revision": uuid.uuid4().hex,
                    "attributes": dict(one),
                    "labels": [label(*pair) for pair in one.items()],
                }
                for name, one in zip(ids, attributes, strict=True)
            ]
            self._collections.upsert(collection, points, vectors, payloads)

    def fill(self, space_id: str, vectors: Float32[np.ndarray, "n d"], items: Sequence[Item]) -> int:
        """Write vectors of a space for items of an unchanged revision."""
        with self._lock:
            points = [point(item.tenant, item.id) for item in items]
            known = self._known(points)
            own = self._collections.payloads(self._collections.of(space_id), points)
            rows = [
                row
                for row, (place, item) in enumerate(zip(points, items, strict=True))
                if known.get(place, {}).get("revision") == item.revision != own.get(place, {}).get("revision")
            ]
            unchanged = [points[row] for row in rows]
            self._collections.upsert(
                self._collections.of(space_id), unchanged, vectors[rows], [known[place] for place in unchanged]
            )
            return len(rows)

    def find(self, space_id: str, query: Query) -> Matches:
        """Search the vectors of a space."""
        conditions = [models.FieldCondition(key="tenant", match=models.MatchValue(value=query.tenant))]
        conditions += [
            models.FieldCondition(key="labels", match=models.MatchAny(any=[label(name, value) for value in values]))
            for name, values in query.where.items()
        ]
        exact = query.effort == "exact"
        graph = models.SearchParams(hnsw_ef=None if query.effort == "exact" else query.effort, exact=exact)
        options = graph if self._collections.is_server else None  # the local mode is exact
        requests = [
            models.QueryRequest(
                query=row, filter=models.Filter(must=[*conditions]), params=options, limit=query.k, with_payload=["id"]
            )
            for row in query.vectors.tolist()
        ]
        with self._lock:
            answers = self._client.query_batch_points(self._collections.of(space_id), requests)
        return Matches.of([[((one.payload or {})["id"], one.score) for one in answer.points] for answer in answers])

    def remove(self, ids: Sequence[str], tenant: str) -> int:
        """Delete items."""
        with self._lock:
            points = [point(tenant, name) for name in ids]
            removed = len(self._known(points))
            self._collections.delete(points)
            return removed

    def missing(self, space_id: str, limit: int) -> list[Item]:
        """Return items that lack a vector of a space."""
        with self._lock:
            return list(islice(self._lacking(space_id), limit))

    def pages(self, space_id: str) -> Iterator[Page]:
        """Yield all items with a vector of a space, in no order that says anything."""
        scrolled = self._collections.scrolled(self._collections.of(space_id), with_vectors=True)
        while True:
            with self._lock:
                records = next(scrolled, None)
            if records is None:
                return
            if records:
                payloads = [record.payload for record in records]
                yield from pages_of(
                    [(payload["tenant"], payload["id"]) for payload in payloads],
                    np.array([record.vector for record in records], np.float32),
                    [payload["attributes"] for payload in payloads],
                )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _known(self, points: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the payloads of items: that in the space served, or else in the one before."""
        known: dict[str, dict[str, Any]] = {}
        for collection in reversed(self._sources()):
            known |= self._collections.payloads(collection, points)
        return known

    def _sources(self) -> list[str]:
        """Return the collections that hold all items between them, those that say what an item shows now first."""
        serving = self.serving()
        return [
            self._collections.of(space.space_id) for space in (serving.space, serving.previous) if space is not None
        ]

    def _lacking(self, space_id: str) -> Iterator[Item]:
        own, before = self._collections.of(space_id), list[str]()
        for source in self._sources():
            for records in self._collections.scrolled(source) if source != own else ():
                points = [str(record.id) for record in records]
                known = {place for one in before for place in self._collections.payloads(one, points)}
                there = self._collections.payloads(own, points)
                for place, record in zip(points, records, strict=True):
                    payload = record.payload or {}
                    if place not in known and there.get(place, {}).get("revision") != payload["revision"]:
                        yield Item(payload["id"], payload["tenant"], payload["revision"])
            before.append(source)


def _name(address: Address) -> str:
    name = address.options.get("name", "gallery")
    if set(address.options) - {"name"} or not _GALLERY.fullmatch(name):
        raise InputError(f"{address}: expected the option name=NAME, of letters, digits, dots, dashes and underscores")
    return name


def _client(address: Address) -> QdrantClient:
    if address.place.startswith(("http://", "https://")):
        return QdrantClient(url=address.place, api_key=os.environ.get("QDRANT_API_KEY"))
    # The client would make the folder.
    if not address.may_be_made and not Path(address.place).is_dir():
        raise address.nothing_there()
    try:
        return QdrantClient(path=address.place)
    except RuntimeError as error:  # another process has it
        raise InputError(f"{address} cannot be opened: {error}") from None
