from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hetero.errors import InputError
from hetero.evaluation.decisions import Decisions, negative_flips
from hetero.metrics.retrieval import evaluate_tasks
from hetero.metrics.task import RetrievalTask

NAMES = ("a0", "a1", "b0", "b1")


def measured(query: list[list[float]]) -> Decisions:
    """Of two tasks, in a gallery where class a lies right and class b up."""
    gallery = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    tasks = [
        RetrievalTask("second", np.array([3, 1]), np.array([0, 2])),
        RetrievalTask("first", np.array([0]), np.array([1, 3])),
    ]
    labels = np.array([0, 0, 1, 1])
    found = evaluate_tasks(np.array(query, np.float32), gallery, labels, tasks, metrics=("cmc@1", "map@r"))
    return Decisions.of(found, tasks, NAMES, query_model="edge", gallery_model="cloud", space_id="s")


def test_each_query_is_named_with_its_answer(tmp_path: Path) -> None:
    right, up = [1.0, 0.0], [0.0, 1.0]
    found = measured([right, up, right, up])
    assert found.tasks == {"second": {"b1": True, "a1": False}, "first": {"a0": True}}
    found.save(tmp_path / "edge.json")
    assert Decisions.load(tmp_path / "edge.json") == found
    assert json.loads((tmp_path / "edge.json").read_text())["tasks"]["second"]["a1"] is False


def test_a_flip_is_right_before_and_wrong_now_in_some_task() -> None:
    old = Decisions({"one": {"a": True, "b": True, "c": False, "d": True}, "two": {"a": True, "d": True}})
    new = Decisions({"one": {"a": True, "b": False, "c": True, "d": False}, "two": {"a": False, "d": False}})
    assert negative_flips(old, new) == ("b", "d", "a")
    assert negative_flips(old, old) == ()


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (
            Decisions({"one": {"a": True, "b": True}}),
            "1 queries are on one side only, for instance b of the task 'one'",
        ),
        (Decisions({"other": {"a": True}}), "2 queries are on one side only"),
        (Decisions({"one": {"a": True}}, space_id="t"), "different spaces, s and t"),
    ],
)
def test_decisions_on_other_queries_tell_no_flips(new: Decisions, message: str) -> None:
    with pytest.raises(InputError, match=message):
        negative_flips(Decisions({"one": {"a": True}}, space_id="s"), new)
    with pytest.raises(InputError, match="at least one query"):
        negative_flips(Decisions({}), Decisions({"one": {}}))


def test_a_file_that_holds_none_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file of decisions at"):
        Decisions.load(tmp_path / "nowhere.json")
    (tmp_path / "matrix.json").write_text('{"schema": "hetero/matrix/1"}')
    with pytest.raises(InputError, match="matrix.json: it is a compatibility matrix"):
        Decisions.load(tmp_path / "matrix.json")
