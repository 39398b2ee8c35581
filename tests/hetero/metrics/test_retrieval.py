from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.metrics import retrieval
from hetero.metrics.retrieval import evaluate, evaluate_tasks, rows_of_self
from hetero.metrics.task import RetrievalTask
from tests.hetero.metrics.brute_force import average_precision_at_r, cmc


def on_a_circle(degrees: list[float]) -> np.ndarray:
    radians = np.deg2rad(np.array(degrees))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_hand_computed() -> None:
    gallery, labels = on_a_circle([10, 20, 30, 40, 50]), integers(1, 0, 0, 1, 0)
    values = evaluate(on_a_circle([0, 45]), gallery, integers(0, 1), labels, metrics=("cmc@1", "cmc@2", "map@r"))
    # 0 degrees finds the classes 1 0 0 | 1 0: R = 3, precision 1/2 at rank 2 and 2/3 at rank 3.
    # 45 degrees finds 40 (1) and 50 (0), which tie, in this order but for rounding, then R = 2 ends.
    assert values["cmc@1"][0] == 0
    assert values["cmc@2"].tolist() == [1, 1]
    assert values["map@r"][0] == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert values["map@r"].dtype == np.float64


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(4, 24),
    classes=st.integers(1, 4),
    leave_one_out=st.booleans(),
    at_once=st.integers(1, 60),
)
def test_equals_the_definitions(seed: int, size: int, classes: int, leave_one_out: bool, at_once: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (size, 3)).astype(np.float32)
    labels = np.concatenate([np.arange(classes), np.arange(classes), rng.integers(0, classes, size)])[:size]
    exclude = np.where(rng.random(size) < 0.7, np.arange(size), -1) if leave_one_out else np.full(size, -1)
    relevant = [sum(labels[j] == labels[i] for j in range(size) if j != exclude[i]) for i in range(size)]
    rows, metrics = np.flatnonzero(relevant), ("cmc@1", "cmc@3", "map@r")
    if not len(rows):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "HITS_AT_ONCE", at_once)
        values = evaluate(vectors[rows], vectors, labels[rows], labels, exclude=exclude[rows], metrics=metrics)
    for position, row in enumerate(rows.tolist()):
        arguments = (vectors[row], vectors, int(labels[row]), labels, int(exclude[row]))
        assert values["cmc@1"][position] == cmc(*arguments, 1)
        assert values["cmc@3"][position] == cmc(*arguments, 3)
        assert values["map@r"][position] == pytest.approx(average_precision_at_r(*arguments), abs=1e-12)


def test_random_vectors_are_at_chance() -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.standard_normal((2000, 16), np.float32), rng.standard_normal((500, 16), np.float32)
    values = evaluate(query, gallery, np.arange(2000) % 50, np.arange(500) % 50)
    # 10 of 500 are relevant: cmc@1 is 1/50, cmc@10 is 1 - C(490, 10) / C(500, 10) = 0.184.
    assert values["cmc@1"].mean() == pytest.approx(0.02, abs=0.012)
    assert values["cmc@10"].mean() == pytest.approx(0.184, abs=0.03)
    assert values["map@r"].mean() < 0.02


def test_perfect_vectors_score_one() -> None:
    labels = np.repeat(np.arange(5), 4)
    vectors = np.eye(5, dtype=np.float32)[labels]
    values = evaluate(vectors, vectors, labels, labels, exclude=np.arange(20))
    assert {name: value.tolist() for name, value in values.items()} == {
        name: [1.0] * 20 for name in ("cmc@1", "cmc@10", "map@r")
    }


def test_refuses_queries_without_anything_to_find() -> None:
    vectors, labels = on_a_circle([0, 10, 20]), integers(0, 0, 7)
    with pytest.raises(InputError, match=r"1 of 3 queries have no image of their class .*\[7\]"):
        evaluate(vectors, vectors, labels, labels, exclude=integers(0, 1, 2))


def test_refuses_rows_outside_the_gallery() -> None:
    vectors, labels = on_a_circle([0, 10]), integers(0, 0)
    with pytest.raises(InputError, match="exclude: expected one gallery row a query"):
        evaluate(vectors, vectors, labels, labels, exclude=integers(0, 2))


def test_tasks_weigh_the_same_whatever_their_size() -> None:
    vectors, labels = on_a_circle([0, 1, 90, 91, 2, 92]), integers(0, 0, 1, 1, 1, 0)
    tasks = (
        RetrievalTask("easy", integers(0), integers(1, 3)),
        RetrievalTask("mixed", integers(0, 2, 4), integers(1, 3), exclude_self=True),
    )
    result = evaluate_tasks(vectors, vectors, labels, tasks, metrics=("cmc@1", "map@r"))
    assert result.task_means("cmc@1") == {"easy": 1.0, "mixed": pytest.approx(2 / 3)}
    assert result.mean("cmc@1") == pytest.approx((1 + 2 / 3) / 2)
    assert [each.tolist() for each in result.per_query("cmc@1")] == [[1], [1, 1, 0]]
    assert [each.tolist() for each in result.labels] == [[0], [0, 1, 1]]
    assert result.metrics == ("cmc@1", "map@r")


def test_leave_one_out_within_a_task() -> None:
    task = RetrievalTask("loo", integers(5, 2, 9), integers(9, 7, 5), exclude_self=True)
    assert rows_of_self(task).tolist() == [2, -1, 0]
    with pytest.raises(InputError, match="task loo: the gallery holds an image more than once"):
        rows_of_self(RetrievalTask("loo", integers(5), integers(5, 5), exclude_self=True))


def test_errors_name_the_task() -> None:
    vectors, labels = on_a_circle([0, 10]), integers(0, 1)
    with pytest.raises(InputError, match="task a>b: 1 of 1 queries have no image"):
        evaluate_tasks(vectors, vectors, labels, (RetrievalTask("a>b", integers(0), integers(1)),))
    with pytest.raises(InputError, match="at least one retrieval task"):
        evaluate_tasks(vectors, vectors, labels, ())


def test_depths_stand_for_names() -> None:
    rng = np.random.default_rng(0)
    vectors, labels = rng.normal(size=(12, 4)).astype(np.float32), np.repeat(np.arange(4), 3)
    sides = (vectors, vectors, labels, labels)
    by_depth = evaluate(*sides, exclude=np.arange(12), ks=(1, 3), recall_ks=(2,))
    assert list(by_depth) == ["cmc@1", "cmc@3", "map@r", "recall@2"]
    by_name = evaluate(*sides, exclude=np.arange(12), metrics=list(by_depth))
    assert all(np.array_equal(by_depth[name], by_name[name]) for name in by_name)
    assert list(evaluate(*sides, exclude=np.arange(12))) == ["cmc@1", "cmc@10", "map@r"]
