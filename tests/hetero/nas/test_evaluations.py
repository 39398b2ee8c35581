"""Stored evaluations: nothing lost, nothing mixed."""

from __future__ import annotations

import numpy as np
import pytest

from hetero.errors import IntegrityError
from hetero.nas.evaluation.evaluations import Evaluations
from hetero.nas.space.file import built_in_space

SPACE = built_in_space("demo")


def points(count: int) -> list:
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(count)]


def filled(folder, identity="a" * 64) -> Evaluations:
    store = Evaluations(folder, identity)
    for place, point in enumerate(points(3)):
        store.add(point, {"r1": place / 3, "r2": 0.1})
    return store


def test_what_is_added_is_read_back_exactly(tmp_path):
    filled(tmp_path)
    again = Evaluations(tmp_path, "a" * 64)
    assert list(again) == points(3)
    assert [again[point]["r1"] for point in again] == [0.0, 1 / 3, 2 / 3]


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_half_a_line_at_the_end_is_cut_off(tmp_path, cut):
    path = filled(tmp_path).path
    path.write_bytes(path.read_bytes()[:-cut])
    store = Evaluations(tmp_path, "a" * 64)
    assert list(store) == points(3)[:2]
    store.add(points(3)[2], {"r1": 1.0})
    assert len(Evaluations(tmp_path, "a" * 64)) == 3


def test_even_half_a_header_is_cut_off(tmp_path):
    path = Evaluations(tmp_path, "a" * 64).path
    path.write_bytes(path.read_bytes()[:10])
    assert len(Evaluations(tmp_path, "a" * 64)) == 0
    assert len(filled(tmp_path)) == 3


def test_another_evaluator_has_a_file_of_its_own(tmp_path):
    filled(tmp_path)
    assert len(Evaluations(tmp_path, "b" * 64)) == 0
    assert len(Evaluations(tmp_path, "a" * 64)) == 3


@pytest.mark.parametrize("damage", [b'{"architecture": {}}\n', b"nonsense\n", b'{"architecture": 1, "figures": {}}\n'])
def test_damage_is_named(tmp_path, damage):
    path = filled(tmp_path).path
    path.write_bytes(path.read_bytes() + damage)
    with pytest.raises(IntegrityError):
        Evaluations(tmp_path, "a" * 64)


def test_a_file_that_was_renamed_is_not_taken(tmp_path):
    path = filled(tmp_path).path
    path.rename(tmp_path / f"evaluations-{'b' * 16}.jsonl")
    with pytest.raises(IntegrityError, match="does not hold"):
        Evaluations(tmp_path, "b" * 64)
