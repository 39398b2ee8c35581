"""What the figures count, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hetero.adapters.adapter import unit
from hetero.compact.cost import QuerySet, costs
from hetero.compact.derived import DerivedSpace
from hetero.compact.rotation import Rotation
from hetero.errors import InputError
from hetero.space import EmbeddingSpace

PLANE = EmbeddingSpace.define(defined_by="plane", name="plane", version="1", dimension=3)
# Only the first two of three coordinates are kept.
FLAT = DerivedSpace.of(PLANE, Rotation("pca", np.eye(3, dtype=np.float32)), 2)
# The first is nearest to the query in space, the second where the third coordinate is gone.
QUERY = np.array([[0.8, 0.0, 0.6]], np.float32)
GALLERY = unit(np.array([[0.6, 0.3, 0.742], [0.8, 0.1, -0.592], [-1.0, 0.0, 0.0]], np.float32))
NONE = np.array([-1])


def figures(query_set: QuerySet, ks: tuple[int, ...] = (1, 2)) -> dict[str, tuple[float, float, float]]:
    rows = costs(query_set, FLAT, ks=ks, precisions=("int8",))
    return {one.metric: (one.whole, one.value, one.loss.value) for one in rows}


def test_with_classes_it_is_cmc() -> None:
    query_set = QuerySet(QUERY, GALLERY, NONE, np.array([7]), np.array([7, 8, 7]))
    assert figures(query_set) == {"cmc@1": (1, 0, -1), "cmc@2": (1, 1, 0)}


def test_without_classes_it_is_what_the_whole_gallery_answers_first() -> None:
    assert figures(QuerySet(QUERY, GALLERY, NONE)) == {
        "first answers kept@1": (1, 0, -1),
        "first answers kept@2": (1, 1, 0),
    }


def test_a_query_does_not_find_itself() -> None:
    query_set = QuerySet(QUERY, GALLERY, np.array([0]), np.array([7]), np.array([7, 8, 7]))
    assert figures(query_set, ks=(1,)) == {"cmc@1": (0, 0, 0)}


def test_bytes_and_what_was_resampled() -> None:
    labels = np.arange(40) % 35
    many = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    many /= np.linalg.norm(many, axis=1, keepdims=True)
    rows = costs(QuerySet(many, many, np.arange(40), labels, labels), FLAT, ks=(1,))
    assert [(one.precision, one.bytes, one.over) for one in rows] == [
        ("float16", 4, "classes"),
        ("int8", 2, "classes"),
        ("binary", 0.25, "classes"),
    ]
    assert all(one.loss.low <= one.loss.value <= one.loss.high for one in rows)


def test_nothing_to_ask_or_to_find_is_an_error() -> None:
    with pytest.raises(InputError, match="got 1 and 1"):
        QuerySet(QUERY, GALLERY[:1], NONE)
