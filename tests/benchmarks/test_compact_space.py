"""What the benchmark of smaller spaces counts, by hand."""

from __future__ import annotations

import dataclasses

import numpy as np

from benchmarks.compact_space import Search, Way, table, ways
from hetero.metrics.task import RetrievalTask
from tests.hetero.geometry.clouds import low_dimensional

WHOLE = Way("whole", lambda some: some, 2, None)
# The queries are the first two rows, the gallery the others; each query is nearest to the gallery's row of its class.
QUERY = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
GALLERY = np.array([[1, 0], [0, 1], [0.8, 0.6], [0.6, 0.8]], np.float32)
TASKS = [RetrievalTask("a", np.array([0, 1]), np.array([2, 3]))]
LABELS = np.array([0, 1, 0, 1])


def test_a_nearer_vector_of_no_class_hides_the_right_one() -> None:
    assert Search(QUERY, GALLERY, LABELS, TASKS).answers(WHOLE, 1)[0].tolist() == [1, 1]
    beside = np.array([[1, 0]], np.float32)
    search = Search(QUERY, GALLERY, LABELS, TASKS, beside)
    assert search.answers(WHOLE, 1)[0].tolist() == [0, 1]
    assert search.answers(WHOLE, 2)[0].tolist() == [1, 1]
    stored = dataclasses.replace(WHOLE, precision="binary")  # all three are candidates, and int8 orders them
    assert search.answers(stored, 1)[0].tolist() == [0, 1]


def test_every_way_shortens_and_tells_its_bytes() -> None:
    vectors = low_dimensional(dimension=16, rank=6)
    listed = list(ways(vectors, lengths=(8,)))
    assert [way.bytes for way in listed[:4]] == [64, 32, 16, 2]
    for way in listed:
        some = way.change(vectors[:5])
        assert some.shape == (5, way.dimension)
        np.testing.assert_allclose(np.linalg.norm(some, axis=1), 1, atol=1e-5)


def test_the_table_has_a_row_a_way() -> None:
    line = {"run": "demo", "student": "edge", "way": "rotation", "dimension": 64, "precision": "int8", "bytes": 64.0}
    line |= {"cmc@1": 0.5, "cmc@1 loss": [0.001, -0.002, 0.003]}
    assert table([line]).splitlines()[-1] == "| rotation, 64, int8 | 64 | 0.500, +0.001 [-0.002, +0.003] |"
