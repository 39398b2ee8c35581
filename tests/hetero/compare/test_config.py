"""Comparison files: what they expand to, and every mistake at once."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hetero.compare.config import built_in_comparison, is_built_in, parse_comparison
from hetero.errors import InputError
from hetero.training.config import StudentConfig

VALID: dict[str, Any] = {
    "name": "tiny",
    "seeds": [3, 4],
    "data": {"kind": "emoji"},
    "preprocessing": {"height": 16, "width": 16},
    "student": {"training": {"steps": 4}},
    "methods": [
        {"name": "plain", "independent": True, "objectives": [{"name": "own_head"}]},
        {"name": "turned", "adapter": "procrustes", "of": "plain"},
        {
            "name": "contrast",
            "variants": [
                [{"name": "cloud_contrastive", "temperature": 0.05}],
                [{"name": "cloud_contrastive", "temperature": 0.1}],
            ],
        },
    ],
}


def test_a_recipe_a_seed_with_a_student_for_each_choice():
    comparison = parse_comparison(VALID, what="x")
    recipe = comparison.recipe(4)
    assert recipe.seed == 4
    assert [student.name for student in recipe.students] == ["plain", "contrast.1", "contrast.2"]
    assert [student.independent for student in recipe.students] == [True, False, False]
    assert all(student.training.steps == 4 for student in recipe.students)


def test_every_mistake_at_once():
    wrong = copy.deepcopy(VALID)
    wrong["seeds"] = [1, 1]
    wrong["baselines"] = ["nobody"]
    wrong["methods"][1] |= {"of": "contrasts", "adapter": "rotate", "default": True}
    wrong["methods"][2]["objectives"] = [{"name": "own_head"}]
    with pytest.raises(InputError) as raised:
        parse_comparison(wrong, what="x")
    text = str(raised.value)
    for part in (
        "seeds: expected different",
        "'nobody' is not a method",
        "of = 'contrasts'",
        "unknown adapter 'rotate'",
        "methods (turned): an adapter trains nothing: give no objectives, default or optimizer",
        "not both",
    ):
        assert part in text


def test_the_built_in_comparisons_are_valid_and_name_what_they_compare():
    for name in ("emoji", "photos"):
        assert is_built_in(name)
        comparison = built_in_comparison(name)
        methods = {method.name for method in comparison.methods}
        assert {"plain", "regression", "contrastive", "bct", "hvs", "csd", "raml", "rop", "d3still"} <= methods
        assert {"combination", "procrustes", "adapter"} <= methods
        assert set(comparison.baselines) == {"regression", "bct"} and len(comparison.seeds) == 3
    assert not is_built_in("nothing-of-the-kind")


@pytest.mark.parametrize("name", ["emoji", "photos"])
def test_built_in_methods_train_as_when_they_were_measured_and_the_default_as_it_comes(name):
    students = built_in_comparison(name).recipe(0).students
    before = ("adamw", 6e-3, "classes", 0)
    muon = {student.name: ("muon", None, "classes", 0) for student in students if "-muon" in student.name}
    default = {student.name: ("muon", None, "auto", "auto") for student in students if "default" in student.name}
    assert len(muon) == {"emoji": 4, "photos": 2}[name] and len(default) == 3
    for student in students:
        training = student.training
        how = training.optimizer, training.learning_rate, training.sampling, student.principal
        assert how == (muon | default).get(student.name, before)
        assert (training.augment is None) == (student.name in default)
    (plain,) = [student for student in students if student.name == "default"]
    assert plain.objectives == StudentConfig("default").objectives
    assert len({student.training.steps for student in students}) == 1
    images = {student.training.classes_per_batch * student.training.images_per_class for student in students}
    assert len(images) == 1


@pytest.mark.parametrize("name", ["emoji", "photos"])
def test_what_built_in_comparisons_try_again_under_muon_was_tried_under_adamw(name):
    methods = {method.name: method for method in built_in_comparison(name).methods}
    for before in ("instance", "combination"):
        assert set(methods[f"{before}-muon"].choices) <= set(methods[before].choices)


def test_some_methods_with_another_budget():
    whole = parse_comparison(VALID | {"baselines": ["plain", "contrast"]}, what="x")
    some = whole.only(["plain", "turned"]).with_steps(9)
    assert [method.name for method in some.methods] == ["plain", "turned"]
    assert some.baselines == ("plain",)
    assert [student.training.steps for student in some.recipe(3).students] == [9]


def test_an_adapter_needs_the_method_that_it_maps():
    with pytest.raises(InputError) as raised:
        parse_comparison(VALID, what="x").only(["turned", "contrasts"])
    assert "'contrasts' is not a method" in str(raised.value)
    assert "maps the vectors of 'plain'" in str(raised.value)


def test_independent_methods_alone_have_nothing_to_be_held_against():
    alone = VALID | {"methods": VALID["methods"][:1]}
    for read in (lambda: parse_comparison(alone, what="x"), lambda: parse_comparison(VALID, what="x").only(["plain"])):
        with pytest.raises(InputError, match="at least one that is not independent"):
            read()


def test_methods_are_compared_under_one_budget():
    training = {"training": {"steps": "auto"}}
    with pytest.raises(InputError, match=r"student.training.steps: expected a number, got 'auto'"):
        parse_comparison(VALID | {"student": VALID["student"] | training}, what="x")
