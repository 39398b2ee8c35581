"""The collections of a gallery in Qdrant, and the points in them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Float32
from qdrant_client import QdrantClient, models

from hetero.foreign import strict_json
from hetero.gallery.engine import CONNECTIVITY, EXPANSION
from hetero.space import EmbeddingSpace

_AT_ONCE = 1000
_NAMES = uuid.UUID("6f2f5a0e-6c53-4b7e-9f5e-3f0a7f8d2c11")
"""Makes the ids of points, which Qdrant wants as UUIDs."""
SERVING = str(uuid.uuid5(_NAMES, "serving"))
"""The point that says which space is served."""


def point(*name: str) -> str:
    """Return the id of what has this name."""
    return str(uuid.uuid5(_NAMES, json.dumps(name)))


class Collections:
    """The collections of one gallery, each a space's, and the one that says what they are.

    Args:
        client: The connection.
        name: The gallery's name.
    """

    def __init__(self, client: QdrantClient, name: str) -> None:
        self._client, self._name = client, name

    @property
    def about(self) -> str:
        """Name of the collection that says which spaces there are."""
        return f"{self._name}-spaces"

    @property
    def is_server(self) -> bool:
        """False in the client's local mode."""
        return bool(self._client.init_options.get("url"))

    def of(self, space_id: str) -> str:
        """Return the name of a space's collection."""
        return f"{self._name}-{space_id[:32]}"

    def make_about(self) -> None:
        """Make the collection that says which spaces there are."""
        one = models.VectorParams(size=1, distance=models.Distance.DOT)
        self._client.create_collection(self.about, vectors_config=one)

    def make(self, space: EmbeddingSpace) -> None:
        """Make the collection of a space, unless there is one."""
        self.write(point(space.space_id), {"space": json.dumps(space.to_dict())})
        collection = self.of(space.space_id)
        if self._client.collection_exists(collection):
            return
        self._client.create_collection(
            collection,
            vectors_config=models.VectorParams(
                size=space.dimension, distance=models.Distance.DOT, datatype=models.Datatype.FLOAT16
            ),
            hnsw_config=models.HnswConfigDiff(m=CONNECTIVITY, ef_construct=EXPANSION),
        )
        if self.is_server:
            for field in ("tenant", "labels"):
                keyword = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=field == "tenant")
                self._client.create_payload_index(collection, field, keyword, wait=True)

    def space(self, space_id: str) -> EmbeddingSpace:
        """Return a space that has a collection."""
        return self._space_of(self.record(point(space_id)))

    def registered(self) -> list[EmbeddingSpace]:
        """Return the spaces that have collections."""
        records = [record for some in self.scrolled(self.about) for record in some]
        return [self._space_of(record.payload) for record in records if str(record.id) != SERVING]

    def record(self, place: str) -> dict[str, Any] | None:
        """Return what a point of :attr:`about` says; None where there is none."""
        points = self._client.retrieve(self.about, [place])
        return points[0].payload if points else None

    def write(self, place: str, record: dict[str, Any]) -> None:
        """Write what a point of :attr:`about` says."""
        self._client.upsert(self.about, [models.PointStruct(id=place, vector=[1.0], payload=record)], wait=True)

    def upsert(
        self, collection: str, points: Sequence[str], vectors: Float32[np.ndarray, "n d"], payloads: Sequence[Any]
    ) -> None:
        """Write points with their vectors and payloads."""
        structs = (
            models.PointStruct(id=place, vector=row.tolist(), payload=payload)
            for place, row, payload in zip(points, vectors, payloads, strict=True)
        )
        while some := list(islice(structs, _AT_ONCE)):
            self._client.upsert(collection, some, wait=True)

    def delete(self, points: Sequence[str], *, but: str = "") -> None:
        """Delete points from the collections of all spaces but one."""
        # Those that are registered: the name of another gallery may begin with this one's.
        for collection in {self.of(space.space_id) for space in self.registered()} - {but}:
            if self._client.collection_exists(collection):
                self._client.delete(collection, [*points], wait=True)

    def payloads(self, collection: str, points: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the payload of each point that there is."""
        return {str(one.id): one.payload or {} for one in self._client.retrieve(collection, list(points))}

    def scrolled(self, collection: str, *, with_vectors: bool = False) -> Iterator[list[Any]]:
        """Yield all points of a collection by their ids, some at a time: one that is written again keeps its place."""
        place: Any = None
        while True:
            records, place = self._client.scroll(collection, limit=_AT_ONCE, offset=place, with_vectors=with_vectors)
            yield records
            if place is None:
                return

    def _space_of(self, payload: dict[str, Any] | None) -> EmbeddingSpace:
        record = (payload or {}).get("space", "")
        return EmbeddingSpace.from_dict(strict_json(record.encode(), what=self.about), what=self.about)
