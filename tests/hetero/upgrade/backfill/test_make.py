from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.metrics.bootstrap import Interval
from hetero.upgrade.backfill.figure import draw_curves
from hetero.upgrade.backfill.make import halves, make_plan
from hetero.upgrade.backfill.plan import BackfillPlan
from tests.hetero.upgrade.backfill.upgraded import upgraded

SPACES = {"old_space": "o", "new_space": "n", "compatibility": "measured"}


@given(st.lists(st.integers(0, 4), min_size=2, max_size=40), st.integers(0, 5))
def test_halves_hold_every_query_once_and_split_every_class(labels: list[int], seed: int) -> None:
    numbers = np.array(labels)
    a, b = halves(numbers, seed)
    assert sorted([*a.tolist(), *b.tolist()]) == list(range(len(labels)))
    for label in set(labels):
        assert abs(int((numbers[a] == label).sum()) - int((numbers[b] == label).sum())) <= 1


def test_a_plan_finds_the_order_that_helps_and_is_sure_of_it(tmp_path) -> None:
    plan, ranking = make_plan(upgraded(), **SPACES, metric="map@r", random_orders=3)
    assert plan.over_classes.low > 0 and plan.over_queries.low > 0
    start, end = (plan.orders["random"].curve["map@r"][index] for index in (0, -1))
    assert end > start + 0.05
    for figures in plan.orders.values():
        assert (figures.curve["map@r"][0], figures.curve["map@r"][-1]) == (start, end)
    chosen, chance = plan.orders[plan.chosen], plan.orders["random"]
    assert chosen.area == pytest.approx(chance.area + plan.over_queries.value)
    assert chance.area == pytest.approx(np.mean(plan.random_orders))
    assert chosen.enough is not None and chance.enough is not None and chosen.enough < chance.enough
    assert chosen.chosen_by == max(figures.chosen_by or 0 for figures in plan.orders.values())
    assert sorted(ranking.rows.tolist()) == list(range(240))
    assert (np.diff(ranking.urgency[ranking.rows]) <= 0).all()
    plan.save(tmp_path / "plan.json")
    assert BackfillPlan.load(tmp_path / "plan.json") == plan


def test_figures_are_of_queries_that_had_no_part_in_choosing() -> None:
    """Spoiling the reporting half changes the figures and not the order; spoiling the other does the reverse."""
    backfill = upgraded()
    options = {**SPACES, "metric": "map@r", "steps": 4, "random_orders": 1}
    plan, ranking = make_plan(backfill, **options)
    for part, spoilt in zip(("order", "figures"), halves(backfill.query_labels, 0), strict=True):
        query = backfill.query.copy()
        query[spoilt] = -query[spoilt]
        other, other_ranking = make_plan(dataclasses.replace(backfill, query=query), **options)
        same_order = {name: figures.chosen_by for name, figures in plan.orders.items()} == {
            name: figures.chosen_by for name, figures in other.orders.items()
        }
        assert same_order == (part == "figures")
        assert (plan.orders["random"].curve == other.orders["random"].curve) == (part == "order")
        if part == "figures":
            assert (plan.chosen, ranking.rows.tolist()) == (other.chosen, other_ranking.rows.tolist())


def test_an_unlabelled_gallery_leaves_out_the_order_that_needs_labels() -> None:
    plan, _ = make_plan(upgraded(), **SPACES, labelled=False, steps=2, random_orders=1)
    assert set(plan.orders) == {"random", "most-displaced"}
    assert not plan.labelled


def test_an_upgrade_that_brings_nothing_needs_no_share() -> None:
    backfill = upgraded()
    plan, _ = make_plan(dataclasses.replace(backfill, old=backfill.new), **SPACES, steps=2, random_orders=1)
    assert {figures.enough for figures in plan.orders.values()} == {None}
    assert plan.over_classes == Interval(0.0, 0.0, 0.0)


def test_the_picture_names_every_order() -> None:
    plan, _ = make_plan(upgraded(), **SPACES, steps=2, random_orders=1)
    picture = draw_curves(plan).decode()
    assert all(f">{name}<" in picture for name in plan.orders)
    assert draw_curves(plan).decode() == picture
    assert draw_curves(plan, format="png").startswith(b"\x89PNG")


def test_refuses_everything_wrong_at_once() -> None:
    with pytest.raises(InputError) as error:
        make_plan(upgraded(queries=1), **SPACES, metric="accuracy", steps=1, random_orders=0)
    assert len(error.value.problems) == 4
