"""What a request asks for: JSON, or the bytes of a photo with its options in the address."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal, cast

import numpy as np
from annotated_types import Interval
from jaxtyping import Float32

from hetero.errors import InputError
from hetero.foreign import strict_json
from hetero.gallery.store import DEFAULT_EFFORT
from hetero.schema import parse, record
from hetero.serving.limits import LARGEST_EFFORT, LARGEST_K, MOST_ADDED, MOST_ANSWERS, MOST_QUERIES

Vectors = list[list[float]] | list[str]
Choices = dict[str, str | list[str]]
K = Annotated[int, Interval(ge=1, le=LARGEST_K)]
Effort = Annotated[int, Interval(ge=1, le=LARGEST_EFFORT)] | Literal["exact"]


@record
class SearchOptions:
    """What a search asks for, beside what it searches with.

    Attributes:
        space: Id of the queries' space.
        k: Number of items to find.
        tenant: The tenant whose items are searched.
        where: Attributes that items must have.
        effort: How hard to search.
    """

    space: str
    k: K = 10
    tenant: str = ""
    where: Choices = field(default_factory=dict)
    effort: Effort = DEFAULT_EFFORT


@record
class SearchRequest:
    """A search by vectors.

    Attributes:
        space: Id of their space.
        vectors: One for each query: its numbers, or in Base64 its float32 numbers in little-endian order.
        k: Number of items to find for each.
        tenant: The tenant whose items are searched.
        where: Attributes that items must have.
        effort: How hard to search.
    """

    space: str
    vectors: Vectors
    k: K = 10
    tenant: str = ""
    where: Choices = field(default_factory=dict)
    effort: Effort = DEFAULT_EFFORT

    @property
    def options(self) -> SearchOptions:
        """What it asks for, beside the vectors."""
        return SearchOptions(self.space, self.k, self.tenant, self.where, self.effort)


@record
class AddRequest:
    """Items to add.

    Attributes:
        space: Id of the vectors' space.
        vectors: One for each item, as in a search.
        ids: One for each item.
        tenant: The tenant that they belong to.
        attributes: For each item what searches may ask for; None leaves earlier ones as they are.
    """

    space: str
    vectors: Vectors
    ids: list[str]
    tenant: str = ""
    attributes: list[dict[str, str]] | None = None


@record
class PhotoItem:
    """An item to add whose photo comes with it.

    Attributes:
        id: Its id.
        space: Id of the space.
        tenant: The tenant that it belongs to.
        attributes: What searches may ask for; None leaves earlier ones as they are.
    """

    id: str
    space: str
    tenant: str = ""
    attributes: dict[str, str] | None = None


@record
class RemoveRequest:
    """Items to remove.

    Attributes:
        ids: Their ids.
        tenant: The tenant that they belong to.
    """

    ids: list[str]
    tenant: str = ""


def read_search(body: bytes) -> tuple[SearchOptions, Float32[np.ndarray, "q d"]]:
    """Read a search by vectors.

    Raises:
        InputError: For anything but such a request.
    """
    request = parse(SearchRequest, strict_json(body, what="the body"), what="the search")
    vectors = as_vectors(request.vectors)
    require_size(len(vectors), request.k)
    return request.options, vectors


def read_items(body: bytes) -> tuple[AddRequest, Float32[np.ndarray, "n d"]]:
    """Read items to add.

    Raises:
        InputError: For anything but such a request.
    """
    request = parse(AddRequest, strict_json(body, what="the body"), what="the addition")
    vectors = as_vectors(request.vectors)
    if len(vectors) > MOST_ADDED:
        raise InputError(f"expected at most {MOST_ADDED} items to add at once, got {len(vectors)}")
    return request, vectors


def read_removal(body: bytes) -> RemoveRequest:
    """Read items to remove.

    Raises:
        InputError: For anything but such a request.
    """
    request = parse(RemoveRequest, strict_json(body, what="the body"), what="the removal")
    if len(request.ids) > MOST_ADDED:
        raise InputError(f"expected at most {MOST_ADDED} items to remove at once, got {len(request.ids)}")
    return request


def photo_search(query: Mapping[str, str], space_id: str) -> SearchOptions:
    """Read the options of a search by photo from the query of its address; ``where`` is JSON.

    Args:
        query: The query.
        space_id: The space, where it names none.

    Raises:
        InputError: For anything but such options.
    """
    values = {"space": space_id, **_with_json(query, "where")}
    options = parse(SearchOptions, values, what="the search")
    require_size(1, options.k)
    return options


def photo_item(query: Mapping[str, str], space_id: str) -> AddRequest:
    """Read an item to add by its photo from the query of its address; ``attributes`` are JSON.

    Args:
        query: The query.
        space_id: The space, where it names none.

    Raises:
        InputError: For anything but an item.
    """
    values = {"space": space_id, **_with_json(query, "attributes")}
    item = parse(PhotoItem, values, what="the addition")
    attributes = None if item.attributes is None else [item.attributes]
    return AddRequest(item.space, [], [item.id], item.tenant, attributes)


def as_vectors(rows: Vectors) -> Float32[np.ndarray, "n d"]:
    """Turn lists of numbers, or float32 in Base64, into an array.

    Raises:
        InputError: When they are none, or differ in their lengths.
    """
    if len({len(row) for row in rows}) > 1:
        raise InputError("vectors: expected all of one length, got several")
    if not rows or isinstance(rows[0], str):
        return _decoded(cast("list[str]", rows))
    with np.errstate(over="ignore"):
        return np.array(rows, np.float64).astype(np.float32)


def require_size(queries: int, k: int) -> None:
    """Refuse a search with more queries, or for more items, than one request may have.

    Raises:
        InputError: When it is.
    """
    if queries < 1:
        raise InputError("expected at least one vector to search with, got none")
    if queries > MOST_QUERIES:
        raise InputError(f"expected at most {MOST_QUERIES} vectors to search with at once, got {queries}")
    if queries * k > MOST_ANSWERS:
        raise InputError(f"expected at most {MOST_ANSWERS} items in an answer, got {queries} vectors with k {k}")


def _with_json(query: Mapping[str, str], name: str) -> dict[str, Any]:
    values: dict[str, Any] = dict(query)
    if name in values:
        values[name] = strict_json(values[name].encode("utf-8", "replace"), what=name)
    return values


def _decoded(rows: list[str]) -> Float32[np.ndarray, "n d"]:
    try:
        data = [base64.b64decode(row, validate=True) for row in rows]
    except ValueError:
        data = [b"?"]
    if any(len(row) % 4 for row in data):
        raise InputError("vectors: expected each as numbers, or as Base64 of float32 numbers in little-endian order")
    if len({len(row) for row in data}) > 1:
        raise InputError("vectors: expected all of one length, got several")
    return np.frombuffer(b"".join(data), "<f4").astype(np.float32, copy=False).reshape(len(rows), -1 if data else 0)
